//! A turn that waits for an answer: put away as data, taken up elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codeact::sandbox::{Answers, Outcome, Reply, SandboxError, Turn, Waiting};
use serde_json::{Value, json};

use crate::support::{raised, result, sandbox, shown};

/// Asks the host, as tools will.
const ASK: &str = "
import _host, json
def ask(question):
    reply = json.loads(_host.call(b'{\"op\":\"ask\",\"request\":' + json.dumps(question).encode() + b'}'))
    if 'error' in reply: raise RuntimeError(reply['error'])
    return reply['answer']
";

fn later() -> Answers {
    Answers::new(|_| async { Reply::Later })
}

#[tokio::test]
async fn an_answer_that_is_there_is_given() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let answers = Answers::new(|request: Value| async move {
        match request["n"].as_i64() {
            Some(n) => Reply::Now(json!({ "twice": n * 2 })),
            None => Reply::Refused("that is no number".into()),
        }
    });
    let turn = Turn::new("ask({'n': 21})").answers(answers.clone());
    assert_eq!(result(&session.run(turn).await.unwrap()), "{'twice': 42}");
    let turn = Turn::new("ask('x')").answers(answers);
    let execution = session.run(turn).await.unwrap();
    assert_eq!(raised(&execution, "RuntimeError"), "that is no number");
    let execution = session.run("ask(1)").await.unwrap();
    let why = raised(&execution, "RuntimeError");
    assert_eq!(why, "nobody can be asked here; decide without asking");
}

#[tokio::test]
async fn a_turn_is_put_away_and_taken_up_by_another_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("waiting");
    let code = "
import random, time
before = (random.random(), time.time(), time.monotonic())
print('asking', before)
x.append('before')
first = ask('may I?')
middle = time.monotonic()
second = ask({'and': first})
x.append('after')
print(first, second, before, middle >= before[2], time.monotonic() >= middle)
(first, second, x)";
    let mut session = sandbox().session().unwrap();
    session.run(format!("{ASK}\nx = ['start']")).await.unwrap();
    let turn = Turn::new(code).answers(later());
    let execution = session.run(turn).await.unwrap();
    assert_eq!(execution.outcome, Outcome::Waiting, "{}", shown(&execution));
    assert!(execution.rolled_back);
    let asked = execution.stdout.text.clone();
    let waiting = execution.waiting.unwrap();
    assert_eq!(waiting.request(), &json!("may I?"));
    waiting.save(&file).unwrap();
    // The session itself is as before the turn, and goes on.
    assert_eq!(result(&session.run("x").await.unwrap()), "['start']");

    let waiting = Waiting::load(&file).unwrap();
    assert_eq!(waiting.code(), code);
    let mut there = waiting
        .session(&sandbox(), Reply::Now(json!("yes")))
        .unwrap();
    let turn = waiting.turn().answers(later());
    let execution = there.run(turn).await.unwrap();
    assert_eq!(execution.outcome, Outcome::Waiting, "{}", shown(&execution));
    assert_eq!(execution.stdout.text, asked);
    let waiting = execution.waiting.unwrap();
    assert_eq!(waiting.request(), &json!({"and": "yes"}));
    waiting.save(&file).unwrap();

    let waiting = Waiting::load(&file).unwrap();
    let mut there = waiting.session(&sandbox(), Reply::Now(json!(2))).unwrap();
    let execution = there.run(waiting.turn()).await.unwrap();
    assert_eq!(
        result(&execution),
        "('yes', 2, ['start', 'before', 'after'])"
    );
    assert!(execution.stdout.text.starts_with(&asked));
    assert!(execution.stdout.text.ends_with("True True\n"));
    // From here on it is a session like any other.
    assert_eq!(result(&there.run("x[-1]").await.unwrap()), "'after'");
}

#[tokio::test]
async fn nothing_is_asked_twice_and_nothing_waits_again() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let answers = Answers::new(move |request: Value| {
        let nth = count.fetch_add(1, Ordering::SeqCst);
        async move {
            match nth {
                0 => Reply::Now(request),
                _ => Reply::Later,
            }
        }
    });
    let code = "import time; a = ask(1); time.sleep(2); b = ask(2); (a, b)";
    let execution = session
        .run(Turn::new(code).answers(answers.clone()))
        .await
        .unwrap();
    let waiting = execution.waiting.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let mut there = waiting.session(&sandbox(), Reply::Now(json!("b"))).unwrap();
    let mut limits = crate::support::limits(|_| ());
    limits.wall = std::time::Duration::from_millis(1900);
    let turn = waiting.turn().answers(answers).limits(limits);
    let execution = there.run(turn).await.unwrap();
    assert_eq!(result(&execution), "(1, 'b')");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refusal_taken_up_is_an_exception() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let turn = Turn::new("ask('may I?')").answers(later());
    let waiting = session.run(turn).await.unwrap().waiting.unwrap();
    let refused = Reply::Refused("no, you may not".into());
    let mut there = waiting.session(&sandbox(), refused).unwrap();
    let execution = there.run(waiting.turn()).await.unwrap();
    assert_eq!(raised(&execution, "RuntimeError"), "no, you may not");
}

#[tokio::test]
async fn questions_count_against_the_door_and_nonsense_is_refused() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let mut limits = crate::support::limits(|_| ());
    limits.door_calls = 10;
    let answers = Answers::new(|request| async { Reply::Now(request) });
    let code = "
n = 0
try:
    while True:
        ask(n); n += 1
except RuntimeError as e:
    print(e)
n < 10";
    let turn = Turn::new(code).answers(answers.clone()).limits(limits);
    let execution = session.run(turn).await.unwrap();
    assert_eq!(result(&execution), "True");
    assert!(execution.stdout.text.contains("limit of 10 calls"));
    let code = "json.loads(_host.call(b'{\"op\":\"ask\",\"request\":oops}'))";
    let turn = Turn::new(code).answers(answers);
    let execution = session.run(turn).await.unwrap();
    assert_eq!(result(&execution), "{'error': 'this is no question'}");
}

#[test]
fn a_file_that_holds_no_turn_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("waiting");
    for bytes in [&b""[..], b"{}", b"\0\0\0"] {
        std::fs::write(&file, bytes).unwrap();
        match Waiting::load(&file) {
            Err(SandboxError::Recording { why, .. }) => assert!(why.contains("holds no turn")),
            other => panic!("{other:?}"),
        }
    }
}
