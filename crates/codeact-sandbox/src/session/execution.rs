//! The result of a turn.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::fs::guest_file::GuestFile;
use crate::replay::suspended::SuspendedTurn;
use crate::types::bundle::Bundle;
use crate::types::display::Display;
use crate::types::output::Captured;
use crate::types::traceback::{Exception, Traceback};
use codeact_base::event::Stream;

/// The result of a turn: its outcome, output and effects. An exception, a limit and a cancellation are outcomes, not
/// errors.
///
/// ```
/// use codeact_sandbox::{Execution, Outcome};
///
/// fn report(execution: &Execution) -> String {
///     match &execution.outcome {
///         Outcome::Completed => execution.result.clone().unwrap_or_default(),
///         Outcome::Raised(exception) => exception.traceback.clone(),
///         other => format!("{} after {:?}", other.status(), execution.usage.wall),
///     }
/// }
/// # let execution = Execution::new(Outcome::Cancelled);
/// # assert_eq!(report(&execution), "cancelled after 0ns");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Execution {
    /// How the turn ended.
    pub outcome: Outcome,
    /// Captured stdout.
    pub stdout: Captured,
    /// Captured stderr. It has no traceback; that is in [`Outcome::Raised`].
    pub stderr: Captured,
    /// Both streams in the order of writing.
    pub transcript: Vec<(Stream, String)>,
    /// `repr` of the value of the final expression, as a notebook shows it. `None` if there is no such expression, or if
    /// its value is `None`.
    pub result: Option<String>,
    /// Figures, pictures, and rich forms of the final value, in the order in which they were shown.
    pub displays: Vec<Display>,
    /// Everything that a [rich](crate::Turn::rich) turn showed, each with all its forms, in the order in which it was
    /// shown. Empty if the turn is not rich.
    pub bundles: Vec<Bundle>,
    /// Files in the home folder that the code made or changed, if [`Turn::keep_files`](crate::Turn::keep_files) is set.
    /// If the turn was rolled back, those at its start.
    pub files: Vec<GuestFile>,
    /// Variables of the session after the turn, if [`Turn::variables`](crate::Turn::variables) is set. Modules and names
    /// that begin with `_` are left out.
    pub variables: Vec<Variable>,
    /// Position of the code when it was stopped by a limit, a trap or a cancellation, read from the memory of the
    /// stopped instance. `None` after any other end, if no frame of the code was active (for example while it was
    /// compiled), or if the frames cannot be read exactly.
    pub interrupted: Option<Traceback>,
    /// Value passed to `final_answer(value)`, as JSON.
    pub answer: Option<serde_json::Value>,
    /// The suspended turn, if the outcome is [`Outcome::Suspended`].
    pub suspended: Option<SuspendedTurn>,
    /// True if memory and files were restored to the start of the turn: after a limit, a trap, `os._exit`, a
    /// cancellation or a suspension. An uncaught exception does not roll back, unless the turn is
    /// [transactional](crate::Turn::transactional).
    pub rolled_back: bool,
    /// Resources that the turn used.
    pub usage: Usage,
}

impl Execution {
    /// Returns an execution with this outcome and without output, for tests of programs that use the sandbox.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            stdout: Captured::default(),
            stderr: Captured::default(),
            transcript: Vec::new(),
            result: None,
            displays: Vec::new(),
            bundles: Vec::new(),
            files: Vec::new(),
            variables: Vec::new(),
            interrupted: None,
            answer: None,
            suspended: None,
            rolled_back: false,
            usage: Usage::default(),
        }
    }
}

/// A variable of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short form of the value. Empty if it could only be made by running code of the value's class.
    pub short: String,
}

/// How a turn ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The code ran to its end, or called `final_answer`.
    Completed,
    /// An exception was not caught.
    Raised(Exception),
    /// The code called `sys.exit`, `exit` or `os._exit`.
    Exited {
        /// Exit status, 0 to 255.
        code: i32,
    },
    /// The wall time was used up.
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The fuel was used up.
    OutOfFuel {
        /// The limit.
        budget: u64,
    },
    /// The turn was stopped through its [`Cancel`](crate::Cancel).
    Cancelled,
    /// The turn waits for user input; see [`Execution::suspended`].
    Suspended,
    /// The instance failed: `os.abort`, an overflow of the C stack, or a bug in the interpreter.
    Trapped {
        /// Message of the wasm engine.
        reason: String,
    },
}

/// Kind of an [`Outcome`]. Its name is part of the JSON formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// `ok`: [`Outcome::Completed`].
    Ok,
    /// `error`: [`Outcome::Raised`].
    Error,
    /// `exit`: [`Outcome::Exited`].
    Exit,
    /// `timeout`: [`Outcome::TimedOut`].
    Timeout,
    /// `out_of_fuel`: [`Outcome::OutOfFuel`].
    OutOfFuel,
    /// `cancelled`: [`Outcome::Cancelled`].
    Cancelled,
    /// `suspended`: [`Outcome::Suspended`].
    Suspended,
    /// `trap`: [`Outcome::Trapped`].
    Trap,
}

impl Status {
    /// Returns the name, such as `out_of_fuel`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Exit => "exit",
            Self::Timeout => "timeout",
            Self::OutOfFuel => "out_of_fuel",
            Self::Cancelled => "cancelled",
            Self::Suspended => "suspended",
            Self::Trap => "trap",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Outcome {
    /// Returns the kind of the outcome.
    pub fn status(&self) -> Status {
        match self {
            Self::Completed => Status::Ok,
            Self::Raised(_) => Status::Error,
            Self::Exited { .. } => Status::Exit,
            Self::TimedOut { .. } => Status::Timeout,
            Self::OutOfFuel { .. } => Status::OutOfFuel,
            Self::Cancelled => Status::Cancelled,
            Self::Suspended => Status::Suspended,
            Self::Trapped { .. } => Status::Trap,
        }
    }
}

/// Resources that a turn used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Wall time.
    pub wall: Duration,
    /// Fuel; see [`Limits::fuel`](crate::Limits::fuel).
    pub fuel: u64,
    /// Largest size of the linear memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Calls from the guest to the host.
    pub host_calls: u64,
    /// Bytes of these calls, requests and answers together.
    pub host_call_bytes: u64,
}
