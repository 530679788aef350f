//! A shell command, its output, and why it did not run to its end.

use std::time::Duration;

use codeact_sessions::manager::ManagerError;
use tokio::sync::mpsc;

use crate::shell::limits::MAX_SOURCE_BYTES;

/// A shell command.
#[derive(Default)]
pub(crate) struct ShellCommand {
    /// Source in bash's language, as after `bash -c`.
    pub(crate) source: String,
    /// `$0`; empty: `bash`.
    pub(crate) name: String,
    /// `$1` and so on.
    pub(crate) arguments: Vec<String>,
    /// Working folder, absolute or relative to the home folder; `None`: the home folder.
    pub(crate) cwd: Option<String>,
    /// Environment variables in addition to those of the session.
    pub(crate) env: Vec<(String, String)>,
    /// Stdin as it comes in; `None`: empty.
    pub(crate) stdin: Option<mpsc::Receiver<Vec<u8>>>,
    /// Time after which it is stopped; `None`: ten times that of a turn of the session, and at most an hour, which is
    /// also the longest.
    pub(crate) timeout: Option<Duration>,
}

/// A stream of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShellStream {
    Stdout,
    Stderr,
}

/// A command that did not run to its end. What it has written to files before is in the session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShellError {
    /// It was stopped by its caller.
    #[error("the command was stopped")]
    Cancelled,
    /// Its time was over.
    #[error("the command was stopped after its time limit of {} s", .0.as_secs_f64())]
    TimedOut(Duration),
    /// It has computed for too long.
    #[error("the command was stopped after it computed for {} s, the time limit of a turn", .0.as_secs_f64())]
    Computed(Duration),
    /// The server, or the tenant, runs too many commands.
    #[error("too many commands of a shell run now; try again later, or stop some")]
    Busy,
    /// The folder in which it should run does not exist.
    #[error("cwd {0:?} does not exist")]
    NoFolder(String),
    /// It is too long.
    #[error("the command has {0} bytes; expected at most {MAX_SOURCE_BYTES}")]
    TooLong(usize),
    /// The session failed.
    #[error(transparent)]
    Session(#[from] ManagerError),
    /// The shell failed.
    #[error("the shell failed")]
    Failed,
}

/// What a command has written to a stream.
pub(crate) type Chunk = (ShellStream, Vec<u8>);
