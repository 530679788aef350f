//! What can go wrong with sessions on disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::sandbox::SandboxError;

/// A session could not be used. Finished turns are never lost by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The name is none that a session can have.
    #[error(
        "{name:?} is no name for a session; expected letters, digits, `-`, `_` and `.`, at most 100"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There is no session of that name.
    #[error("there is no session {name}; `codeact session list` shows those there are")]
    Missing {
        /// The name.
        name: String,
    },
    /// There is one already.
    #[error("there is a session {name} already; choose another name, or remove it")]
    Exists {
        /// The name.
        name: String,
    },
    /// Another process has it.
    #[error("the session {name} is in use by another process; try again when that has ended")]
    InUse {
        /// The name.
        name: String,
    },
    /// The session has no such turn, or does not keep its state any more.
    #[error(
        "the session {name} has no state after turn {turn}; `codeact session log {name}` shows its turns"
    )]
    NoTurn {
        /// The name.
        name: String,
        /// The turn.
        turn: u32,
    },
    /// A file of a session, or one that should become one, is not as it was written.
    #[error("{path} is damaged, or no session: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A file could not be used.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The sandbox, or a snapshot, failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl SessionError {
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
