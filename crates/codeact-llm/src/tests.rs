//! Tests of the model with a scripted server: requests, replies and retries.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use super::testserver::{Answer, TestServer};
use super::*;

const KEY: &str = "sk-very-secret-0123456789";

/// Returns a policy without delays.
fn quick() -> RetryPolicy {
    RetryPolicy {
        base_delay: Duration::ZERO,
        ..RetryPolicy::default()
    }
}

fn options(server: &TestServer) -> OpenAiOptions {
    let base_url = BaseUrl::parse(&server.url, "test").unwrap();
    OpenAiOptions {
        key: Some(ApiKey::new(KEY)),
        retry: quick(),
        ..OpenAiOptions::new("requested", base_url)
    }
}

/// Sends a request. Returns the result and the events: the text of deltas, and `!attempt` for retries.
async fn ask(model: &OpenAiModel, stop: &[&str]) -> (Result<Reply, ModelError>, Vec<String>) {
    let messages = [Message::new(Role::User, "hi")];
    let stop: Vec<String> = stop.iter().map(|&s| s.to_owned()).collect();
    let seen = Mutex::new(Vec::new());
    let watch = |event: ModelEvent<'_>| {
        seen.lock().unwrap().push(match event {
            ModelEvent::Delta(text) => text.to_owned(),
            ModelEvent::Retry { attempt, .. } => format!("!{attempt}"),
        });
    };
    let request = Request {
        messages: &messages,
        stop: &stop,
        ..Request::default()
    };
    let result = model.complete(request, &watch).await;
    (result, seen.into_inner().unwrap())
}

async fn ask_server(
    server: &TestServer,
    stop: &[&str],
) -> (Result<Reply, ModelError>, Vec<String>) {
    ask(&OpenAiModel::new(options(server)).unwrap(), stop).await
}

fn delta(text: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
        .to_string()
}

fn end(reason: &str) -> String {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}).to_string()
}

const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":6}}"#;

#[tokio::test]
async fn a_stream_becomes_a_reply() {
    let (a, b, end) = (delta("Hel"), delta("lo"), end("stop"));
    let server = TestServer::start([Answer::stream(&[&a, &b, &end, USAGE, "[DONE]"])]).await;
    let (reply, seen) = ask_server(&server, &[]).await;
    assert_eq!(
        reply.unwrap(),
        Reply {
            text: "Hello".into(),
            finish: FinishReason::Stop,
            usage: Some(TokenUsage {
                input_tokens: 5,
                output_tokens: 6
            }),
            model: "requested".into(),
        }
    );
    assert_eq!(seen.concat(), "Hello");
    let sent = &server.seen()[0];
    assert!(sent.head.starts_with("post /v1/chat/completions http/1.1"));
    assert!(sent.head.contains(&format!("authorization: bearer {KEY}")));
    assert_eq!(sent.body["model"], "requested");
    assert_eq!(sent.body["stream"], true);
}

#[tokio::test]
async fn a_stream_is_complete_after_its_finish_reason() {
    let (a, end) = (delta("a"), end("length"));
    for answer in [
        Answer::stream(&[&a, &end]),
        Answer::broken_stream(&[&a, &end]),
    ] {
        let server = TestServer::start([answer]).await;
        let reply = ask_server(&server, &[]).await.0.unwrap();
        assert_eq!(
            (reply.text.as_str(), reply.finish),
            ("a", FinishReason::Length)
        );
    }
}

#[tokio::test]
async fn a_json_document_becomes_a_reply() {
    let server = TestServer::start([Answer::json("a <stop> b")]).await;
    let (reply, seen) = ask_server(&server, &["<stop>"]).await;
    let reply = reply.unwrap();
    assert_eq!(reply.text, "a ");
    assert_eq!(reply.finish, FinishReason::StopSequence("<stop>".into()));
    assert_eq!(reply.model, "served");
    assert_eq!(seen, ["a "]);
}

#[tokio::test]
async fn a_stop_sequence_across_deltas_closes_the_connection() {
    let parts = [delta("x = 1</co"), delta("de"), delta("> never")];
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let server = TestServer::start([Answer::broken_stream(&parts).then_hang()]).await;
    let (reply, seen) = ask_server(&server, &["</code>"]).await;
    let reply = reply.unwrap();
    assert_eq!(reply.text, "x = 1");
    assert_eq!(reply.finish, FinishReason::StopSequence("</code>".into()));
    assert_eq!(seen, ["x = 1"]);
    tokio::time::timeout(Duration::from_secs(20), server.closed())
        .await
        .expect("the connection is closed");
}

#[tokio::test]
async fn a_rate_limit_is_retried_after_its_delay() {
    for wait in ["retry-after: 0", "retry-after-ms: 1", "x-none: 1"] {
        let limited = Answer::new(429, &[wait], r#"{"error":{"message":"slow down"}}"#);
        let server = TestServer::start([limited, Answer::json("a")]).await;
        let (reply, seen) = ask_server(&server, &[]).await;
        assert_eq!(reply.unwrap().text, "a");
        assert_eq!(seen, ["!1", "a"]);
    }
}

#[tokio::test]
async fn a_delay_above_the_maximum_fails_without_a_wait() {
    let limited = Answer::new(429, &["retry-after: 3600"], "slow down");
    let server = TestServer::start([limited]).await;
    let error = ask_server(&server, &[]).await.0.unwrap_err();
    assert!(matches!(error, ModelError::WaitTooLong { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("3600 s") && text.contains("60 s"), "{text}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn transient_failures_are_retried_up_to_the_limit() {
    let fail = |status| Answer::new(status, &[], "oh");
    let server = TestServer::start([fail(500), fail(503), fail(408), Answer::json("a")]).await;
    let (reply, seen) = ask_server(&server, &[]).await;
    assert_eq!(reply.unwrap().text, "a");
    assert_eq!(seen, ["!1", "!2", "!3", "a"]);

    let server = TestServer::start([500, 500, 500, 500, 502, 500].map(fail)).await;
    let error = ask_server(&server, &[]).await.0.unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::ServerFailed {
                status: 502,
                attempts: 5,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_interrupted_reply_starts_again() {
    let (a, end, failed) = (
        delta("half"),
        end("stop"),
        r#"{"error":{"message":"overloaded","code":503}}"#,
    );
    for broken in [
        Answer::broken_stream(&[&a]),
        Answer::stream(&[&a]),
        Answer::stream(&[&a, failed]),
    ] {
        let whole = Answer::stream(&[&delta("whole"), &end, "[DONE]"]);
        let server = TestServer::start([broken, whole]).await;
        let (reply, seen) = ask_server(&server, &[]).await;
        assert_eq!(reply.unwrap().text, "whole");
        assert_eq!(seen, ["half", "!1", "whole"]);
    }
}

#[tokio::test]
async fn a_rejected_key_is_not_retried_and_not_printed() {
    let body = format!(r#"{{"error":{{"message":"Incorrect API key: {KEY}"}}}}"#);
    let server = TestServer::start([Answer::new(401, &[], &body)]).await;
    let options = options(&server);
    assert!(!format!("{options:?} {options:#?}").contains(KEY));
    let model = OpenAiModel::new(options).unwrap();
    let error = ask(&model, &[]).await.0.unwrap_err();
    assert!(matches!(
        error,
        ModelError::KeyRefused {
            status: 401,
            key_sent: true,
            ..
        }
    ));
    let text = format!("{error} {error:?} {error:#?} {model:?} {model:#?}");
    assert!(text.contains("Incorrect API key: ***"), "{text}");
    assert!(!text.contains(KEY), "{text}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn no_error_contains_the_key() {
    let moved = format!("location: https://elsewhere/?key={KEY}");
    let event = format!("not json {KEY}");
    for answer in [
        Answer::new(302, &[&moved], ""),
        Answer::new(200, &[], &format!("<html>{}{KEY}", "x".repeat(280))),
        Answer::stream(&[&event]),
        Answer::new(200, &[], &format!("[\"{KEY}\"]")),
        Answer::new(404, &[], KEY),
        Answer::new(418, &[], KEY),
    ] {
        let server = TestServer::start([answer]).await;
        let error = ask_server(&server, &[]).await.0.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(!text.contains("sk-very"), "{text}");
        assert!(text.contains(&server.url), "{text}");
    }
}

#[tokio::test]
async fn a_rejected_field_is_omitted_from_then_on() {
    let rejected = Answer::new(
        400,
        &[],
        r#"{"error":{"message":"Unsupported parameter: 'stop'","param":"stop"}}"#,
    );
    let server = TestServer::start([rejected, Answer::json("a"), Answer::json("b")]).await;
    let model = OpenAiModel::new(options(&server)).unwrap();
    let (reply, seen) = ask(&model, &["x"]).await;
    assert_eq!(
        (reply.unwrap().text.as_str(), seen),
        ("a", vec!["a".to_owned()])
    );
    ask(&model, &["x"]).await.0.unwrap();
    let sent: Vec<bool> = server
        .seen()
        .iter()
        .map(|s| s.body.get("stop").is_some())
        .collect();
    assert_eq!(sent, [true, false, false]);
}

#[tokio::test]
async fn a_reply_above_the_limit_is_rejected() {
    let part = delta(&"x".repeat(60));
    let big = Answer::new(200, &[], &"{".repeat(80_000));
    for answer in [Answer::stream(&[&part, &part]).then_hang(), big] {
        let server = TestServer::start([answer]).await;
        let model = OpenAiModel::new(OpenAiOptions {
            max_reply_bytes: 100,
            ..options(&server)
        })
        .unwrap();
        let error = ask(&model, &[]).await.0.unwrap_err();
        assert!(
            matches!(error, ModelError::ReplyTooLarge { limit: 100, .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_large_error_body_is_truncated() {
    let body = "x".repeat(300_000);
    let server = TestServer::start([Answer::new(400, &[], &body)]).await;
    let error = ask_server(&server, &[]).await.0.unwrap_err();
    assert!(matches!(error, ModelError::BadRequest { status: 400, .. }));
    assert!(error.to_string().len() < 1000);
}

#[tokio::test]
async fn an_attempt_without_data_fails_after_the_stall_limit() {
    let a = delta("a");
    let silent = || Answer::broken_stream(&[&a]).then_hang();
    let server = TestServer::start([silent(), silent()]).await;
    let model = OpenAiModel::new(OpenAiOptions {
        retry: RetryPolicy {
            stall_limit: Duration::from_millis(20),
            max_attempts: 2,
            ..quick()
        },
        ..options(&server)
    })
    .unwrap();
    let (error, seen) = ask(&model, &[]).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ModelError::Stalled { attempts: 2, .. }),
        "{error}"
    );
    assert!(seen.contains(&"!1".to_owned()));
}

#[tokio::test]
async fn the_error_for_an_unreachable_address_names_it() {
    let server = TestServer::start([]).await;
    let mut options = options(&server);
    options.base_url = BaseUrl::parse("http://me:pass@127.0.0.1:9/v1", "test").unwrap();
    let (error, seen) = ask(&OpenAiModel::new(options).unwrap(), &[]).await;
    let error = error.unwrap_err();
    assert!(
        matches!(error, ModelError::Unreachable { attempts: 5, .. }),
        "{error}"
    );
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("http://127.0.0.1:9/v1") && !text.contains("pass"),
        "{text}"
    );
    assert_eq!(seen, ["!1", "!2", "!3", "!4"]);
}

#[tokio::test]
async fn the_error_for_an_empty_reply_has_its_finish_reason() {
    let server = TestServer::start([Answer::stream(&[&end("length"), "[DONE]"])]).await;
    let error = ask_server(&server, &[]).await.0.unwrap_err();
    assert!(matches!(&error, ModelError::EmptyReply { finish, .. } if finish == "length"));
}

#[test]
fn models_and_calls_are_send() {
    fn is_send<T: Send>(_: &T) {}
    let model: std::sync::Arc<dyn Model> =
        std::sync::Arc::new(RecordedModel::from_json(r#"{"version":1,"exchanges":[]}"#).unwrap());
    is_send(&model);
    is_send(&model.complete(Request::default(), &|_| {}));
    is_send(&resolve(ModelOptions::default(), &|_| None));
}
