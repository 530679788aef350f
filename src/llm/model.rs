//! What a model is to the rest of the crate: messages in, a reply out, events on the way.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::ModelError;

/// Who said a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The instructions that the conversation stands under.
    System,
    /// The person, or whoever observes for them.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

impl Message {
    /// A message of `role` that says `content`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
        }
    }
}

/// One call to a model. A field that is `None` is not sent: the server's own default holds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The conversation so far, oldest first.
    pub messages: &'a [Message],
    /// Texts at which the reply ends, the text itself left out. Any number; empty ones are
    /// ignored. Always applied on our side, and by the server where it can.
    pub stop: &'a [String],
    /// Sampling temperature.
    pub temperature: Option<f32>,
    /// The longest reply, in tokens.
    pub max_tokens: Option<u32>,
    /// The seed of the sampling, where the server has one.
    pub seed: Option<u64>,
}

/// A model's whole answer to one [`Request`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The text, up to (and without) the stop sequence.
    pub text: String,
    /// Why it ends there.
    pub finish: FinishReason,
    /// What it cost, when the server says so. A reply cut at a stop sequence on our side has
    /// none: the server tells it only at the end.
    pub usage: Option<TokenUsage>,
    /// The name of the model that answered, as the server gives it.
    pub model: String,
}

/// Why a reply ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or the server found a stop sequence.
    Stop,
    /// We found this stop sequence.
    StopSequence(String),
    /// The token limit was reached.
    Length,
    /// Another reason, in the server's word.
    Other(String),
}

/// What a call cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Tokens of the conversation that was sent.
    pub input_tokens: u64,
    /// Tokens of the reply, thinking included.
    pub output_tokens: u64,
}

/// What happens during a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelEvent<'a> {
    /// The next piece of the reply. Never holds a part of a stop sequence that ends the reply.
    Delta(&'a str),
    /// A try failed and another follows. Every delta so far is void: the text begins anew.
    Retry {
        /// The number of the try that failed, from 1.
        attempt: u32,
        /// How long until the next one.
        wait: Duration,
        /// What went wrong.
        reason: &'a str,
    },
}

/// Who is told of a call's [`ModelEvent`]s. Called on the task that runs the call: be quick.
pub type Watch<'a> = &'a (dyn Fn(ModelEvent<'_>) + Send + Sync);

/// A call under way. Dropping it cancels the call and closes its connection.
pub type Completion<'a> = Pin<Box<dyn Future<Output = Result<Reply, ModelError>> + Send + 'a>>;

/// Something that continues a conversation.
pub trait Model: Send + Sync {
    /// The model's name, as it was asked for.
    fn name(&self) -> &str;

    /// Asks for the next reply and tells `watch` of it as it arrives.
    ///
    /// # Errors
    /// A [`ModelError`] once there is no hope left: whatever is worth another try has had it.
    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a>;
}
