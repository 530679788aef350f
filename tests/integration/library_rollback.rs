//! Rollback of stopped turns. A turn that raises is not rolled back.

use std::time::Duration;

use codeact::event::{Event, EventSink};
use codeact::sandbox::{Cancel, Execution, Outcome, Session, SessionOptions, Turn};

use crate::support::{limits, raised, result, sandbox, shown};

/// Returns code that changes a session in every way that lasts, followed by `end`.
fn changes(end: &str) -> String {
    format!(
        "import os, sys, json, random
x = 'changed'; y = 'new'; items.append(9)
open('a.txt', 'w').write('changed'); open('b.txt', 'w').close(); os.mkdir('dir')
_ = handle.write('changed'); os.environ['K'] = 'v'; os.chdir('/tmp'); random.seed(1)
json.dumps = None; big = bytearray(10**7)
{end}"
    )
}

const BEGIN: &str = "x = 'first'; items = [1]
_ = open('a.txt', 'w').write('first'); handle = open('h.txt', 'w+'); _ = handle.write('first')";

const LOOK: &str = "import os, json
handle.flush()
[x, items, 'y' in globals(), open('a.txt').read(), open('h.txt').read(), os.listdir('.'),
 'K' in os.environ, os.getcwd(), json.dumps(1)]";

const FIRST: &str =
    "['first', [1], False, 'first', 'first', ['a.txt', 'h.txt'], False, '/home/user', '1']";

async fn begun() -> Session {
    let mut session = sandbox().session().unwrap();
    result(&session.run(BEGIN).await.unwrap());
    session
}

/// Runs `turn`, which must be rolled back, twice, and checks that the session is unchanged and continues.
async fn is_rolled_back(turn: impl Fn() -> Turn) -> Execution {
    let mut session = begun().await;
    for _ in 0..2 {
        let e = session.run(turn()).await.unwrap();
        assert!(e.rolled_back, "{}", shown(&e));
        let e = session.run(LOOK).await.unwrap();
        assert_eq!(result(&e), FIRST);
    }
    // Later changes last.
    session.run("x = 'later'").await.unwrap();
    let e = session.run("x, items").await.unwrap();
    assert_eq!(result(&e), "('later', [1])");
    session.run(turn()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_times_out_is_rolled_back() {
    let wall = Duration::from_secs(1);
    let e = is_rolled_back(|| {
        Turn::new(changes("print('said', flush=True)\nwhile True: pass"))
            .limits(limits(|l| l.wall = wall))
    })
    .await;
    assert_eq!(e.outcome, Outcome::TimedOut { limit: wall });
    assert_eq!(e.stdout.text, "said\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_runs_out_of_fuel_is_rolled_back() {
    let budget = 500_000_000;
    let e = is_rolled_back(|| {
        Turn::new(changes("while True: pass")).limits(limits(|l| l.fuel = Some(budget)))
    })
    .await;
    assert_eq!(e.outcome, Outcome::OutOfFuel { budget });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_traps_is_rolled_back() {
    let e = is_rolled_back(|| Turn::new(changes("os.abort()"))).await;
    assert!(matches!(e.outcome, Outcome::Trapped { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_ends_its_process_is_rolled_back() {
    let e = is_rolled_back(|| Turn::new(changes("os._exit(3)"))).await;
    assert_eq!(e.outcome, Outcome::Exited { code: 3 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_turn_that_is_rolled_back_leaves_a_fresh_session() {
    let mut session = sandbox().session().unwrap();
    session.run("x = 1; import os; os._exit(0)").await.unwrap();
    let e = session
        .run("'x' in globals(), __import__('os').listdir('.')")
        .await
        .unwrap();
    assert_eq!(result(&e), "(False, [])");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_raises_or_exits_is_not_rolled_back() {
    for end in [
        "1 / 0",
        "sys.exit(3)",
        "raise MemoryError",
        "raise KeyboardInterrupt",
    ] {
        let mut session = begun().await;
        let code = changes(end).replace("json.dumps = None; ", "");
        let e = session.run(code).await.unwrap();
        assert!(!e.rolled_back);
        let e = session.run("x, items, os.getcwd()").await.unwrap();
        assert_eq!(result(&e), "('changed', [1, 9], '/tmp')", "{end}");
    }
}

/// Returns a turn, and a channel that receives a message when the turn has started to run.
fn announcing(code: &str) -> (Turn, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    let events = EventSink::new(move |event| {
        if matches!(event, Event::Output { .. }) {
            let _ = send.send(());
        }
    });
    (Turn::new(code).events(events), receive)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_turn_is_rolled_back() {
    for end in [
        "print('run', flush=True)\nwhile True: pass",
        "print('run', flush=True)\nimport time; time.sleep(1000)",
        "print('run', flush=True)\n10**10**8",
    ] {
        let mut session = begun().await;
        let (turn, mut runs) = announcing(&changes(end));
        let cancel = Cancel::new();
        let stop = cancel.clone();
        let canceller = tokio::spawn(async move {
            runs.recv().await.unwrap();
            stop.cancel();
        });
        let e = session.run(turn.cancel(cancel)).await.unwrap();
        canceller.await.unwrap();
        assert_eq!(e.outcome, Outcome::Cancelled, "{}", shown(&e));
        assert!(e.rolled_back);
        assert_eq!(result(&session.run(LOOK).await.unwrap()), FIRST);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_handle_stops_the_next_turn_immediately() {
    let cancel = Cancel::new();
    cancel.cancel();
    assert!(cancel.is_cancelled());
    let turn = Turn::new("print('ran')").cancel(cancel);
    let e = sandbox().run(turn).await.unwrap();
    assert_eq!(e.outcome, Outcome::Cancelled);
    assert_eq!(e.stdout.text, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_rolls_the_turn_back_and_the_session_continues() {
    for end in [
        "print('run', flush=True)\nwhile True: pass",
        "print('run', flush=True)\nimport time; time.sleep(1000)",
        "print('run', flush=True)\ninput()",
    ] {
        let mut session = begun().await;
        let (turn, mut runs) = announcing(&changes(end));
        let (_keep_open, receive) = tokio::io::duplex(64);
        let turn = turn.stdin(codeact::sandbox::Stdin::reader(receive));
        tokio::select! {
            e = session.run(turn) => panic!("it ended: {e:?}"),
            _ = runs.recv() => {}
        }
        let e = session.run(LOOK).await.unwrap();
        assert_eq!(result(&e), FIRST, "{end}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_run_ends_its_guest() {
    let sandbox = crate::support::sandbox_with(|_| ());
    // More endless runs than guest threads: if they continued, the last run would get no thread.
    for _ in 0..16 {
        let (turn, mut runs) = announcing("print('run', flush=True)\nwhile True: pass");
        tokio::select! {
            e = sandbox.run(turn) => panic!("it ended: {e:?}"),
            _ = runs.recv() => {}
        }
    }
    assert_eq!(result(&sandbox.run("1").await.unwrap()), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_never_runs_backwards_in_a_session() {
    let mut session = sandbox().session().unwrap();
    let wait = "import time, os\nstart = time.monotonic()\nwhile time.monotonic() < start + 0.3: pass\nseen = time.monotonic()";
    result(&session.run(wait).await.unwrap());
    session.run("os._exit(0)").await.unwrap();
    let e = session.run("time.monotonic() >= seen").await.unwrap();
    assert_eq!(result(&e), "True");
}

#[tokio::test(flavor = "multi_thread")]
async fn stdin_that_a_rolled_back_turn_read_can_be_read_again() {
    let mut session = sandbox().session().unwrap();
    let turn = Turn::new("import os; os.read(0, 2)").stdin(b"abcdef".to_vec());
    assert_eq!(result(&session.run(turn).await.unwrap()), "b'ab'");
    session.run("os.read(0, 2); os._exit(0)").await.unwrap();
    assert_eq!(
        result(&session.run("os.read(0, 2)").await.unwrap()),
        "b'cd'"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn seeded_randomness_repeats_after_a_rollback() {
    let mut session = sandbox()
        .session_with(&SessionOptions::new().seed(3))
        .unwrap();
    result(
        &session
            .run("import os, random; random.random()")
            .await
            .unwrap(),
    );
    let code = "print(random.random(), os.urandom(4)); os._exit(0)";
    let first = session.run(code).await.unwrap().stdout.text;
    let again = session.run(code).await.unwrap().stdout.text;
    assert_eq!(first, again);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rollbacks_leave_the_last_good_state() {
    let mut session = sandbox().session().unwrap();
    result(&session.run("n = 0; log = []; import os").await.unwrap());
    for i in 1..=30 {
        let e = session.run("n += 1; log.append(n); n").await.unwrap();
        assert_eq!(result(&e), i.to_string());
        let e = session
            .run("n = -1; log.clear(); os._exit(0)")
            .await
            .unwrap();
        assert!(e.rolled_back);
        let e = session.run("undefined").await.unwrap();
        raised(&e, "NameError");
    }
    assert_eq!(result(&session.run("sum(log)").await.unwrap()), "465");
}
