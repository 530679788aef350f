//! Language models: one trait, one wire format, and what makes a call to them dependable.
//!
//! [`resolve()`] turns what the user said and what the environment holds into a ready [`Model`]:
//! a server that speaks chat completions ([`OpenAiModel`], its differences kept as data in
//! `presets.toml`) or a file of recorded replies ([`RecordedModel`]). One call is a [`Request`]
//! and ends in a [`Reply`] or a [`ModelError`]; on the way its text and its retries are told to
//! a watcher as [`ModelEvent`]s. Inside, `wire` writes the request, `sse` and `decode` cut the
//! answer into payloads, `answer` joins them, `stop` cuts the text at a stop sequence, `refusal`
//! reads what a server says when it will not, and `retry` decides whether to try again.
//! Nothing here reads the environment or prints, and no key is ever part of an error or a log.

mod address;
mod answer;
mod decode;
mod error;
mod kept;
mod model;
mod openai;
mod presets;
mod probe;
mod recorded;
mod refusal;
mod resolve;
mod retry;
mod secret;
mod sse;
mod stop;
mod wire;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod testserver;

pub use address::BaseUrl;
pub use error::ModelError;
pub use kept::KeptModel;
pub use model::{
    Completion, FinishReason, Message, Model, ModelEvent, Reply, Request, Role, TokenUsage, Watch,
};
pub use openai::{DEFAULT_MAX_REPLY_BYTES, OpenAiModel, OpenAiOptions};
pub use presets::{Preset, presets};
pub use recorded::{Finish, RecordedModel};
pub use resolve::{ModelOptions, Resolved, resolve};
pub use retry::RetryPolicy;
pub use secret::Secret;
pub use wire::{Dialect, SeedField, TokenLimitField};
