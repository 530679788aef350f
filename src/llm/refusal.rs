//! Reads what a server says when it will not answer, and decides whether that may pass.

use std::time::Duration;

use serde_json::Value;

use super::error::ModelError;
use super::retry::Failure;
use super::secret::{Secret, scrub};

/// Longest message of a server that is kept, in characters.
const MOST_MESSAGE: usize = 600;

/// A server's error, from an HTTP status and body or from an object inside a stream. Its texts
/// are as the server wrote them until [`Refusal::into_failure`] scrubs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub status: u16,
    pub message: String,
    /// The field that is at fault.
    pub param: Option<String>,
    code: String,
    pub retry_after: Option<Duration>,
}

/// Who was asked for what: the rest of what an error says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub address: &'a str,
    pub model: &'a str,
    pub key: Option<&'a Secret>,
    pub attempt: u32,
}

impl Refusal {
    /// An answer of `status` with `body`, which may be anything.
    pub fn in_status(status: u16, body: &[u8], retry_after: Option<Duration>) -> Self {
        let mut refusal = match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::read(&value),
            Err(_) => Self::plain(String::from_utf8_lossy(body).into_owned()),
        };
        refusal.status = status;
        refusal.retry_after = retry_after;
        refusal
    }

    /// An object with an `error` where an answer was expected, under a status of success. Its
    /// status is the one it names, or what its type says, or 500.
    pub fn in_answer(value: &Value) -> Self {
        let mut refusal = Self::read(value);
        let error = value.get("error").unwrap_or(value);
        let named = ["code", "status", "status_code"].iter().find_map(|name| {
            let value = error.get(name)?;
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
            u16::try_from(number)
                .ok()
                .filter(|n| (400..600).contains(n))
        });
        let says = |word: &str| refusal.code.contains(word);
        refusal.status = match named {
            Some(status) => status,
            None if says("rate_limit") || says("quota") => 429,
            None if says("authentication") || says("invalid_api_key") => 401,
            None if says("permission") => 403,
            None if says("not_found") => 404,
            None if says("invalid") || says("exceed_context") => 400,
            None => 500,
        };
        refusal
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

    /// The shapes there are: `{"error": {"message"}}`, `{"error": "…"}`, `{"message"}`,
    /// `{"detail": "…" or […]}`, and any of them in an array (Gemini).
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

    /// Whether it is the request's form that is at fault.
    pub fn blames_request(&self) -> bool {
        matches!(self.status, 400 | 422)
    }

    /// The failed try that this is.
    pub fn into_failure(self, asked: Asked<'_>) -> Failure {
        let message = scrub(&self.message, asked.key, MOST_MESSAGE);
        let address = asked.address.to_owned();
        let status = self.status;
        let attempts = asked.attempt;
        let reason = if message.is_empty() {
            status.to_string()
        } else {
            format!("{status}: {message}")
        };
        match status {
            401 | 403 => Failure::last(ModelError::KeyRefused {
                address,
                status,
                key_sent: asked.key.is_some(),
                message,
            }),
            402 => Failure::last(ModelError::NoCredit {
                address,
                status,
                message,
            }),
            429 if self.code.contains("insufficient_quota") => {
                Failure::last(ModelError::NoCredit {
                    address,
                    status,
                    message,
                })
            }
            404 => Failure::last(ModelError::UnknownModel {
                address,
                model: asked.model.to_owned(),
                message,
            }),
            429 => {
                let error = ModelError::RateLimited {
                    address,
                    attempts,
                    message,
                };
                Failure::passing(error, reason, self.retry_after)
            }
            408 | 409 | 500.. => {
                let error = ModelError::ServerFailed {
                    address,
                    status,
                    attempts,
                    message,
                };
                Failure::passing(error, reason, self.retry_after)
            }
            _ => Failure::last(ModelError::BadRequest {
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

    fn failure(status: u16, body: &str) -> Failure {
        let key = Secret::new(KEY);
        Refusal::in_status(status, body.as_bytes(), None).into_failure(Asked {
            address: "http://a/v1",
            model: "m",
            key: Some(&key),
            attempt: 2,
        })
    }

    #[test]
    fn each_shape_of_an_error_gives_its_message() {
        for body in [
            r#"{"error":{"message":"boom"}}"#,
            r#"[{"error":{"message":"boom"}}]"#,
            r#"{"error":"boom"}"#,
            r#"{"message":"boom"}"#,
            r#"{"detail":"boom"}"#,
            "boom",
        ] {
            assert_eq!(
                Refusal::in_status(400, body.as_bytes(), None).message,
                "boom"
            );
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_the_rest_is_not() {
        for (status, again) in [
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
            assert_eq!(failure(status, "").again.is_some(), again, "{status}");
        }
        let quota = failure(429, r#"{"error":{"code":"insufficient_quota"}}"#);
        assert!(quota.again.is_none());
        assert!(matches!(*quota.error, ModelError::NoCredit { .. }));
    }

    #[test]
    fn an_error_inside_an_answer_has_the_status_that_it_names_or_means() {
        for (error, status) in [
            (json!({"code": 503}), 503),
            (json!({"code": "429"}), 429),
            (json!({"code": 7}), 500),
            (json!({"type": "rate_limit_error"}), 429),
            (json!({"type": "invalid_request_error"}), 400),
            (json!({"type": "overloaded_error"}), 500),
            (json!("boom"), 500),
        ] {
            assert_eq!(Refusal::in_answer(&json!({"error": error})).status, status);
        }
    }

    #[test]
    fn a_server_that_repeats_the_key_does_not_bring_it_into_an_error() {
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
