//! The host's failures. What a model or its code does is never one of them: it is data.

use crate::llm::ModelError;
use crate::sandbox::SandboxError;
use crate::sessions::SessionError;

/// Anything that can stop the library from doing its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The sandbox could not be made or go on.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A kept session could not be used.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The model could not be reached or understood.
    #[error(transparent)]
    Model(#[from] ModelError),
}
