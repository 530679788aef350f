//! What a turn did, as data: an exception, a limit, a cancelled turn are all an [`Execution`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::display::Display;
use super::guest_file::GuestFile;
use super::interrupted::Traceback;
use super::output::Captured;
use super::tape::Waiting;
use crate::event::Stream;

/// One turn's outcome and all it left.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Execution {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote to stdout.
    pub stdout: Captured,
    /// What it wrote to stderr. A traceback is in [`Outcome::Raised`], not here.
    pub stderr: Captured,
    /// Both streams in the order of writing.
    pub transcript: Vec<(Stream, String)>,
    /// The `repr` of the final expression's value, as a notebook shows it; `None` without one, or
    /// when it is `None`.
    pub result: Option<String>,
    /// Figures and pictures, and the final value's rich forms, in the order they were shown.
    pub displays: Vec<Display>,
    /// The files in the home folder after the turn that the code made or changed, where
    /// [`Turn::keep_files`](super::Turn::keep_files) asked for them. After a turn that was rolled
    /// back, those of the turn's start.
    pub files: Vec<GuestFile>,
    /// The session's variables after the turn, where [`Turn::variables`](super::Turn::variables)
    /// asked for them. Names that begin with `_` and modules are left out.
    pub variables: Vec<Variable>,
    /// Where the code was when it was stopped, by a limit, a trap or a cancellation: its frames, read
    /// from the stopped instance's memory. `None` after every other end, where the code was in no
    /// frame of its own (while it was compiled, say), and where the frames cannot be read exactly.
    pub interrupted: Option<Traceback>,
    /// The value given to `final_answer(value)`, as JSON.
    pub answer: Option<serde_json::Value>,
    /// The turn, put away, where it asks what nobody can answer yet: [`Outcome::Waiting`].
    pub waiting: Option<Waiting>,
    /// Whether memory and files went back to the start of the turn: after a limit, a trap,
    /// `os._exit` or a cancelled turn, but not after an ordinary exception.
    pub rolled_back: bool,
    /// What it used.
    pub usage: Usage,
}

/// A variable of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its type's name.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it holds, in a few characters; empty where only its own code could tell.
    pub short: String,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It ran to its end, or called `final_answer`.
    Completed,
    /// An exception was not caught.
    Raised(Exception),
    /// `sys.exit`, `exit` or `os._exit`.
    Exited {
        /// The status, as the operating system would see it: 0 to 255.
        code: i32,
    },
    /// The wall time was used up.
    TimedOut {
        /// The limit that held.
        limit: Duration,
    },
    /// The fuel budget was used up.
    OutOfFuel {
        /// The budget.
        budget: u64,
    },
    /// Whoever runs the turn stopped it.
    Cancelled,
    /// It asks what nobody can answer yet: [`Execution::waiting`].
    Waiting,
    /// The instance failed: `os.abort`, a C stack overflow, a bug in the interpreter.
    Trapped {
        /// What the engine says.
        reason: String,
    },
}

/// An uncaught exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// The class's name, with its module unless that is `builtins`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `str(exception)`.
    pub message: String,
    /// The frames from outermost to innermost, without the runner's own.
    pub frames: Vec<Frame>,
    /// The traceback as Python prints it, without the runner's own frames.
    pub traceback: String,
    /// Class names of the exception and its bases, innermost first: lets a host tell a
    /// `MemoryError` from one of its kind.
    #[serde(default)]
    pub bases: Vec<String>,
}

/// One frame of a traceback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The file, e.g. `<turn 3>`.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The function, `<module>` at the top.
    pub function: String,
    /// The source line, where there is one.
    pub source: Option<String>,
}

/// What a turn used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Wall time.
    pub wall: Duration,
    /// Fuel; see [`Limits::fuel`](super::Limits::fuel).
    pub fuel: u64,
    /// The largest size of the linear memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Calls from the guest to the host.
    pub door_calls: u64,
    /// Bytes those calls carried.
    pub door_bytes: u64,
}
