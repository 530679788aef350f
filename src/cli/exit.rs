//! Exit codes, as `codeact exec --help` lists them.

use std::process::ExitCode;

use crate::sandbox::{Execution, Outcome};

/// The command line is wrong.
const WRONG: u8 = 2;
/// The runner itself failed.
pub(super) const FAILED: u8 = 125;
const TIMED_OUT: u8 = 124;
/// The code waits for an answer; try again when there is one.
pub(super) const WAITING: u8 = 75;
const CANCELLED: u8 = 130;
const TRAPPED: u8 = 134;
const OUT_OF_MEMORY: u8 = 137;

/// The exit code that tells how `execution` ended.
pub(super) fn of(execution: &Execution) -> u8 {
    match &execution.outcome {
        Outcome::Completed => 0,
        Outcome::Raised(e) if e.bases.iter().any(|b| b == "MemoryError") => OUT_OF_MEMORY,
        Outcome::Raised(_) => 1,
        Outcome::Exited { code } => *code as u8,
        Outcome::TimedOut { .. } | Outcome::OutOfFuel { .. } => TIMED_OUT,
        Outcome::Cancelled => CANCELLED,
        Outcome::Waiting => WAITING,
        Outcome::Trapped { .. } => TRAPPED,
    }
}

pub(super) fn code(code: i32) -> ExitCode {
    ExitCode::from(u8::try_from(code).unwrap_or(FAILED))
}

/// Whoever read stdout has gone away: as a process ends that SIGPIPE kills.
pub(super) fn unread() -> ExitCode {
    ExitCode::from(141)
}

/// What an error says, and its causes, each once, without the power to steer a terminal.
pub(super) fn told(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    crate::text::shown(&text)
}

/// Says what is wrong with the command line, where that shows only after it was parsed.
pub(super) fn wrong(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("codeact: {}", told(error));
    ExitCode::from(WRONG)
}

/// Says what went wrong with the runner.
pub(super) fn fail(error: &anyhow::Error) -> ExitCode {
    anstream::eprintln!("codeact: {}", told(error));
    ExitCode::from(FAILED)
}
