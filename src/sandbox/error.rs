//! What can go wrong on the host's side. What the code did is never an error: it is an
//! [`Execution`](super::Execution).

use std::io;
use std::path::{Path, PathBuf};

use crate::pack::PackError;

/// The sandbox could not be made or could not go on. Sessions keep the state of their last
/// finished turn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The pack is not there and could not be installed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file of the host could not be used.
    #[error(
        "cannot {action} {path}: {source}\nfree some space or check the folder's permissions, then try again"
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The wasm engine refused.
    #[error("the WebAssembly engine failed: {0}")]
    Engine(String),
    /// Python did not start as it should while the base image was made.
    #[error(
        "the pack's Python does not start: {0}\nremove it with `codeact pack remove` and install it again"
    )]
    Start(String),
    /// A folder or file of the host cannot be mounted.
    #[error("cannot mount {mount}: {why}")]
    Mount {
        /// What was to be mounted.
        mount: String,
        /// Why not.
        why: String,
    },
    /// The changes cannot be written back. Nothing was written.
    #[error(
        "nothing was written back, because of\n  {}\nlook at it, then run the code again",
        conflicts.join("\n  ")
    )]
    Conflict {
        /// Each path and what stands in the way.
        conflicts: Vec<String>,
    },
    /// Writing the changes back failed midway.
    #[error(
        "cannot write {path}: {source}\nwritten before that: {}",
        if written.is_empty() { "nothing".into() } else { written.join(", ") }
    )]
    Commit {
        /// What could not be written.
        path: String,
        /// What had been written.
        written: Vec<String>,
        /// Why not.
        source: io::Error,
    },
    /// A snapshot cannot be saved or restored.
    #[error("cannot use the snapshot {path}: {why}")]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A recording cannot be written or read.
    #[error("cannot use the recording {path}: {why}")]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A turn that is replayed does not do what was recorded.
    #[error("turn {turn} is not what was recorded: {why}")]
    Differs {
        /// Its number in the recording, from 1.
        turn: u32,
        /// The first difference.
        why: String,
    },
    /// A setting cannot be met.
    #[error("{0}")]
    Setting(String),
    /// A blocking call was made on a thread that runs asynchronous tasks.
    #[error("a blocking call was made inside an async runtime; await the async form instead")]
    BlockingInAsync,
}

impl SandboxError {
    pub(crate) fn engine(error: wasmtime::Error) -> Self {
        Self::Engine(format!("{error:#}"))
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
