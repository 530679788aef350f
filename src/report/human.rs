//! What people read on stderr.

use crate::sandbox::{Captured, Execution, Outcome};

/// How a turn ended, where its own output does not say so.
pub(crate) fn ending(execution: &Execution, quiet: bool) {
    for (name, captured) in [("stdout", &execution.stdout), ("stderr", &execution.stderr)] {
        if let Some(note) = dropped(name, captured)
            && !quiet
        {
            anstream::eprintln!("codeact: {note}; --max-output raises the limit");
        }
    }
    match &execution.outcome {
        Outcome::Raised(e) => anstream::eprint!("{}", e.traceback),
        outcome => {
            if let Some(text) = sentence(outcome) {
                anstream::eprintln!("codeact: {text}");
            }
        }
    }
}

/// What was cut off a stream, if anything was.
pub(crate) fn dropped(name: &str, captured: &Captured) -> Option<String> {
    (captured.dropped_bytes > 0).then(|| {
        format!(
            "{name} was cut: {} bytes kept, {} dropped",
            captured.text.len(),
            captured.dropped_bytes
        )
    })
}

/// What stopped a turn that did not end by itself.
pub(crate) fn sentence(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::TimedOut { limit } => {
            format!(
                "stopped: the wall time of {} s is used up",
                limit.as_secs_f64()
            )
        }
        Outcome::OutOfFuel { budget } => {
            format!("stopped: the fuel budget of {budget} is used up")
        }
        Outcome::Cancelled => "stopped".into(),
        Outcome::Trapped { reason } => format!("the interpreter failed: {reason}"),
        _ => return None,
    })
}
