//! Turns that wait for user input: suspended, saved, and resumed in another sandbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use codeact::sandbox::{
    InputHandler, InputResponse, Outcome, SandboxError, SuspendedTurn, Turn, TurnOptions,
};
use serde_json::{Value, json};

use crate::support::{limits, raised, result, sandbox, shown};

/// A Python function that sends a question to the host.
const ASK: &str = "
import _host, json
def ask(question):
    reply = json.loads(_host.call(b'{\"op\":\"ask\",\"request\":' + json.dumps(question).encode() + b'}'))
    if 'error' in reply: raise RuntimeError(reply['error'])
    return reply['answer']
";

fn later() -> InputHandler {
    InputHandler::new(|_| async { InputResponse::Later })
}

#[tokio::test]
async fn an_immediate_answer_is_returned() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let answers = InputHandler::new(|request: Value| async move {
        match request["n"].as_i64() {
            Some(n) => InputResponse::Answer(json!({ "twice": n * 2 })),
            None => InputResponse::Refused("that is no number".into()),
        }
    });
    let turn = Turn::new("ask({'n': 21})").input_handler(answers.clone());
    assert_eq!(result(&session.run(turn).await.unwrap()), "{'twice': 42}");
    let turn = Turn::new("ask('x')").input_handler(answers);
    let execution = session.run(turn).await.unwrap();
    assert_eq!(raised(&execution, "RuntimeError"), "that is no number");
    let execution = session.run("ask(1)").await.unwrap();
    let why = raised(&execution, "RuntimeError");
    assert_eq!(why, "no one can be asked here; decide without asking");
}

#[tokio::test]
async fn a_turn_is_suspended_and_resumed_in_another_sandbox() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suspended");
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
    let turn = Turn::new(code).input_handler(later());
    let execution = session.run(turn).await.unwrap();
    assert_eq!(
        execution.outcome,
        Outcome::Suspended,
        "{}",
        shown(&execution)
    );
    assert!(execution.rolled_back);
    let asked = execution.stdout.text.clone();
    let suspended = execution.suspended.unwrap();
    assert_eq!(suspended.request(), &json!("may I?"));
    suspended.save(&file).unwrap();
    // The session is as before the turn, and continues.
    assert_eq!(result(&session.run("x").await.unwrap()), "['start']");

    let suspended = SuspendedTurn::load(&file).unwrap();
    assert_eq!(suspended.code(), code);
    let answer = InputResponse::Answer(json!("yes"));
    let options = TurnOptions::new().input_handler(later());
    let sandbox = sandbox();
    let resumed = suspended.resume(&sandbox, answer, options);
    let (_, execution) = resumed.await.unwrap();
    assert_eq!(
        execution.outcome,
        Outcome::Suspended,
        "{}",
        shown(&execution)
    );
    assert_eq!(execution.stdout.text, asked);
    let suspended = execution.suspended.unwrap();
    assert_eq!(suspended.request(), &json!({"and": "yes"}));
    suspended.save(&file).unwrap();

    let suspended = SuspendedTurn::load(&file).unwrap();
    let answer = InputResponse::Answer(json!(2));
    let resumed = suspended.resume(&sandbox, answer, TurnOptions::new());
    let (mut session, execution) = resumed.await.unwrap();
    assert_eq!(
        result(&execution),
        "('yes', 2, ['start', 'before', 'after'])"
    );
    assert!(execution.stdout.text.starts_with(&asked));
    assert!(execution.stdout.text.ends_with("True True\n"));
    // From here on it is an ordinary session.
    assert_eq!(result(&session.run("x[-1]").await.unwrap()), "'after'");
}

#[tokio::test]
async fn a_resumed_turn_repeats_no_question_and_no_wait() {
    // If a machine is too slow for the limit, a longer wait of the code allows a larger limit.
    for seconds in [2, 8, 32] {
        let mut session = sandbox().session().unwrap();
        session.run(ASK).await.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let answers = InputHandler::new(move |request: Value| {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            async move {
                match nth {
                    0 => InputResponse::Answer(request),
                    _ => InputResponse::Later,
                }
            }
        });
        let code = format!("import time; a = ask(1); time.sleep({seconds}); b = ask(2); (a, b)");
        let turn = Turn::new(code).input_handler(answers.clone());
        let execution = session.run(turn).await.unwrap();
        let suspended = execution.suspended.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        let answer = InputResponse::Answer(json!("b"));
        let (mut session, turn) = suspended.prepare(&sandbox(), answer).unwrap();
        let limits = limits(|l| l.wall = Duration::from_secs(seconds) - Duration::from_millis(100));
        let turn = turn.input_handler(answers).limits(limits);
        let execution = session.run(turn).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        if !matches!(execution.outcome, Outcome::TimedOut { .. }) {
            assert_eq!(result(&execution), "(1, 'b')");
            return;
        }
    }
    panic!("the resumed turn waits again");
}

#[tokio::test]
async fn a_turn_resumed_with_a_refusal_raises() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let turn = Turn::new("ask('may I?')").input_handler(later());
    let suspended = session.run(turn).await.unwrap().suspended.unwrap();
    let refused = InputResponse::Refused("no, you may not".into());
    let sandbox = sandbox();
    let resumed = suspended.resume(&sandbox, refused, TurnOptions::new());
    let (_, execution) = resumed.await.unwrap();
    assert_eq!(raised(&execution, "RuntimeError"), "no, you may not");
}

#[tokio::test]
async fn questions_count_as_host_calls_and_invalid_ones_are_rejected() {
    let mut session = sandbox().session().unwrap();
    session.run(ASK).await.unwrap();
    let limits = limits(|l| l.host_calls = 10);
    let answers = InputHandler::new(|request| async { InputResponse::Answer(request) });
    let code = "
n = 0
try:
    while True:
        ask(n); n += 1
except RuntimeError as e:
    print(e)
n < 10";
    let turn = Turn::new(code)
        .input_handler(answers.clone())
        .limits(limits);
    let execution = session.run(turn).await.unwrap();
    assert_eq!(result(&execution), "True");
    assert!(execution.stdout.text.contains("limit of 10 calls"));
    let code = "json.loads(_host.call(b'{\"op\":\"ask\",\"request\":oops}'))";
    let turn = Turn::new(code).input_handler(answers);
    let execution = session.run(turn).await.unwrap();
    assert_eq!(result(&execution), "{'error': 'this is not a question'}");
}

#[test]
fn a_file_without_a_turn_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("suspended");
    for bytes in [&b""[..], b"{}", b"\0\0\0"] {
        std::fs::write(&file, bytes).unwrap();
        match SuspendedTurn::load(&file) {
            Err(SandboxError::Recording { why, .. }) => {
                assert!(why.contains("is not a suspended turn"))
            }
            other => panic!("{other:?}"),
        }
    }
}
