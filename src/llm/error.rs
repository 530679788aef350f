//! Why there is no reply. Each message is one line: what happened, what was expected, what to do.
//!
//! Texts that come from a server are bounded, on one line, and have the key taken out before they
//! get here (`secret::scrub`); addresses are shown without a user name, password or query.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Why a model cannot be had, or a call to it gave no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Nothing says which model to use.
    #[error(
        "no model is configured: none of the variables {} is set, and no local server has a model at {}; \
         set one of them, start a server or pass --model and --base-url (`codeact demo` and \
         `codeact exec` need no model)",
        .variables.join(", "), .addresses.join(", ")
    )]
    NotConfigured {
        /// The variables that were looked for.
        variables: Vec<String>,
        /// The local addresses that were tried.
        addresses: Vec<String>,
    },

    /// A base URL that cannot be used. The text given is not repeated: it may hold a password.
    #[error(
        "{what} is no usable base URL ({reason}); expected something like \
         http://127.0.0.1:8000/v1"
    )]
    BadAddress {
        /// What gave it, such as `--base-url` or a variable's name.
        what: String,
        /// What is wrong with it.
        reason: String,
    },

    /// The key has characters that an HTTP header may not carry.
    #[error(
        "the API key has characters that no HTTP header may carry; expected one line of visible \
         ASCII, so look at how it is quoted where it is set"
    )]
    UnusableKey,

    /// The service needs a key and there is none.
    #[error(
        "{service} needs an API key and there is none; set {} (to send the whole name to a server \
         of your own, give --base-url)",
        .variables.join(" or ")
    )]
    MissingKey {
        /// The preset's name.
        service: String,
        /// The variables that may hold the key.
        variables: Vec<String>,
    },

    /// The HTTP client could not be made.
    #[error(
        "the HTTP client cannot be set up ({reason}); expected the system's CA certificates and \
         proxy settings to be readable"
    )]
    Client {
        /// The client's own word.
        reason: String,
    },

    /// No connection came about.
    #[error(
        "{address} cannot be reached after {} ({reason}); check that the server is running and \
         the address, network and proxy are right",
        tries(*.attempts)
    )]
    Unreachable {
        /// Where.
        address: String,
        /// How many tries were made.
        attempts: u32,
        /// The last try's cause.
        reason: String,
    },

    /// The connection ended before the reply did.
    #[error(
        "the reply from {address} broke off in each of {} ({reason}); try again, and look at \
         the server's log if it goes on",
        tries(*.attempts)
    )]
    Broken {
        /// Where.
        address: String,
        /// How many tries were made.
        attempts: u32,
        /// The last try's cause.
        reason: String,
    },

    /// The server fell silent for longer than the stall limit.
    #[error(
        "{address} sent nothing for {} in the last of {}; raise the stall limit if the model is \
         this slow",
        seconds(*.limit), tries(*.attempts)
    )]
    Stalled {
        /// Where.
        address: String,
        /// The stall limit.
        limit: Duration,
        /// How many tries were made.
        attempts: u32,
    },

    /// The whole call took longer than it may.
    #[error(
        "no whole reply from {address} within {}{}; raise the call's time limit, or ask for less",
        seconds(*.limit), so_far(.last)
    )]
    TimeLimit {
        /// Where.
        address: String,
        /// The call's limit.
        limit: Duration,
        /// What the last failed try ended with.
        last: Option<String>,
    },

    /// The server wants a longer pause than a call may make.
    #[error(
        "{address} asks to wait {} before the next try, and this call may wait {}: {reason}; try \
         again later or use another model",
        seconds(*.wait), seconds(*.limit)
    )]
    WaitTooLong {
        /// Where.
        address: String,
        /// What the server asks for.
        wait: Duration,
        /// What the call may still wait.
        limit: Duration,
        /// What the server refused.
        reason: String,
    },

    /// 401 or 403.
    #[error(
        "{address} refuses {} ({status}{}); check the key and what it may use",
        if *.key_sent { "the API key" } else { "a request without an API key" }, said(.message)
    )]
    KeyRefused {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// Whether a key was sent.
        key_sent: bool,
        /// The server's word.
        message: String,
    },

    /// The account has no credit left (402, or `insufficient_quota`).
    #[error(
        "the account at {address} has no credit left ({status}{}); top it up or use another \
         model",
        said(.message)
    )]
    NoCredit {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's word.
        message: String,
    },

    /// 404.
    #[error(
        "{address} knows no model `{model}`, or is no chat-completions base URL (404{}); check \
         the model's name and that the base URL ends like /v1",
        said(.message)
    )]
    UnknownModel {
        /// Where.
        address: String,
        /// The model asked for.
        model: String,
        /// The server's word.
        message: String,
    },

    /// 429, as often as a call may try.
    #[error(
        "{address} still limits the rate after {} (429{}); wait, slow down or use another model",
        tries(*.attempts), said(.message)
    )]
    RateLimited {
        /// Where.
        address: String,
        /// How many tries were made.
        attempts: u32,
        /// The server's word.
        message: String,
    },

    /// 408, 409 or 5xx, as often as a call may try.
    #[error(
        "{address} still fails after {} ({status}{}); try again later or use another model",
        tries(*.attempts), said(.message)
    )]
    ServerFailed {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// How many tries were made.
        attempts: u32,
        /// The server's word.
        message: String,
    },

    /// Another status that says the request is at fault.
    #[error(
        "{address} does not accept the request ({status}{}); change what it names, or look up \
         what this model takes",
        said(.message)
    )]
    BadRequest {
        /// Where.
        address: String,
        /// The HTTP status.
        status: u16,
        /// The server's word.
        message: String,
    },

    /// 3xx: followed nowhere, so that a key goes only where its user sent it.
    #[error(
        "{address} answers that it has moved{}; give the new address as the base URL",
        said(.to)
    )]
    Moved {
        /// Where.
        address: String,
        /// Whereto, as the server says.
        to: String,
    },

    /// The reply is larger than the bound.
    #[error(
        "the reply from {address} is larger than the {limit} bytes that a reply may have; ask \
         for a shorter one (max_tokens) or raise the bound"
    )]
    ReplyTooLarge {
        /// Where.
        address: String,
        /// The bound in bytes.
        limit: usize,
    },

    /// An answer in another format.
    #[error(
        "{address} answers with something else than a chat completion ({reason}); expected \
         OpenAI's chat-completions format, so check the base URL"
    )]
    NotChatCompletions {
        /// Where.
        address: String,
        /// What is wrong, with an excerpt.
        reason: String,
    },

    /// A reply without text.
    #[error(
        "{model} at {address} replied without any text (finish reason: {finish}); expected some, \
         so raise max_tokens if it spent them thinking, or change the prompt"
    )]
    EmptyReply {
        /// Where.
        address: String,
        /// The model.
        model: String,
        /// Why it ended, in the server's word.
        finish: String,
    },

    /// No model was named and the server does not say what it has.
    #[error("{address} does not say which models it has ({reason}); name one with --model")]
    NoModelListed {
        /// Where.
        address: String,
        /// What it answered.
        reason: String,
    },

    /// A recording cannot be used.
    #[error(
        "the recording {} cannot be used ({reason}); expected JSON like \
         {{\"version\":1,\"exchanges\":[{{\"expect\":[\"…\"],\"reply\":\"…\"}}]}}",
        .path.display()
    )]
    RecordingUnreadable {
        /// The file, or `<text>`.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The conversation is another than the one recorded.
    #[error(
        "the conversation left the recording at exchange {exchange} of {exchanges}: expected the \
         last message to contain `{expected}`, and it is `{sent}`; record it anew"
    )]
    RecordingMismatch {
        /// Which exchange, from 1.
        exchange: usize,
        /// How many there are.
        exchanges: usize,
        /// What the last message lacks.
        expected: String,
        /// An excerpt of the last message.
        sent: String,
    },

    /// The conversation goes on past the recording's end.
    #[error(
        "the recording has no exchange left after {exchanges}, and the conversation goes on with \
         `{sent}`; record a longer one"
    )]
    RecordingEnded {
        /// How many there are.
        exchanges: usize,
        /// An excerpt of the last message.
        sent: String,
    },
}

fn tries(attempts: u32) -> String {
    match attempts {
        1 => "1 try".to_owned(),
        n => format!("{n} tries"),
    }
}

fn said(message: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| {
        if message.is_empty() {
            Ok(())
        } else {
            write!(f, ": {message}")
        }
    })
}

fn so_far(last: &Option<String>) -> String {
    match last {
        Some(reason) => format!(" (the last failed try: {reason})"),
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
    fn a_message_is_one_line_that_says_what_to_do() {
        let error = ModelError::NotConfigured {
            variables: vec!["OPENAI_API_KEY".into(), "HF_TOKEN".into()],
            addresses: vec!["http://127.0.0.1:11434/v1".into()],
        };
        let text = error.to_string();
        for part in [
            "OPENAI_API_KEY, HF_TOKEN",
            "11434",
            "codeact demo",
            "codeact exec",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\n'), "{text}");
    }

    #[test]
    fn times_are_seconds() {
        assert_eq!(seconds(Duration::from_millis(1500)), "1.5 s");
        assert_eq!(seconds(Duration::from_secs(60)), "60 s");
    }
}
