//! The JSON body of a request.
//!
//! Security boundary: a body is untrusted. Its size and the time in which it arrives are bounded, and unknown fields are
//! errors.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::app::AppState;
use crate::error::ApiError;

/// Time in which the next part of a body must arrive.
pub(super) const IDLE: Duration = Duration::from_secs(30);
/// Time in which a body that is held in memory must arrive.
const WHOLE: Duration = Duration::from_secs(120);
/// Limit of an error message, in characters, because it can quote the request.
const MAX_MESSAGE: usize = 500;

/// Extractor: a JSON body without unknown fields. An empty body is an empty object.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let is_json = declares_json(request.headers());
        if is_json == Some(false) {
            return Err(not_json());
        }
        let bytes = read_body(request.into_body(), app.config.body).await?;
        if bytes.is_empty() {
            return parse(b"{}").map(Self);
        }
        match is_json {
            Some(_) => parse(&bytes).map(Self),
            None => Err(not_json()),
        }
    }
}

/// Returns whether the request declares a JSON body; `None` if it declares nothing.
fn declares_json(headers: &HeaderMap) -> Option<bool> {
    let declared = headers.get(CONTENT_TYPE)?.to_str().unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    Some(essence == "application/json" || essence.ends_with("+json"))
}

fn not_json() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "content_type",
        "the body is not declared as JSON; send `Content-Type: application/json`",
    )
}

/// Reads a whole body of at most `max` bytes.
pub(super) async fn read_body(body: Body, max: usize) -> Result<Bytes, ApiError> {
    let declared = body.size_hint().lower();
    if declared > max as u64 {
        return Err(too_large(max));
    }
    let read = async {
        let mut parts = body.into_data_stream();
        let mut whole: Vec<u8> = Vec::new();
        while let Some(part) = next_part(&mut parts).await? {
            if whole.len().saturating_add(part.len()) > max {
                return Err(too_large(max));
            }
            whole.extend_from_slice(&part);
        }
        Ok(Bytes::from(whole))
    };
    match tokio::time::timeout(WHOLE, read).await {
        Ok(read) => read,
        Err(_) => Err(too_slow()),
    }
}

/// Returns the next part of a body, which must arrive in time; `None` at its end.
pub(super) async fn next_part(
    parts: &mut axum::body::BodyDataStream,
) -> Result<Option<Bytes>, ApiError> {
    match tokio::time::timeout(IDLE, parts.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(part))) => Ok(Some(part)),
        Ok(Some(Err(error))) => Err(ApiError::bad_request(shorten(&format!(
            "the body could not be read: {error}"
        )))),
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "request_timeout",
        "the body did not arrive in time",
    )
}

pub(super) fn too_large(max: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        format!("the body has more than {max} bytes, which is the limit"),
    )
}

/// Parses a JSON text. The error names the field.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        let is_invalid = inner.classify() == Category::Data;
        let message = match (is_invalid, path.as_str()) {
            (true, ".") => inner.to_string(),
            (true, path) => format!("at `{}`: {inner}", shorten(path)),
            (false, _) => format!("the body is not valid JSON: {inner}"),
        };
        let code = if is_invalid {
            "invalid_request"
        } else {
            "malformed_json"
        };
        ApiError::new(StatusCode::BAD_REQUEST, code, shorten(&message))
    })?;
    deserializer.end().map_err(|error| {
        let message = format!("the body is not valid JSON: {error}");
        ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", message)
    })?;
    Ok(value)
}

/// Returns an error for the value of a field that only its content shows to be invalid.
pub(super) fn invalid(field: &str, why: impl std::fmt::Display) -> ApiError {
    let message = format!("at `{}`: {why}", shorten(field));
    ApiError::new(
        StatusCode::BAD_REQUEST,
        "invalid_request",
        shorten(&message),
    )
}

/// Returns `text` with a bounded length.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Outer {
        #[serde(default)]
        inner: Inner,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Inner {
        number: u64,
    }

    #[test]
    fn errors_name_the_field() {
        let error = parse::<Outer>(br#"{"inner": {"number": "x"}}"#).unwrap_err();
        assert!(error.message.starts_with("at `inner.number`: "), "{error}");
        assert_eq!(error.code, "invalid_request");
        let error = parse::<Outer>(br#"{"other": 1}"#).unwrap_err();
        assert!(error.message.contains("unknown field `other`"), "{error}");
    }

    #[test]
    fn malformed_texts_are_errors_with_bounded_messages() {
        let deep = "[".repeat(1_000_000);
        let long = format!(r#"{{"{}": 1}}"#, "x".repeat(100_000));
        for text in [
            &b"\xff"[..],
            b"{",
            b"{} {}",
            deep.as_bytes(),
            long.as_bytes(),
        ] {
            let error = parse::<Outer>(text).unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST);
            assert!(error.message.len() < 3000, "{}", error.message.len());
        }
    }
}
