//! Language models: a trait, a client of the chat-completions API, and recorded replies.
//!
//! A [`Model`] continues a conversation. A call takes a [`Request`] and returns a [`Reply`] or a [`ModelError`]. While
//! it runs, a callback receives the text and the retries as [`ModelEvent`]s. [`resolve()`] chooses a model from
//! [`ModelOptions`] and environment variables. It returns a client of a chat-completions server ([`OpenAiModel`]) or a
//! file of replies ([`RecordedModel`]). The differences between servers are data in `presets.toml`.
//!
//! Inside, `wire` writes a request. `sse` and `decode` split a response into items, `reply_builder` joins them, and
//! `stop` ends the text at a stop sequence. `server_error` parses error responses, and `retry` decides about another
//! attempt. The crate does not read the environment itself, prints nothing, and never puts an API key into an error or
//! a log.

mod address;
mod api_key;
mod decode;
mod error;
mod model;
mod model_options;
mod openai;
mod presets;
mod probe;
mod recorded;
mod reply_builder;
mod resolve;
mod retry;
mod server_error;
mod sse;
mod stop;
mod tee;
mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod testserver;

pub use address::BaseUrl;
pub use api_key::ApiKey;
pub use error::ModelError;
pub use model::{
    Completion, FinishReason, Message, Model, ModelEvent, Reply, Request, Role, TokenUsage, Watch,
};
pub use model_options::ModelOptions;
pub use openai::{DEFAULT_MAX_REPLY_BYTES, OpenAiModel, OpenAiOptions};
pub use presets::{Preset, presets};
pub use recorded::{Finish, RecordedModel};
pub use resolve::{Resolved, resolve};
pub use retry::RetryPolicy;
pub use tee::TeeModel;
pub use wire::{Dialect, SeedField, TokenLimitField};
