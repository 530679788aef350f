//! Errors of named sessions.

use std::io;
use std::path::{Path, PathBuf};

use codeact_base::Hint;
use codeact_sandbox::{Execution, SandboxError};

/// A named session could not be used. Committed turns are not affected.
///
/// [`SessionError::hint`] has advice that depends on the program; the text is the same for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The name is invalid.
    #[error(
        "invalid session name {name:?}; expected letters, digits, `-`, `_` and `.`, at most 100"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// There is no session of this name.
    #[error("there is no session {name}")]
    Missing {
        /// The name.
        name: String,
    },
    /// There is a session of this name already.
    #[error("there is a session {name} already; choose another name, or remove it")]
    Exists {
        /// The name.
        name: String,
    },
    /// Another process has opened the session.
    #[error("the session {name} is in use by another process; try again when that has ended")]
    InUse {
        /// The name.
        name: String,
    },
    /// Another process has committed a turn to the session meanwhile.
    #[error("another process has changed the session {name} meanwhile; open it again")]
    Conflict {
        /// The name.
        name: String,
    },
    /// The session has no such turn, or no snapshot of it.
    #[error("the session {name} has no state after turn {turn}")]
    NoTurn {
        /// The name.
        name: String,
        /// The number of the turn.
        turn: u32,
    },
    /// The session has too many turns for the operation.
    #[error(
        "the session {name} has {max} turns or more, which is the limit; start another session"
    )]
    TooManyTurns {
        /// The name.
        name: String,
        /// The limit.
        max: u32,
    },
    /// Something is too large to be stored with a session. Nothing was stored.
    #[error("the {what} of the session {name} would take {bytes} bytes; the limit is {max}")]
    TooLarge {
        /// The name.
        name: String,
        /// Which part: `settings` or `code`.
        what: &'static str,
        /// Its length as JSON.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A file of a session, or an archive, is invalid.
    #[error("{path} is damaged, or not a session: {why}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first problem.
        why: String,
    },
    /// A file could not be used.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The last turn of the session is not suspended.
    #[error("the last turn of the session {name} is not suspended")]
    NotSuspended {
        /// The name.
        name: String,
    },
    /// A turn has run and could not be written. The session on disk is as it was before the turn.
    #[error("the turn could not be committed: {source}")]
    NotCommitted {
        /// The result of the turn.
        execution: Box<Execution>,
        /// The error of the write.
        source: Box<SessionError>,
    },
    /// The sandbox or a snapshot failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl SessionError {
    /// Returns advice that goes with the error, if there is any.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Missing { .. } => Some(Hint::ListSessions),
            Self::NoTurn { name, .. } => Some(Hint::ListTurns {
                session: name.clone(),
            }),
            Self::NotCommitted { source, .. } => source.hint(),
            Self::Sandbox(error) => error.hint(),
            _ => None,
        }
    }

    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl Fn(io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
