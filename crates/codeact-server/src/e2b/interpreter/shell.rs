//! Cells that are commands: `!command` lines, and the language bash.

use codeact::event::{Event, EventSink, Stream};
use codeact::sandbox::{Cancel, Exception, Execution, Outcome};
use codeact_sessions::manager::ManagerError;

use super::source::statement_lines;
use crate::e2b::record::E2bSandbox;
use crate::shell::{ShellCommand, ShellError, ShellStream, run_command};

/// Returns the commands of a cell of `!command` lines only; `None` if it has anything else. A command that inserts values
/// of Python needs the interpreter.
pub(super) fn commands(code: &str) -> Option<Vec<String>> {
    let mut commands = Vec::new();
    let lines: Vec<&str> = code.split('\n').collect();
    let statements = statement_lines(code);
    if statements.len() != lines.len() {
        return None;
    }
    for line in lines {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line == "pass" {
            continue;
        }
        let command = line.strip_prefix('!')?;
        if command.starts_with('!') || command.ends_with('\\') || command.contains('{') {
            return None;
        }
        commands.push(command.trim().to_owned());
    }
    (!commands.is_empty()).then_some(commands)
}

/// Runs `commands` one after another over the files of the sandbox. Each has a shell of its own. With `is_script`, the
/// status of the last one is the result of the cell.
///
/// # Errors
///
/// Returns an error if the sandbox is gone or busy.
pub(super) async fn run(
    sandbox: &E2bSandbox,
    commands: &[String],
    env: &[(String, String)],
    is_script: bool,
    output: &EventSink,
    cancel: &Cancel,
) -> Result<Execution, ManagerError> {
    let limit = sandbox.tenant.grants.config.limits.wall;
    let mut outcome = Outcome::Completed;
    for source in commands {
        let command = ShellCommand {
            source: source.clone(),
            env: env.to_vec(),
            timeout: Some(limit),
            ..ShellCommand::default()
        };
        let mut texts = Texts::new(output);
        let ended = run_command(
            &sandbox.tenant,
            &sandbox.handle,
            command,
            |stream, bytes| texts.push(stream, bytes),
            cancel,
        )
        .await;
        texts.end();
        outcome = match ended {
            Ok(0) => Outcome::Completed,
            Ok(_) if !is_script => Outcome::Completed,
            Ok(status) => Outcome::Raised(Exception::new("CommandExit", status.to_string())),
            Err(ShellError::Session(error)) => return Err(error),
            Err(ShellError::Cancelled) => return Ok(Execution::new(Outcome::Cancelled)),
            Err(ShellError::TimedOut(limit) | ShellError::Computed(limit)) => {
                return Ok(Execution::new(Outcome::TimedOut { limit }));
            }
            Err(error) => Outcome::Raised(Exception::new("ShellError", error.to_string())),
        };
    }
    Ok(Execution::new(outcome))
}

/// Output of a command as text, in whole characters.
struct Texts<'a> {
    output: &'a EventSink,
    /// Bytes of stdout and stderr that are the beginning of a character.
    rest: [Vec<u8>; 2],
}

impl<'a> Texts<'a> {
    fn new(output: &'a EventSink) -> Self {
        Self {
            output,
            rest: Default::default(),
        }
    }

    fn push(&mut self, stream: ShellStream, bytes: &[u8]) {
        let (stream, rest) = match (stream, &mut self.rest) {
            (ShellStream::Stdout, [rest, _]) => (Stream::Stdout, rest),
            (ShellStream::Stderr, [_, rest]) => (Stream::Stderr, rest),
        };
        rest.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(rest) {
            Ok(text) => text.len(),
            // The end of the bytes cuts a character.
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => rest.len(),
        };
        let text: Vec<u8> = rest.drain(..whole).collect();
        Self::emit(self.output, stream, &text);
    }

    fn end(self) {
        let streams = [Stream::Stdout, Stream::Stderr];
        for (stream, rest) in streams.into_iter().zip(self.rest) {
            Self::emit(self.output, stream, &rest);
        }
    }

    fn emit(output: &EventSink, stream: Stream, bytes: &[u8]) {
        if !bytes.is_empty() {
            let text = String::from_utf8_lossy(bytes).into_owned();
            output.emit(Event::Output { stream, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use codeact::event::{Event, EventSink};

    use super::{Texts, commands};
    use crate::shell::ShellStream;

    #[test]
    fn only_cells_of_commands_are_commands() {
        assert_eq!(
            commands("!ls -l\n\n# x\n! pwd"),
            Some(vec!["ls -l".into(), "pwd".into()])
        );
        for code in [
            "",
            "# x",
            "ls",
            "!ls\nprint(1)",
            "x = !ls",
            "!echo {x}",
            "!a \\\nb",
            "'''\n!ls\n'''",
        ] {
            assert_eq!(commands(code), None, "{code}");
        }
    }

    #[test]
    fn characters_are_not_cut() {
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = seen.clone();
        let output = EventSink::new(move |event| {
            if let Event::Output { text, .. } = event {
                sink.lock().unwrap().push_str(&text);
            }
        });
        let mut texts = Texts::new(&output);
        for byte in "aé✓\u{1f600}".bytes() {
            texts.push(ShellStream::Stdout, &[byte]);
        }
        texts.push(ShellStream::Stdout, b"\xff\xc3");
        texts.end();
        assert_eq!(*seen.lock().unwrap(), "aé✓\u{1f600}\u{fffd}\u{fffd}");
    }
}
