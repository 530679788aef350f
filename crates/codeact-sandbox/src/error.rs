//! Failures of the host. A failure of the code is an [`Execution`](crate::Execution), not an error.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use codeact_base::Hint;
use codeact_pack::PackError;

use crate::types::limits::NeededLimit;

/// The sandbox could not be made or could not go on. Sessions keep the state of their last finished turn.
///
/// [`SandboxError::hint`] has advice that depends on the program; the text is the same for all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The pack is missing and could not be installed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file of the host could not be used.
    #[error("cannot {action} {path}: {source}{}", advice(source))]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The WebAssembly engine or the operating system failed.
    #[error("cannot {action}: {source:#}")]
    Engine {
        /// The operation, as a verb and its object.
        action: String,
        /// Its error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The pack's Python did not start while the base image was made.
    #[error("the pack's Python does not start: {why}")]
    Start {
        /// The reason.
        why: String,
    },
    /// The sandbox is being dropped.
    #[error("the sandbox is shutting down")]
    ShuttingDown,
    /// A folder or file of the host cannot be mounted.
    #[error("cannot mount {mount}: {why}")]
    Mount {
        /// The mount, as the caller wrote it.
        mount: String,
        /// The reason.
        why: String,
    },
    /// The changes cannot be written back. Nothing was written.
    #[error(
        "nothing was written back, because of\n  {}\nlook at it, then run the code again",
        conflicts.join("\n  ")
    )]
    Conflict {
        /// Each path and its conflict.
        conflicts: Vec<String>,
    },
    /// Writing the changes back failed midway.
    #[error(
        "cannot write {path}: {source}\nwritten before that: {}",
        if written.is_empty() { "nothing".into() } else { written.join(", ") }
    )]
    Commit {
        /// The path that could not be written.
        path: String,
        /// The paths that were written before.
        written: Vec<String>,
        /// The error of the operating system.
        source: io::Error,
    },
    /// A snapshot cannot be saved or restored.
    #[error("cannot use the snapshot {path}: {why}")]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A recording cannot be written or read.
    #[error("cannot use the recording {path}: {why}")]
    Recording {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// A replayed turn differs from the recorded one.
    #[error("turn {turn} is not what was recorded: {why}")]
    Differs {
        /// The number of the turn in the recording, from 1.
        turn: u32,
        /// The first difference.
        why: String,
    },
    /// A replayed or resumed turn needs more than the limits of the session.
    #[error("turn {turn} needs larger limits: {}", list(limits))]
    NeedsMore {
        /// The number of the turn, from 1.
        turn: u32,
        /// Each limit that is too small.
        limits: Vec<NeededLimit>,
    },
    /// A setting cannot be met.
    #[error("{why}")]
    Setting {
        /// The setting and the reason.
        why: String,
    },
    /// A blocking call was made on a thread that runs asynchronous tasks.
    #[error("a blocking call was made inside an async runtime; await the async form instead")]
    BlockingInAsync,
}

impl SandboxError {
    /// Returns advice that goes with the error, if there is any.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Pack(error) => error.hint(),
            Self::Start { .. } => Some(Hint::ReinstallPack),
            Self::NeedsMore { limits, .. } => Some(Hint::RaiseLimits {
                limits: limits
                    .iter()
                    .map(|limit| (limit.name, limit.needed))
                    .collect(),
            }),
            _ => None,
        }
    }

    /// Returns the error of an operation of the engine.
    pub(crate) fn engine(
        action: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Engine {
            action: action.into(),
            source: source.into(),
        }
    }

    pub(crate) fn start(why: impl Into<String>) -> Self {
        Self::Start { why: why.into() }
    }

    /// Returns the error of a setting that cannot be met.
    pub fn setting(why: impl Into<String>) -> Self {
        Self::Setting { why: why.into() }
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Returns the error of a recording or a suspended turn that cannot be used.
    pub(crate) fn recording(path: &Path, why: &str) -> Self {
        Self::Recording {
            path: path.to_owned(),
            why: why.to_owned(),
        }
    }
}

fn list(limits: &[NeededLimit]) -> String {
    let limits: Vec<_> = limits.iter().map(NeededLimit::to_string).collect();
    limits.join("; ")
}

/// Returns advice for an error of the operating system, on a line of its own; empty if there is none.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "\nfree some space, then try again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "\ncheck the permissions of the file and its folder, then try again"
        }
        _ => "",
    }
}
