//! Streams of the Connect protocol: each message has an envelope of a byte of flags and its length.
//!
//! Security boundary: envelopes of clients are untrusted. A message is limited before memory is taken for it.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::e2b::envd::connect::{
    MAX_MESSAGE, check_content_type, deadline_exceeded, decode, read_body, timeout, too_large,
};
use crate::e2b::envd::error::ConnectError;

const CONTENT_TYPE: &str = "application/connect+json";
/// Header with the compression of the messages of a stream.
const ENCODING: &str = "connect-content-encoding";
/// Flag of the last message of a response.
const END: u8 = 2;
/// Bytes of an envelope before its message.
const HEAD: usize = 5;
/// Messages of a stream that the client has not read yet. Then the sender waits.
const BUFFERED: usize = 16;
/// Time without a message after which one is sent to keep the connection, unless the client asks for another.
const KEEPALIVE: Duration = Duration::from_secs(90);

/// Extractor: the only message of a request whose response is a stream, and the settings of the stream.
pub(super) struct Streamed<T>(pub(super) T, pub(super) StreamSettings);

/// How the client wants a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamSettings {
    /// Time after which it ends; `None`: never.
    pub(super) timeout: Option<Duration>,
    keepalive: Duration,
}

impl StreamSettings {
    fn of(headers: &HeaderMap) -> Result<Self, ConnectError> {
        let seconds = headers.get("keepalive-ping-interval");
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        Ok(Self {
            timeout: timeout(headers)?,
            keepalive: seconds.map_or(KEEPALIVE, |s| Duration::from_secs(s.clamp(1, 600))),
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Streamed<T> {
    type Rejection = StreamError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, StreamError> {
        check_content_type(request.headers(), CONTENT_TYPE, ENCODING)?;
        let settings = StreamSettings::of(request.headers())?;
        let body = read_body(request).await?;
        let message = single_message(&body)?;
        Ok(Self(decode(message)?, settings))
    }
}

/// Returns the message of a body that must have exactly one.
fn single_message(body: &[u8]) -> Result<&[u8], ConnectError> {
    let (head, message) = body
        .split_first_chunk::<HEAD>()
        .ok_or_else(|| ConnectError::invalid("the request has no complete envelope"))?;
    match length(head)? == message.len() {
        true => Ok(message),
        false => Err(ConnectError::invalid(
            "the length in the envelope is not that of the message; expected one message",
        )),
    }
}

/// Returns the length of the message of an envelope.
fn length(head: &[u8; HEAD]) -> Result<usize, ConnectError> {
    let [flags, a, b, c, d] = *head;
    if flags != 0 {
        return Err(ConnectError::invalid(format!(
            "the envelope has the flags {flags:#04x}; expected none, as messages are not compressed"
        )));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > MAX_MESSAGE {
        Err(too_large())
    } else {
        Ok(length)
    }
}

/// An error before a stream has begun. It is the end of an empty stream, with the status 200.
#[derive(Debug)]
pub(super) struct StreamError(ConnectError);

impl<E: Into<ConnectError>> From<E> for StreamError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for StreamError {
    fn into_response(self) -> Response {
        response(Body::from(end(Some(&self.0))))
    }
}

fn response(body: Body) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
}

fn envelope(flags: u8, message: &Value) -> Bytes {
    let text = message.to_string();
    let mut bytes = Vec::with_capacity(HEAD + text.len());
    bytes.push(flags);
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    bytes.into()
}

fn end(error: Option<&ConnectError>) -> Bytes {
    let message = match error {
        None => json!({}),
        Some(error) => json!({"error": error.body()}),
    };
    envelope(END, &message)
}

/// The sender's end of a stream. The stream ends when it is dropped.
pub(super) type Messages = mpsc::Sender<Result<Value, ConnectError>>;
/// The response's end of a stream. An error is its last message.
pub(super) type MessageReceiver = mpsc::Receiver<Result<Value, ConnectError>>;

/// Returns both ends of a stream of messages.
pub(super) fn messages() -> (Messages, MessageReceiver) {
    mpsc::channel(BUFFERED)
}

/// A stream of messages that is sent to the client.
struct Outgoing {
    messages: MessageReceiver,
    keepalive: Duration,
    keepalive_message: Value,
    deadline: Option<Instant>,
    has_ended: bool,
}

impl Outgoing {
    async fn next(&mut self) -> Option<Bytes> {
        if self.has_ended {
            return None;
        }
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let bytes = tokio::select! {
            biased;
            message = self.messages.recv() => match message {
                Some(Ok(message)) => return Some(envelope(0, &message)),
                Some(Err(error)) => end(Some(&error)),
                None => end(None),
            },
            () = deadline => end(Some(&deadline_exceeded())),
            () = tokio::time::sleep(self.keepalive) => return Some(envelope(0, &self.keepalive_message)),
        };
        self.has_ended = true;
        Some(bytes)
    }
}

/// Returns the response that sends `messages`, and `keepalive` while there is none.
pub(super) fn stream_of(
    messages: MessageReceiver,
    settings: StreamSettings,
    keepalive: Value,
) -> Response {
    let outgoing = Outgoing {
        messages,
        keepalive: settings.keepalive,
        keepalive_message: keepalive,
        deadline: settings
            .timeout
            .and_then(|time| Instant::now().checked_add(time)),
        has_ended: false,
    };
    let stream = futures_util::stream::unfold(outgoing, |mut outgoing| async move {
        let bytes = outgoing.next().await?;
        Some((Ok::<_, Infallible>(bytes), outgoing))
    });
    response(Body::from_stream(stream))
}

/// The messages of a request that is a stream.
pub(super) struct Incoming {
    body: BodyDataStream,
    buffer: Vec<u8>,
}

impl Incoming {
    /// Reads the messages of `request`.
    pub(super) fn new(request: Request) -> Result<Self, ConnectError> {
        check_content_type(request.headers(), CONTENT_TYPE, ENCODING)?;
        Ok(Self {
            body: request.into_body().into_data_stream(),
            buffer: Vec::new(),
        })
    }

    /// Returns the next message; `None` at the end.
    pub(super) async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ConnectError> {
        loop {
            if let Some((head, rest)) = self.buffer.split_first_chunk::<HEAD>() {
                let length = length(head)?;
                if let Some(message) = rest.get(..length) {
                    let message = decode(message)?;
                    self.buffer.drain(..HEAD + length);
                    return Ok(Some(message));
                }
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.is_empty() => return Ok(None),
                _ => return Err(ConnectError::invalid("the request ends within a message")),
            }
        }
    }
}

/// Returns a stream with `message` only.
pub(super) fn single(message: &Value) -> Response {
    let mut bytes = envelope(0, message).to_vec();
    bytes.extend_from_slice(&end(None));
    response(Body::from(bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{END, end, envelope, single_message};
    use crate::e2b::envd::error::{Code, ConnectError};

    #[test]
    fn envelopes_have_flags_and_length() {
        assert_eq!(&envelope(0, &json!({}))[..], b"\0\0\0\0\x02{}");
        assert_eq!(&end(None)[..], b"\x02\0\0\0\x02{}");
        let error = ConnectError::new(Code::NotFound, "x");
        let bytes = end(Some(&error));
        assert_eq!(bytes.first(), Some(&END));
        assert!(bytes.ends_with(br#"{"error":{"code":"not_found","message":"x"}}"#));
    }

    #[test]
    fn wrong_envelopes_are_refused() {
        assert_eq!(single_message(b"\0\0\0\0\x02{}"), Ok(&b"{}"[..]));
        for body in [
            &b""[..],
            b"{}",
            b"\0\0\0\0",
            b"\x01\0\0\0\x02{}",
            b"\x02\0\0\0\x02{}",
            b"\0\0\0\0\x03{}",
            b"\0\0\0\0\x01{}",
            b"\0\xff\xff\xff\xff{}",
            b"\0\0\0\0\x02{}\0\0\0\0\x02{}",
        ] {
            assert!(single_message(body).is_err(), "{body:?}");
        }
    }
}
