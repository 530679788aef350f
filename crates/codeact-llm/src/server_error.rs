//! Parses the error of a server, and decides if a retry may succeed.

use std::time::Duration;

use serde_json::Value;

use crate::api_key::{ApiKey, redact};
use crate::error::ModelError;
use crate::retry::FailedAttempt;

/// Maximum length of a server's message, in characters.
const MAX_MESSAGE_CHARS: usize = 600;

/// Error of a server, from an HTTP status and body or from an object in a stream. Its texts are not redacted until
/// [`ServerError::into_failed_attempt`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerError {
    pub status: u16,
    pub message: String,
    /// The rejected field of the request.
    pub param: Option<String>,
    code: String,
    pub retry_after: Option<Duration>,
}

/// The request that failed, for the error text.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub address: &'a str,
    pub model: &'a str,
    pub key: Option<&'a ApiKey>,
    pub attempt: u32,
}

impl ServerError {
    /// Parses an error response. `body` can be any text.
    pub fn from_status(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let mut error = match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::read(&value),
            Err(_) => Self::plain(String::from_utf8_lossy(body).into_owned()),
        };
        error.status = status;
        error.retry_after = retry_after;
        error
    }

    /// Parses an error object in a successful response. The status is the one in the object, or one that matches its
    /// type, or 500.
    pub fn from_object(value: &Value) -> Self {
        let mut parsed = Self::read(value);
        let object = value.get("error").unwrap_or(value);
        let status = ["code", "status", "status_code"].iter().find_map(|name| {
            let value = object.get(name)?;
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            u16::try_from(number)
                .ok()
                .filter(|n| (400..600).contains(n))
        });
        let has = |word: &str| parsed.code.contains(word);
        parsed.status = match status {
            Some(status) => status,
            None if has("rate_limit") || has("quota") => 429,
            None if has("authentication") || has("invalid_api_key") => 401,
            None if has("permission") => 403,
            None if has("not_found") => 404,
            None if has("invalid") || has("exceed_context") => 400,
            None => 500,
        };
        parsed
    }

    fn plain(message: String) -> Self {
        Self {
            status: 500,
            message,
            param: None,
            code: String::new(),
            retry_after: None,
        }
    }

    /// Parses the known formats: `{"error": {"message"}}`, `{"error": "…"}`, `{"message"}`, `{"detail": "…" or […]}`,
    /// and each of them in an array (Gemini).
    fn read(value: &Value) -> Self {
        let value = value.get(0).unwrap_or(value);
        let error = value
            .get("error")
            .filter(|error| !error.is_null())
            .unwrap_or(value);
        let message = [
            error.get("message"),
            error.get("detail"),
            value.get("message"),
            value.get("detail"),
        ]
        .into_iter()
        .flatten()
        .next()
        .unwrap_or(error);
        let message = match message {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or("");
        Self {
            param: error
                .get("param")
                .and_then(Value::as_str)
                .map(str::to_owned),
            code: format!("{} {}", text("code"), text("type")),
            ..Self::plain(message)
        }
    }

    /// Returns true if the server rejected the format of the request.
    pub fn is_bad_request(&self) -> bool {
        matches!(self.status, 400 | 422)
    }

    /// Returns the failed attempt with this error.
    pub fn into_failed_attempt(self, context: RequestContext<'_>) -> FailedAttempt {
        let message = redact(&self.message, context.key, MAX_MESSAGE_CHARS);
        let address = context.address.to_owned();
        let status = self.status;
        let attempts = context.attempt;
        let reason = if message.is_empty() {
            status.to_string()
        } else {
            format!("{status}: {message}")
        };
        match status {
            401 | 403 => FailedAttempt::permanent(ModelError::KeyRefused {
                address,
                status,
                key_sent: context.key.is_some(),
                message,
            }),
            402 => FailedAttempt::permanent(ModelError::NoCredit {
                address,
                status,
                message,
            }),
            429 if self.code.contains("insufficient_quota") => {
                FailedAttempt::permanent(ModelError::NoCredit {
                    address,
                    status,
                    message,
                })
            }
            404 => FailedAttempt::permanent(ModelError::UnknownModel {
                address,
                model: context.model.to_owned(),
                message,
            }),
            429 => {
                let error = ModelError::RateLimited {
                    address,
                    attempts,
                    message,
                };
                FailedAttempt::transient(error, reason, self.retry_after)
            }
            408 | 409 | 500.. => {
                let error = ModelError::ServerFailed {
                    address,
                    status,
                    attempts,
                    message,
                };
                FailedAttempt::transient(error, reason, self.retry_after)
            }
            _ => FailedAttempt::permanent(ModelError::BadRequest {
                address,
                status,
                message,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "sk-very-secret-0123456789";

    fn failure(status: u16, body: &str) -> FailedAttempt {
        let key = ApiKey::new(KEY);
        ServerError::from_status(status, body.as_bytes(), None).into_failed_attempt(
            RequestContext {
                address: "http://a/v1",
                model: "m",
                key: Some(&key),
                attempt: 2,
            },
        )
    }

    #[test]
    fn the_message_is_parsed_from_each_format() {
        for body in [
            r#"{"error":{"message":"boom"}}"#,
            r#"[{"error":{"message":"boom"}}]"#,
            r#"{"error":"boom"}"#,
            r#"{"message":"boom"}"#,
            r#"{"detail":"boom"}"#,
            "boom",
        ] {
            assert_eq!(
                ServerError::from_status(400, body.as_bytes(), None).message,
                "boom"
            );
        }
    }

    #[test]
    fn only_transient_failures_are_retried() {
        for (status, is_retried) in [
            (400, false),
            (401, false),
            (402, false),
            (403, false),
            (404, false),
            (408, true),
            (409, true),
            (413, false),
            (422, false),
            (429, true),
            (500, true),
            (503, true),
            (529, true),
        ] {
            assert_eq!(failure(status, "").retry.is_some(), is_retried, "{status}");
        }
        let quota = failure(429, r#"{"error":{"code":"insufficient_quota"}}"#);
        assert!(quota.retry.is_none());
        assert!(matches!(*quota.error, ModelError::NoCredit { .. }));
    }

    #[test]
    fn an_error_object_has_its_own_or_a_matching_status() {
        for (error, status) in [
            (json!({"code": 503}), 503),
            (json!({"code": "429"}), 429),
            (json!({"code": 7}), 500),
            (json!({"type": "rate_limit_error"}), 429),
            (json!({"type": "invalid_request_error"}), 400),
            (json!({"type": "overloaded_error"}), 500),
            (json!("boom"), 500),
        ] {
            assert_eq!(
                ServerError::from_object(&json!({"error": error})).status,
                status
            );
        }
    }

    #[test]
    fn a_key_in_a_servers_message_is_redacted() {
        for status in [400, 401, 404, 429, 500] {
            let body = format!(
                r#"{{"error":{{"message":"bad {KEY} {}"}}}}"#,
                "x".repeat(9999)
            );
            let failure = failure(status, &body);
            let text = format!("{failure:?} {}", failure.error);
            assert!(!text.contains(KEY), "{text}");
            assert!(failure.error.to_string().len() < 1000);
        }
    }
}
