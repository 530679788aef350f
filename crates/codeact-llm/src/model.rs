//! The [`Model`] trait, its requests and replies, and the events of a call.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ModelError;

/// Author of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The instructions of the conversation.
    System,
    /// The user. Observations have this role as well.
    User,
    /// The model.
    Assistant,
}

/// A message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Author of the message.
    pub role: Role,
    /// Text of the message.
    pub content: String,
}

impl Message {
    /// Returns a message of `role` with the text `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// A request to a model. A field that is `None` is not sent, so that the server's default applies.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Request<'a> {
    /// The conversation so far, oldest message first.
    pub messages: &'a [Message],
    /// Stop sequences: the reply ends before the first of these texts. Their number is not limited, and empty ones are
    /// ignored. They are applied on the client, and also on the server if it supports them. Default: none.
    pub stop: &'a [String],
    /// Sampling temperature. Default: the server's.
    pub temperature: Option<f32>,
    /// Maximum length of the reply, in tokens. Default: the server's.
    pub max_tokens: Option<u32>,
    /// Sampling seed, for servers that support it. Default: none.
    pub seed: Option<u64>,
}

impl<'a> Request<'a> {
    /// Returns a request to continue the conversation `messages`, with every default.
    pub fn new(messages: &'a [Message]) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }

    /// Sets [`Request::stop`].
    #[must_use]
    pub fn stop(mut self, stop: &'a [String]) -> Self {
        self.stop = stop;
        self
    }

    /// Sets [`Request::temperature`].
    #[must_use]
    pub fn temperature(mut self, temperature: impl Into<Option<f32>>) -> Self {
        self.temperature = temperature.into();
        self
    }

    /// Sets [`Request::max_tokens`].
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: impl Into<Option<u32>>) -> Self {
        self.max_tokens = max_tokens.into();
        self
    }

    /// Sets [`Request::seed`].
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }
}

/// The complete reply of a model to a [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// Text of the reply, without the stop sequence.
    pub text: String,
    /// Reason for the end of the reply.
    pub finish: FinishReason,
    /// Token usage, if the server reports it. A reply that the client ended at a stop sequence has none, because
    /// servers report it at the end.
    pub usage: Option<TokenUsage>,
    /// Name of the model, as the server gives it.
    pub model: String,
}

impl Reply {
    /// Returns a reply of `model` that ended with [`FinishReason::Stop`] and has no usage.
    pub fn new(model: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            finish: FinishReason::Stop,
            usage: None,
            model: model.into(),
        }
    }

    /// Sets [`Reply::finish`].
    #[must_use]
    pub fn finish(mut self, finish: FinishReason) -> Self {
        self.finish = finish;
        self
    }

    /// Sets [`Reply::usage`].
    #[must_use]
    pub fn usage(mut self, usage: impl Into<Option<TokenUsage>>) -> Self {
        self.usage = usage.into();
        self
    }
}

/// Reason for the end of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model ended the reply, or the server found a stop sequence.
    Stop,
    /// The client found this stop sequence.
    StopSequence(String),
    /// The token limit was reached.
    Length,
    /// Another reason, as the server gives it.
    Other(String),
}

/// Number of tokens of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TokenUsage {
    /// Tokens of the request's messages.
    pub input_tokens: u64,
    /// Tokens of the reply, including reasoning tokens.
    pub output_tokens: u64,
}

impl TokenUsage {
    /// Returns a usage of this many tokens.
    pub fn new(input_tokens: u64, output_tokens: u64) -> Self {
        Self {
            input_tokens,
            output_tokens,
        }
    }
}

/// An event of a running call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelEvent<'a> {
    /// The next piece of the reply. It contains no part of a stop sequence that ends the reply.
    Delta(&'a str),
    /// An attempt failed and is retried. All deltas so far are void, because the reply starts again.
    Retry {
        /// Number of the failed attempt, counted from 1.
        attempt: u32,
        /// Delay before the next attempt.
        wait: Duration,
        /// Description of the failure.
        reason: &'a str,
    },
}

/// Callback for the [`ModelEvent`]s of a call. It is called on the task of the call, so it must not block.
pub type Watch<'a> = &'a (dyn Fn(ModelEvent<'_>) + Send + Sync);

/// Future of a running call. Dropping it cancels the call and closes its connection.
pub type Completion<'a> = Pin<Box<dyn Future<Output = Result<Reply, ModelError>> + Send + 'a>>;

/// A language model that continues a conversation.
///
/// ```
/// use codeact_llm::{Completion, Model, ModelEvent, Reply, Request, Watch};
///
/// /// Repeats the last message.
/// struct Echo;
///
/// impl Model for Echo {
///     fn name(&self) -> &str {
///         "echo"
///     }
///
///     fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
///         Box::pin(async move {
///             let text = request.messages.last().map_or("", |message| &message.content);
///             watch(ModelEvent::Delta(text));
///             Ok(Reply::new(self.name(), text))
///         })
///     }
/// }
/// ```
pub trait Model: Send + Sync {
    /// Returns the name of the model, as it was requested.
    fn name(&self) -> &str;

    /// Requests the next reply. Calls `watch` with the events of the call.
    ///
    /// # Errors
    ///
    /// Returns a [`ModelError`] if the call fails. Retries, if there are any, have then failed as well.
    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a>;
}
