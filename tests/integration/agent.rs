//! The agent as an embedder uses it, with a model made for the test.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use codeact::agent::{Action, Agent, AgentError, Ending};
use codeact::event::{Event, EventSink, RunEnding, Stream};
use codeact::llm::{
    Completion, Message, Model, ModelError, ModelEvent, Reply, Request, Role, Watch,
};
use codeact::sandbox::{Cancel, Outcome};
use serde_json::json;

use crate::support::sandbox;

type Turn = Box<dyn Fn(Request<'_>) -> Result<String, ModelError> + Send>;

/// A model that answers each request with a closure, which may make assertions on the request.
pub struct Fake {
    turns: Mutex<VecDeque<Turn>>,
}

impl Fake {
    pub fn new(turns: impl IntoIterator<Item = Turn>) -> Arc<Self> {
        let turns = Mutex::new(turns.into_iter().collect());
        Arc::new(Self { turns })
    }

    /// Returns a model with these replies.
    pub fn saying(replies: &[&str]) -> Arc<Self> {
        Self::new(replies.iter().map(|reply| say(reply, |_| ())))
    }

    pub fn assert_used(&self) {
        assert_eq!(self.turns.lock().unwrap().len(), 0, "turns were not used");
    }
}

/// Returns a turn that checks the messages and replies with `reply`.
pub fn say(reply: &str, check: impl Fn(&[Message]) + Send + 'static) -> Turn {
    let reply = reply.to_owned();
    Box::new(move |request| {
        check(request.messages);
        Ok(reply.clone())
    })
}

/// Returns the last message to the model.
pub fn last(messages: &[Message]) -> &str {
    let last = messages.last().unwrap();
    assert_eq!(last.role, Role::User);
    &last.content
}

impl Model for Fake {
    fn name(&self) -> &str {
        "fake"
    }

    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
        Box::pin(async move {
            let turn = self.turns.lock().unwrap().pop_front();
            let text = turn.expect("one request too many")(request)?;
            watch(ModelEvent::Delta(&text));
            Ok(Reply::new("fake", text))
        })
    }
}

/// A model that never answers.
struct Silent(Cancel);

impl Model for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn complete<'a>(&'a self, _: Request<'a>, _: Watch<'a>) -> Completion<'a> {
        self.0.cancel();
        Box::pin(std::future::pending())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_holds_each_steps_reply_action_execution_and_observation() {
    let first = "I try.\n```python\nx = 6\nprint(x)\ny\n```";
    let model = Fake::new([
        say(first, |messages| {
            let roles: Vec<_> = messages.iter().map(|m| m.role).collect();
            assert_eq!(roles, [Role::System, Role::User]);
            assert_eq!(last(messages), "Task: multiply");
        }),
        say("```bash\nls\n```", |messages| {
            assert_eq!(messages.len(), 4);
            assert_eq!(messages[2].role, Role::Assistant);
            assert!(last(messages).contains("NameError: name 'y' is not defined"));
        }),
        say("```python\nfinal_answer(x * 7)\n```", |messages| {
            assert!(last(messages).contains("only Python"));
        }),
    ]);
    let run = Agent::new(model.clone(), sandbox())
        .run("multiply")
        .await
        .unwrap();
    model.assert_used();
    assert_eq!(run.ending, Ending::Answered(json!(42)));
    assert_eq!(run.answer(), Some(&json!(42)));
    let [one, two, three] = run.steps.as_slice() else {
        panic!("{run:#?}");
    };
    assert_eq!(one.reply, first);
    assert_eq!(
        one.action,
        Action::Code {
            source: "x = 6\nprint(x)\ny".into(),
            said: "I try.".into()
        }
    );
    let execution = one.execution.as_ref().unwrap();
    assert_eq!(execution.stdout.text, "6\n");
    assert!(matches!(&execution.outcome, Outcome::Raised(e) if e.kind == "NameError"));
    let observation = one.observation.as_deref().unwrap();
    assert!(observation.starts_with("Observation:\nOutput:\n6\n"));

    assert!(matches!(&two.action, Action::Unreadable { reason } if reason.contains("bash")));
    assert!(two.execution.is_none());
    assert!(two.observation.as_deref().unwrap().contains("bash"));

    let execution = three.execution.as_ref().unwrap();
    assert_eq!(execution.answer, Some(json!(42)));
    assert!(three.observation.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_emitted_in_order() {
    let (one, two) = ("```python\nprint('a', end='')\n```", "It is a.");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let run = Agent::new(Fake::saying(&[one, two]), sandbox())
        .events(EventSink::new(move |event| {
            sink.lock().unwrap().push(event)
        }))
        .run("t")
        .await
        .unwrap();
    let observation = run.steps[0].observation.clone().unwrap();
    let text = String::from;
    let expected = [
        Event::StepStarted { step: 1 },
        Event::ReplyDelta { text: text(one) },
        Event::Reply {
            step: 1,
            text: text(one),
        },
        Event::CodeStarted {
            step: 1,
            code: text("print('a', end='')"),
        },
        Event::Output {
            stream: Stream::Stdout,
            text: text("a"),
        },
        Event::Observation {
            note: None,
            step: 1,
            text: observation,
        },
        Event::StepStarted { step: 2 },
        Event::ReplyDelta { text: text(two) },
        Event::Reply {
            step: 2,
            text: text(two),
        },
        Event::Finished {
            ending: RunEnding::Answered,
            reason: None,
            answered: true,
            answer: Some(json!(two)),
            steps: 2,
        },
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_cancelled_while_the_model_thinks() {
    let cancel = Cancel::new();
    let agent = Agent::new(Arc::new(Silent(cancel.clone())), sandbox()).cancel(cancel);
    let run = agent.run("t").await.unwrap();
    assert_eq!(run.ending, Ending::Cancelled);
    assert!(run.steps.is_empty() && run.answer().is_none());
    // The handle stays cancelled: the next run stops immediately.
    let run = agent.once(true).run("t").await.unwrap();
    assert_eq!(run.ending, Ending::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_cancelled_while_its_code_runs_has_the_step() {
    for once in [false, true] {
        let cancel = Cancel::new();
        let handle = cancel.clone();
        let events = EventSink::new(move |event| {
            if matches!(event, Event::Output { .. }) {
                handle.cancel();
            }
        });
        let reply = "```python\nprint('begun')\nwhile True: pass\n```";
        let agent = Agent::new(Fake::saying(&[reply]), sandbox())
            .events(events)
            .cancel(cancel)
            .once(once);
        let run = agent.run("t").await.unwrap();
        assert_eq!(run.ending, Ending::Cancelled);
        let execution = run.steps[0].execution.as_ref().unwrap();
        assert_eq!(execution.outcome, Outcome::Cancelled);
        assert_eq!(execution.stdout.text, "begun\n");
        assert!(run.steps[0].observation.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_failure_is_the_runs_error() {
    let fail: Turn = Box::new(|_| {
        Err(ModelError::RateLimited {
            address: "a".into(),
            attempts: 5,
            message: "busy".into(),
        })
    });
    let model = Fake::new([say("```python\n1\n```", |_| ()), fail]);
    let error = Agent::new(model, sandbox()).run("t").await.unwrap_err();
    assert!(
        matches!(&error, AgentError::Model(ModelError::RateLimited { .. })),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_steps_are_bounded_and_at_least_one() {
    for (steps, made) in [(0, 1), (2, 2)] {
        let replies = ["```python\n1\n```", "```python\n2\n```"];
        let model = Fake::saying(&replies[..made]);
        let agent = Agent::new(model.clone(), sandbox()).max_steps(steps);
        let run = agent.run("t").await.unwrap();
        model.assert_used();
        assert_eq!((run.ending, run.steps.len()), (Ending::OutOfSteps, made));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_ends_with_the_programs_stdout_or_the_reason() {
    for (reply, answer) in [
        ("```python\nprint(6 * 7)\n```", Some("42\n")),
        ("```python\nprint(1)\n1 / 0\n```", None),
        ("It is 42.", None),
    ] {
        let agent = Agent::new(Fake::saying(&[reply]), sandbox()).once(true);
        let run = agent.run("t").await.unwrap();
        assert_eq!(run.steps.len(), 1);
        match answer {
            Some(text) => assert_eq!(run.answer(), Some(&json!(text))),
            None => assert!(matches!(run.ending, Ending::Failed(why) if !why.is_empty())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn input_and_seed_reach_the_model_and_the_code() {
    let mut answers = Vec::new();
    for _ in 0..2 {
        let code = "```python\nimport random\nfinal_answer([stdin_text, random.random()])\n```";
        let turn: Turn = Box::new(move |request| {
            assert_eq!(request.seed, Some(7));
            assert!(request.stop.is_empty());
            assert!(last(request.messages).contains("the input"));
            Ok(code.to_owned())
        });
        let run = Agent::new(Fake::new([turn]), sandbox())
            .stdin_text("the input")
            .seed(Some(7))
            .run("t")
            .await
            .unwrap();
        answers.push(run.answer().unwrap().clone());
    }
    assert_eq!(answers[0][0], "the input");
    assert_eq!(answers[0], answers[1]);
}
