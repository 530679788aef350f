//! The formats as text: programs depend on each name and on the order.

use codeact_base::event::{Event, Progress, RunEnding, ServerState, SetupStage, Stream};
use codeact_sandbox::{Captured, Outcome};
use serde_json::{Value, json};

use super::{ErrorJson, EventJson, UsageJson, stop_message, truncation_notice};

fn line(event: Event) -> String {
    serde_json::to_string(&EventJson::from_event(event).unwrap()).unwrap()
}

#[test]
fn an_event_is_a_tagged_object() {
    for (event, expected) in [
        (
            Event::Setup {
                stage: SetupStage::WarmUp,
                progress: Progress::Started { total: Some(5) },
            },
            r#"{"type":"setup","stage":"warm_up","progress":{"state":"started","total":5}}"#,
        ),
        (
            Event::Output {
                stream: Stream::Stderr,
                text: "a\n".into(),
            },
            r#"{"type":"output","stream":"stderr","text":"a\n"}"#,
        ),
        (
            Event::Tool {
                tool: "a.b".into(),
                arguments: "{}".into(),
                error: None,
                wall_ms: 1,
                bytes_in: 2,
                bytes_out: 3,
            },
            r#"{"type":"tool","tool":"a.b","arguments":"{}","error":null,"wall_ms":1,"bytes_in":2,"bytes_out":3}"#,
        ),
        (
            Event::Server {
                name: "s".into(),
                state: ServerState::Disconnected,
                tools: 0,
                reason: Some("exited".into()),
            },
            r#"{"type":"server","name":"s","state":"disconnected","tools":0,"reason":"exited"}"#,
        ),
        (
            Event::StepStarted { step: 1 },
            r#"{"type":"step_started","step":1}"#,
        ),
        (
            Event::Finished {
                answered: false,
                ending: RunEnding::OutOfSteps,
                reason: None,
                answer: None,
                steps: 12,
            },
            r#"{"type":"finished","answered":false,"ending":"out_of_steps","reason":null,"answer":null,"steps":12}"#,
        ),
    ] {
        assert_eq!(line(event), expected);
    }
}

#[test]
fn questions_approvals_and_changes_are_events_as_well() {
    let question = EventJson::Question {
        question: "Which?".into(),
        choices: vec!["a".into()],
    };
    let approval = EventJson::Approval {
        tool: "buy".into(),
        arguments: json!({ "n": 1 }),
    };
    let changes = EventJson::Changes {
        written_back: true,
        changes: Vec::new(),
    };
    let lines = [question, approval, changes].map(|event| serde_json::to_string(&event).unwrap());
    assert_eq!(
        lines,
        [
            r#"{"type":"question","question":"Which?","choices":["a"]}"#,
            r#"{"type":"approval","tool":"buy","arguments":{"n":1}}"#,
            r#"{"type":"changes","written_back":true,"changes":[]}"#,
        ]
    );
}

#[test]
fn an_event_is_read_back() {
    let event = EventJson::ModelRetry {
        attempt: 2,
        wait_ms: 500,
        reason: "429".into(),
    };
    let text = serde_json::to_string(&event).unwrap();
    assert_eq!(serde_json::from_str::<EventJson>(&text).unwrap(), event);
}

#[test]
fn an_error_without_an_exception_has_no_frames() {
    let error = ErrorJson {
        kind: None,
        message: "stopped".into(),
        frames: None,
        traceback: None,
    };
    let value: Value = serde_json::to_value(error).unwrap();
    assert_eq!(value, json!({ "type": null, "message": "stopped" }));
}

#[test]
fn wall_time_is_in_milliseconds_with_microseconds() {
    let mut usage = codeact_sandbox::Usage::default();
    usage.wall = std::time::Duration::from_nanos(1_234_567);
    assert_eq!(UsageJson::from(&usage).wall_ms, 1.235);
}

#[test]
fn messages_say_why_a_turn_was_stopped_and_what_was_dropped() {
    let limit = std::time::Duration::from_millis(500);
    let message = stop_message(&Outcome::TimedOut { limit });
    assert_eq!(
        message.as_deref(),
        Some("stopped: the wall time of 0.5 s is used up")
    );
    assert_eq!(stop_message(&Outcome::Completed), None);
    let whole = Captured::default();
    assert_eq!(truncation_notice("stdout", &whole), None);
}
