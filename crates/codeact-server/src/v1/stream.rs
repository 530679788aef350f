//! Responses that are streamed while code runs.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use codeact::event::{Event, Stream};
use codeact::wire::EventJson;
use serde::Serialize;

use super::accept::Format;
use super::outlet::{Disconnected, Outlet, outlet};
use crate::error::ApiError;
use crate::turns::{RunningTurn, TurnMessage};

/// Time in which a request can still fail with a status of its own, because the response has not begun.
const FIRST: Duration = Duration::from_secs(1);
/// Interval of the messages that keep a silent connection open.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Time for which the rest of a line is waited for.
const REST_OF_LINE: Duration = Duration::from_millis(2);
/// Size from which output is not joined with more, in bytes.
const MAX_JOINED: usize = 64 << 10;

/// Streams the events of `running`, and then its result as `finish` encodes it. If the client disconnects, the turn is
/// stopped.
pub(super) async fn respond<R, F>(
    mut running: RunningTurn<R>,
    format: Format,
    finish: impl FnOnce(R) -> F + Send + 'static,
) -> Result<Response, ApiError>
where
    R: Send + 'static,
    F: Future<Output = Result<Bytes, ApiError>> + Send,
{
    let first = match tokio::time::timeout(FIRST, running.next()).await {
        Ok(Some(TurnMessage::Ended(Err(error)))) => return Err(error.into()),
        Ok(first) => first,
        Err(_) => None,
    };
    let (outlet, body) = outlet();
    tokio::spawn(async move {
        let writer = Writer { outlet, format };
        // An error is a client that has disconnected: dropping `running` stops the turn.
        let _ = pump(writer, running, first, finish).await;
    });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A proxy that collects a stream would delay it to its end.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

async fn pump<R, F>(
    writer: Writer,
    mut running: RunningTurn<R>,
    first: Option<TurnMessage<R>>,
    finish: impl FnOnce(R) -> F,
) -> Result<(), Disconnected>
where
    R: Send + 'static,
    F: Future<Output = Result<Bytes, ApiError>>,
{
    let mut next = first;
    loop {
        let message = match next.take() {
            Some(message) => Some(message),
            None => tokio::select! {
                message = running.next() => message,
                () = writer.outlet.disconnected() => return Err(Disconnected),
                () = tokio::time::sleep(KEEPALIVE) => {
                    writer.keepalive().await?;
                    continue;
                }
            },
        };
        match message {
            Some(TurnMessage::Event(event)) => {
                let event = match event {
                    Event::Output { stream, text } => {
                        let (event, after) = join_output(&mut running, stream, text).await;
                        next = after;
                        event
                    }
                    event => event,
                };
                writer.event(event).await?;
            }
            Some(TurnMessage::Ended(Ok(result))) => {
                match finish(result).await {
                    Ok(json) => writer.json("result", json).await?,
                    Err(error) => writer.error(&error).await?,
                }
                return writer.outlet.finish().await;
            }
            Some(TurnMessage::Ended(Err(error))) => {
                writer.error(&error.into()).await?;
                return writer.outlet.finish().await;
            }
            None => {
                writer
                    .error(&ApiError::internal("a turn ended without a result"))
                    .await?;
                return writer.outlet.finish().await;
            }
        }
    }
}

/// Joins output with that which follows at once, because each `write` of the code is an event. Returns it, and the next
/// message if it is another one.
async fn join_output<R: Send + 'static>(
    running: &mut RunningTurn<R>,
    stream: Stream,
    mut text: String,
) -> (Event, Option<TurnMessage<R>>) {
    while text.len() < MAX_JOINED {
        let wait = match text.ends_with('\n') {
            true => Duration::ZERO,
            false => REST_OF_LINE,
        };
        match tokio::time::timeout(wait, running.next()).await {
            Ok(Some(TurnMessage::Event(Event::Output {
                stream: of_next,
                text: more,
            }))) if of_next == stream => text.push_str(&more),
            Ok(message) => return (Event::Output { stream, text }, message),
            Err(_) => break,
        }
    }
    (Event::Output { stream, text }, None)
}

/// Writes events in a format.
struct Writer {
    outlet: Outlet,
    format: Format,
}

/// The last event of a stream whose request has failed.
#[derive(Serialize)]
struct ErrorEvent<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    code: &'a str,
    message: &'a str,
}

impl Writer {
    async fn event(&self, event: Event) -> Result<(), Disconnected> {
        let Some(json) = EventJson::from_event(event) else {
            return Ok(());
        };
        let name = name(&json);
        match serde_json::to_vec(&json) {
            Ok(bytes) => self.json(name, Bytes::from(bytes)).await,
            Err(_) => Ok(()),
        }
    }

    async fn error(&self, error: &ApiError) -> Result<(), Disconnected> {
        let event = ErrorEvent {
            kind: "error",
            code: error.code,
            message: &error.message,
        };
        let bytes = serde_json::to_vec(&event).unwrap_or_default();
        self.json("error", Bytes::from(bytes)).await
    }

    /// Writes one event. JSON has no line feeds outside of strings, and those are escaped.
    async fn json(&self, name: &str, json: Bytes) -> Result<(), Disconnected> {
        if json.len() > 4096 {
            let (head, tail) = match self.format {
                Format::Sse => (format!("event: {name}\ndata: "), "\n\n"),
                Format::Json | Format::Ndjson => (String::new(), "\n"),
            };
            self.outlet.send(Bytes::from(head)).await?;
            self.outlet.send(json).await?;
            return self.outlet.send(Bytes::from_static(tail.as_bytes())).await;
        }
        let mut line = Vec::with_capacity(json.len() + 32);
        if self.format == Format::Sse {
            line.extend_from_slice(format!("event: {name}\ndata: ").as_bytes());
        }
        line.extend_from_slice(&json);
        line.extend_from_slice(match self.format {
            Format::Sse => b"\n\n",
            Format::Json | Format::Ndjson => b"\n",
        });
        self.outlet.send(Bytes::from(line)).await
    }

    async fn keepalive(&self) -> Result<(), Disconnected> {
        let message: &[u8] = match self.format {
            Format::Sse => b": keepalive\n\n",
            Format::Json | Format::Ndjson => b"{\"type\":\"keepalive\"}\n",
        };
        self.outlet.send(Bytes::from_static(message)).await
    }
}

/// Returns the name of an event: its field `type`.
fn name(event: &EventJson) -> &'static str {
    match event {
        EventJson::Setup { .. } => "setup",
        EventJson::Output { .. } => "output",
        EventJson::Bundle { .. } => "bundle",
        EventJson::Tool { .. } => "tool",
        EventJson::Server { .. } => "server",
        EventJson::StepStarted { .. } => "step_started",
        EventJson::ReplyDelta { .. } => "reply_delta",
        EventJson::ModelRetry { .. } => "model_retry",
        EventJson::Reply { .. } => "reply",
        EventJson::CodeStarted { .. } => "code_started",
        EventJson::Observation { .. } => "observation",
        EventJson::Question { .. } => "question",
        EventJson::Approval { .. } => "approval",
        EventJson::Finished { .. } => "finished",
        EventJson::Changes { .. } => "changes",
        _ => "event",
    }
}
