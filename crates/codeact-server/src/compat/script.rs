//! A script: code that runs once, as `python main.py` would.

use std::time::Duration;

use codeact::sandbox::{Execution, Outcome, Turn};

/// Name of the script in tracebacks and in `sys.argv`.
const NAME: &str = "main.py";

/// The end of a script, as the parent of a process sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ScriptEnd {
    pub(super) stdout: String,
    /// Includes the traceback, and a line about a limit that was reached.
    pub(super) stderr: String,
    pub(super) exit: Exit,
    pub(super) wall: Duration,
}

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// With a status.
    Status(i32),
    /// It was stopped at its time or fuel limit.
    TimedOut,
    /// It was stopped for another reason, or the interpreter failed.
    Killed,
}

/// Returns the turn of a script.
pub(super) fn turn(code: &str, args: &[String], stdin: Option<String>) -> Turn {
    let argv = std::iter::once(NAME.to_owned()).chain(args.iter().cloned());
    Turn::new(code)
        .name(NAME)
        .argv(argv)
        .stdin(stdin.unwrap_or_default().into_bytes())
}

/// Returns the end of a script.
pub(super) fn end(execution: &Execution) -> ScriptEnd {
    let mut stderr = execution.stderr.text.clone();
    let mut add = |line: &str| {
        if !stderr.is_empty() && !stderr.ends_with('\n') {
            stderr.push('\n');
        }
        stderr.push_str(line);
        if !stderr.ends_with('\n') {
            stderr.push('\n');
        }
    };
    let exit = match &execution.outcome {
        Outcome::Completed => Exit::Status(0),
        Outcome::Exited { code } => Exit::Status(*code),
        Outcome::Raised(exception) => {
            add(&exception.traceback);
            Exit::Status(1)
        }
        Outcome::TimedOut { limit } => {
            add(&format!("Time limit exceeded: {} s", limit.as_secs_f64()));
            Exit::TimedOut
        }
        Outcome::OutOfFuel { budget } => {
            add(&format!("Time limit exceeded: {budget} units of fuel"));
            Exit::TimedOut
        }
        Outcome::Trapped { reason } => {
            add(&format!("The interpreter failed: {reason}"));
            Exit::Killed
        }
        other => {
            add(&format!("The code was stopped: {}", other.status()));
            Exit::Killed
        }
    };
    for (name, output) in [("stdout", &execution.stdout), ("stderr", &execution.stderr)] {
        if output.dropped_bytes > 0 {
            let dropped = output.dropped_bytes;
            add(&format!(
                "{name} was cut at its limit; {dropped} bytes are missing"
            ));
        }
    }
    ScriptEnd {
        stdout: execution.stdout.text.clone(),
        stderr,
        exit,
        wall: execution.usage.wall,
    }
}

#[cfg(test)]
mod tests {
    use codeact::sandbox::Exception;

    use super::*;

    #[test]
    fn an_exception_is_status_1_with_its_traceback_on_a_line_of_its_own() {
        let mut exception = Exception::new("ValueError", "no");
        exception.traceback = "Traceback\nValueError: no\n".into();
        let mut execution = Execution::new(Outcome::Raised(exception));
        execution.stderr.text = "warning".into();
        let end = end(&execution);
        assert_eq!(end.exit, Exit::Status(1));
        assert_eq!(end.stderr, "warning\nTraceback\nValueError: no\n");
    }

    #[test]
    fn a_limit_is_a_line_on_stderr() {
        let limit = Duration::from_millis(1500);
        let end = end(&Execution::new(Outcome::TimedOut { limit }));
        assert_eq!(end.exit, Exit::TimedOut);
        assert_eq!(end.stderr, "Time limit exceeded: 1.5 s\n");
    }
}
