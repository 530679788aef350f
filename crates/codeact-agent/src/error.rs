//! Failures of a run. A failure of the model's code is not an error but an observation.

use codeact_base::Hint;
use codeact_llm::ModelError;
use codeact_sandbox::SandboxError;
use codeact_sessions::SessionError;

/// A run could not go on. The session has the state after its last turn.
///
/// [`AgentError::hint`] has advice that depends on the program; the text is the same for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A named session could not be used.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The model did not return a valid reply.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl AgentError {
    /// Returns advice that goes with the error, if there is any.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Sandbox(error) => error.hint(),
            Self::Session(error) => error.hint(),
            Self::Model(error) => error.hint(),
        }
    }
}
