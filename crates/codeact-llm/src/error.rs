//! Errors of models. Each message is one line: the failure, the expectation, and advice.
//!
//! Texts of a server are bounded, on one line, and redacted (`api_key::redact`). Addresses are printed without a user
//! name, password or query. For the same reason the sources of errors are texts and not error objects.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use codeact_base::Hint;

/// Failure to choose a model, or of a call to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// No setting chooses a model.
    #[error(
        "no model is configured: none of the variables {} is set, and no local server has a model at {}; set one of \
         them, start a server, or name a model and the address of its server",
        .variables.join(", "), .addresses.join(", ")
    )]
    NotConfigured {
        /// The variables that were read.
        variables: Vec<String>,
        /// The local addresses that were probed.
        addresses: Vec<String>,
    },

    /// A base URL is not valid. The text itself is not included, because it can contain a password.
    #[error(
        "{setting} is not valid ({reason}); expected a base URL such as http://127.0.0.1:8000/v1"
    )]
    BadAddress {
        /// Name of the setting, such as a variable.
        setting: String,
        /// Description of the fault.
        reason: String,
    },

    /// An HTTP header cannot contain the key.
    #[error(
        "the API key has characters that are not allowed in an HTTP header; expected one line of visible ASCII, so \
         check its quotes where it is set"
    )]
    UnusableKey,

    /// The service needs a key, and none is set.
    #[error(
        "{service} needs an API key, and none is set; set {} (to send the complete name to a server of your own, give \
         its base URL)",
        .variables.join(" or ")
    )]
    MissingKey {
        /// Name of the preset.
        service: String,
        /// The variables that can contain the key.
        variables: Vec<String>,
    },

    /// The HTTP client cannot be created.
    #[error(
        "the HTTP client cannot be created ({reason}); expected readable CA certificates and proxy settings of the \
         system"
    )]
    Client {
        /// The error of the client.
        reason: String,
    },

    /// No connection could be made.
    #[error(
        "cannot connect to {address} after {} ({reason}); check that the server is running, and that the address, \
         network and proxy are right",
        attempts_text(*.attempts)
    )]
    Unreachable {
        /// Address of the server.
        address: String,
        /// Number of attempts.
        attempts: u32,
        /// Error of the last attempt.
        reason: String,
    },

    /// The connection ended before the end of the reply.
    #[error(
        "the reply from {address} was interrupted in {} ({reason}); try again, and check the server's log if it \
         happens again",
        attempts_text(*.attempts)
    )]
    Broken {
        /// Address of the server.
        address: String,
        /// Number of attempts.
        attempts: u32,
        /// Error of the last attempt.
        reason: String,
    },

    /// The server sent no data for longer than the stall limit.
    #[error(
        "{address} sent no data for {} in the last of {}; raise the stall limit if the model is this slow",
        seconds(*.limit), attempts_text(*.attempts)
    )]
    Stalled {
        /// Address of the server.
        address: String,
        /// The stall limit.
        limit: Duration,
        /// Number of attempts.
        attempts: u32,
    },

    /// The call exceeded its time limit.
    #[error(
        "no complete reply from {address} within {}{}; raise the time limit of the call, or request a shorter reply",
        seconds(*.limit), last_failure(.last)
    )]
    TimeLimit {
        /// Address of the server.
        address: String,
        /// The time limit.
        limit: Duration,
        /// Error of the last failed attempt.
        last: Option<String>,
    },

    /// The server requests a longer delay than the call allows.
    #[error(
        "{address} requests a delay of {} before a retry, and the call allows {}: {reason}; try again later or use \
         another model",
        seconds(*.wait), seconds(*.limit)
    )]
    WaitTooLong {
        /// Address of the server.
        address: String,
        /// The requested delay.
        wait: Duration,
        /// The longest delay that the call allows.
        limit: Duration,
        /// Description of the failure that would be retried.
        reason: String,
    },

    /// Status 401 or 403.
    #[error(
        "{address} rejected {} ({status}{}); check the key and its permissions",
        if *.key_sent { "the API key" } else { "a request without an API key" }, after_colon(.message)
    )]
    KeyRefused {
        /// Address of the server.
        address: String,
        /// The HTTP status.
        status: u16,
        /// True if a key was sent.
        key_sent: bool,
        /// The server's message.
        message: String,
    },

    /// The account has no credit left (status 402, or `insufficient_quota`).
    #[error(
        "the account at {address} has no credit left ({status}{}); add credit or use another model",
        after_colon(.message)
    )]
    NoCredit {
        /// Address of the server.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's message.
        message: String,
    },

    /// Status 404.
    #[error(
        "{address} has no model `{model}`, or is not a chat-completions base URL (404{}); check the model's name, and \
         that the base URL ends like /v1",
        after_colon(.message)
    )]
    UnknownModel {
        /// Address of the server.
        address: String,
        /// The requested model.
        model: String,
        /// The server's message.
        message: String,
    },

    /// Status 429 after all attempts.
    #[error(
        "{address} still limits the rate after {} (429{}); wait, send fewer requests or use another model",
        attempts_text(*.attempts), after_colon(.message)
    )]
    RateLimited {
        /// Address of the server.
        address: String,
        /// Number of attempts.
        attempts: u32,
        /// The server's message.
        message: String,
    },

    /// Status 408, 409 or 5xx after all attempts.
    #[error(
        "{address} still fails after {} ({status}{}); try again later or use another model",
        attempts_text(*.attempts), after_colon(.message)
    )]
    ServerFailed {
        /// Address of the server.
        address: String,
        /// The HTTP status.
        status: u16,
        /// Number of attempts.
        attempts: u32,
        /// The server's message.
        message: String,
    },

    /// Another status that rejects the request.
    #[error(
        "{address} rejected the request ({status}{}); change the named field, or check the fields that this model \
         supports",
        after_colon(.message)
    )]
    BadRequest {
        /// Address of the server.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's message.
        message: String,
    },

    /// Status 3xx. Redirects are not followed, so that a key goes only to the configured server.
    #[error("{address} was moved{}; use the new address as the base URL", after_colon(.to))]
    Moved {
        /// Address of the server.
        address: String,
        /// The new address, as the server gives it.
        to: String,
    },

    /// The reply exceeds its size limit.
    #[error(
        "the reply from {address} exceeds the limit of {limit} bytes; request a shorter one (max_tokens) or raise the \
         limit"
    )]
    ReplyTooLarge {
        /// Address of the server.
        address: String,
        /// The limit in bytes.
        limit: usize,
    },

    /// The response has another format.
    #[error(
        "the response of {address} is not a chat completion ({reason}); expected OpenAI's chat-completions format, so \
         check the base URL"
    )]
    NotChatCompletions {
        /// Address of the server.
        address: String,
        /// Description of the fault, with an excerpt.
        reason: String,
    },

    /// The reply has no text.
    #[error(
        "the reply of {model} at {address} has no text (finish reason: {finish}); raise max_tokens if the model used \
         them for reasoning, or change the prompt"
    )]
    EmptyReply {
        /// Address of the server.
        address: String,
        /// The requested model.
        model: String,
        /// The finish reason, as the server gives it.
        finish: String,
    },

    /// No model was named, and the server lists none.
    #[error("{address} does not list its models ({reason}); name one")]
    NoModelListed {
        /// Address of the server.
        address: String,
        /// Description of its response.
        reason: String,
    },

    /// A recording cannot be read or parsed.
    #[error(
        "the recording {} cannot be used ({reason}); expected JSON such as \
         {{\"version\":1,\"exchanges\":[{{\"expect\":[\"…\"],\"reply\":\"…\"}}]}}",
        .path.display()
    )]
    RecordingUnreadable {
        /// The file, or `<text>`.
        path: PathBuf,
        /// Description of the fault.
        reason: String,
    },

    /// The conversation differs from the recorded one.
    #[error(
        "the conversation differs from the recording at exchange {exchange} of {exchanges}: expected the last message \
         to contain `{expected}`, but it is `{sent}`; record it again"
    )]
    RecordingMismatch {
        /// Number of the exchange, counted from 1.
        exchange: usize,
        /// Number of exchanges in the recording.
        exchanges: usize,
        /// The text that the last message does not contain.
        expected: String,
        /// Excerpt of the last message.
        sent: String,
    },

    /// The conversation is longer than the recording.
    #[error(
        "the recording ended after {exchanges} exchanges, but the conversation continues with `{sent}`; record a \
         longer one"
    )]
    RecordingEnded {
        /// Number of exchanges in the recording.
        exchanges: usize,
        /// Excerpt of the last message.
        sent: String,
    },
}

impl ModelError {
    /// Returns advice that depends on the program, which renders it with its own options.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::NotConfigured { .. } => Some(Hint::ChooseModel),
            Self::NoModelListed { .. } => Some(Hint::NameModel),
            Self::MissingKey { .. } | Self::Moved { .. } => Some(Hint::GiveModelAddress),
            _ => None,
        }
    }
}

fn attempts_text(attempts: u32) -> String {
    match attempts {
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    }
}

/// Returns `: message`, or nothing if `message` is empty.
fn after_colon(message: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| {
        if message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {message}")
        }
    })
}

fn last_failure(reason: &Option<String>) -> String {
    match reason {
        Some(reason) => format!(" (the last failed attempt: {reason})"),
        None => String::new(),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", (time.as_secs_f64() * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_configuration_lists_variables_and_addresses_on_one_line() {
        let error = ModelError::NotConfigured {
            variables: vec!["OPENAI_API_KEY".into(), "HF_TOKEN".into()],
            addresses: vec!["http://127.0.0.1:11434/v1".into()],
        };
        let text = error.to_string();
        for part in ["OPENAI_API_KEY, HF_TOKEN", "11434"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\n'), "{text}");
        assert_eq!(error.hint(), Some(Hint::ChooseModel));
    }

    #[test]
    fn times_are_printed_in_seconds() {
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(60)), "60 s");
    }
}
