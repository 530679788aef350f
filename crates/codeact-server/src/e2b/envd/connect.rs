//! Calls of the Connect protocol with one request and one response, in JSON.
//!
//! Security boundary: requests are untrusted. Their size is limited before they are read.

use std::time::Duration;

use axum::Json;
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::e2b::envd::error::{Code, ConnectError};

/// Limit of one message, in bytes.
pub(super) const MAX_MESSAGE: usize = 4 << 20;
/// Longest time that a client can ask for, in milliseconds: ten digits, as the protocol has it.
const MAX_TIMEOUT_DIGITS: usize = 10;

/// Response of a call.
pub(super) type CallResult = Result<Json<Value>, ConnectError>;

/// Extractor: the message of a call.
pub(super) struct Message<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Message<T> {
    type Rejection = ConnectError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ConnectError> {
        check_content_type(
            request.headers(),
            "application/json",
            header::CONTENT_ENCODING.as_str(),
        )?;
        let body = read_body(request).await?;
        decode(&body).map(Self)
    }
}

/// Checks that a request is JSON that is not compressed, which is all that the clients send.
pub(super) fn check_content_type(
    headers: &HeaderMap,
    expected: &str,
    encoding: &str,
) -> Result<(), ConnectError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let content = text(header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let content = content.split(';').next().unwrap_or_default().trim();
    if !content.eq_ignore_ascii_case(expected) {
        let message = format!("the content type is {content:?}; expected {expected:?}");
        return Err(ConnectError::invalid(message));
    }
    match text(encoding) {
        None | Some("" | "identity") => Ok(()),
        Some(other) => Err(ConnectError::new(
            Code::Unimplemented,
            format!(
                "the compression {other:?} is not supported; supported encodings are: identity"
            ),
        )),
    }
}

/// Reads a body of one message.
pub(super) async fn read_body(request: Request) -> Result<Bytes, ConnectError> {
    to_bytes(request.into_body(), MAX_MESSAGE + 64)
        .await
        .map_err(|_| too_large())
}

pub(super) fn too_large() -> ConnectError {
    let message = format!("the message is incomplete, or larger than {MAX_MESSAGE} bytes");
    ConnectError::new(Code::ResourceExhausted, message)
}

/// Decodes a message. An empty one has the defaults of all fields.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ConnectError> {
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    // A sequence would be taken for the fields in order.
    let fields: serde_json::Map<String, Value> = serde_json::from_slice(bytes).map_err(invalid)?;
    serde_json::from_value(Value::Object(fields)).map_err(invalid)
}

fn invalid(error: serde_json::Error) -> ConnectError {
    ConnectError::invalid(format!("the message is not valid: {error}"))
}

/// Returns the time that the client gives a call; `None`: any.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, ConnectError> {
    let Some(value) = headers.get("connect-timeout-ms") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default();
    let is_number = !text.is_empty()
        && text.len() <= MAX_TIMEOUT_DIGITS
        && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(ms) if is_number => Ok(Some(Duration::from_millis(ms))),
        _ => Err(ConnectError::invalid(format!(
            "Connect-Timeout-Ms is {text:?}; expected a number of at most ten digits"
        ))),
    }
}

/// Middleware: ends a call when its time is over.
pub(super) async fn with_deadline(request: Request, next: Next) -> Response {
    match timeout(request.headers()) {
        Err(error) => error.into_response(),
        Ok(None) => next.run(request).await,
        Ok(Some(time)) => match tokio::time::timeout(time, next.run(request)).await {
            Ok(response) => response,
            Err(_) => deadline_exceeded().into_response(),
        },
    }
}

pub(super) fn deadline_exceeded() -> ConnectError {
    ConnectError::new(Code::DeadlineExceeded, "the time of the call is over")
}
