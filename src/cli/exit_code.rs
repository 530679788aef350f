//! Exit codes, as `codeact exec --help` lists them, and error messages.

use std::fmt;
use std::process::ExitCode;

use codeact::sandbox::{Execution, Outcome};
use codeact_base::text::shown;

use super::hints;
use crate::report::notice;

/// The command line is not valid.
const USAGE: u8 = 2;
/// The code waits for user input; as `EX_TEMPFAIL` of sysexits.h.
pub(super) const SUSPENDED: u8 = 75;
/// As of `timeout` of the GNU core utilities.
pub(super) const TIMED_OUT: u8 = 124;
/// The runner itself failed.
pub(super) const FAILED: u8 = 125;
/// As of a process that SIGINT kills.
pub(super) const CANCELLED: u8 = 130;
/// As of a process that SIGABRT kills.
const TRAPPED: u8 = 134;
/// As of a process that the kernel kills because memory is short.
const OUT_OF_MEMORY: u8 = 137;
/// As of a process that SIGPIPE kills.
const BROKEN_PIPE: u8 = 141;

/// Returns the exit code for the outcome of `execution`.
pub(super) fn of(execution: &Execution) -> u8 {
    match &execution.outcome {
        Outcome::Completed => 0,
        Outcome::Raised(e) if e.bases.iter().any(|b| b == "MemoryError") => OUT_OF_MEMORY,
        Outcome::Raised(_) => 1,
        Outcome::Exited { code } => *code as u8,
        Outcome::TimedOut { .. } | Outcome::OutOfFuel { .. } => TIMED_OUT,
        Outcome::Cancelled => CANCELLED,
        Outcome::Suspended => SUSPENDED,
        Outcome::Trapped { .. } => TRAPPED,
        _ => FAILED,
    }
}

/// Converts an exit code of the argument parser.
pub(super) fn from_i32(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(FAILED))
}

/// Returns the exit code if the reader of stdout has closed the pipe.
pub(super) fn broken_pipe() -> ExitCode {
    ExitCode::from(BROKEN_PIPE)
}

/// An error of the command line that is found only after it was parsed.
#[derive(Debug)]
struct UsageError(anyhow::Error);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for UsageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// Marks `error` as an error of the command line, which has an exit code of its own.
pub(super) fn usage_error(error: anyhow::Error) -> anyhow::Error {
    UsageError(error).into()
}

/// Returns the message of an error and of its causes, each once, with escaped control characters. Advice follows on a
/// line of its own.
pub(super) fn format_error(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    if let Some(hint) = hints::of(error) {
        text += &format!("\n{hint}");
    }
    shown(&text)
}

/// Prints an error and returns the exit code for it.
pub(super) fn fail(error: &anyhow::Error) -> ExitCode {
    notice!("codeact: {}", format_error(error));
    let is_usage = error.downcast_ref::<UsageError>().is_some();
    ExitCode::from(if is_usage { USAGE } else { FAILED })
}

/// Leaves `state` to the operating system, because the process is about to exit: to drop sandboxes and sessions first
/// would unmap gigabytes of reserved addresses, and only delay the exit.
pub(super) fn exit_fast<T>(state: T) {
    std::mem::forget(state);
}
