//! The command `python`: a fresh interpreter over the files of the session.

use std::sync::Arc;
use std::time::Duration;

use bashkit::{
    Command, CommandContext, CommandInput, CommandOutput, CommandStatus, Result, async_trait,
};
use codeact::event::{Event, Stream};
use codeact::sandbox::{Cancel, Execution, Outcome, Stdin, Turn};
use codeact_sessions::manager::ManagerError;

use crate::shell::launch::{self, CommandLine, Program};
use crate::shell::pip;
use crate::shell::work::Work;
use crate::shell::working_copy::WorkingCopy;
use crate::turns::{RunningTurn, TurnMessage};

/// Limit of a program that is read from stdin, in bytes.
const MAX_SOURCE_BYTES: usize = 16 << 20;
/// Limit of the environment that is passed on, in variables.
const MAX_ENV: usize = 512;

/// The command `python`.
pub(super) struct Python(pub(super) Interpreters);

/// Runs interpreters over the files that a command works on.
#[derive(Clone)]
pub(super) struct Interpreters {
    pub(super) copy: Arc<WorkingCopy>,
    /// Stops the command.
    pub(super) cancel: Cancel,
    /// What the command uses of the tenant's quotas.
    pub(super) work: Arc<Work>,
}

#[async_trait]
impl Command for Python {
    async fn execute(&self, context: CommandContext<'_>) -> Result<CommandStatus> {
        let line = match CommandLine::parse(context.args) {
            Ok(line) => line,
            Err(message) => {
                context
                    .stderr
                    .write_all(format!("{message}\n").as_bytes())
                    .await?;
                return Ok(CommandStatus::with_code(2));
            }
        };
        if line.program == Program::Module("pip".to_owned()) {
            return pip::run(&self.0, &line.args, &context).await;
        }
        let mut source = String::new();
        if line.program == Program::Stdin {
            match read_source(&context.stdin).await? {
                Ok(text) => source = text,
                Err(message) => {
                    context.stderr.write_all(message.as_bytes()).await?;
                    return Ok(CommandStatus::with_code(2));
                }
            }
        }
        let cwd = context.cwd.to_string_lossy();
        let mut turn = launch::turn(&line.program, &line.args, &cwd, &source);
        for (key, value) in context.env.iter().take(MAX_ENV) {
            turn = turn.env(key, value);
        }
        let input = context.stdin.clone();
        let turn = turn.stdin(Stdin::on_demand(move || {
            let input = input.clone();
            // An error is the end of the command.
            async move { input.read_chunk().await.ok().flatten() }
        }));
        self.0.run(turn, &context.stdout, &context.stderr).await
    }
}

/// Reads a program from stdin. The inner error is a message for the user.
async fn read_source(input: &CommandInput) -> Result<std::result::Result<String, String>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = input.read_chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_SOURCE_BYTES {
            return Ok(Err(format!(
                "python: the program on stdin has more than {MAX_SOURCE_BYTES} bytes\n"
            )));
        }
    }
    Ok(String::from_utf8(bytes)
        .map_err(|_| "python: the program on stdin is not UTF-8\n".to_owned()))
}

impl Interpreters {
    /// Runs `turn` in a fresh interpreter, passes its output on, and returns its exit status. What the command has
    /// changed so far is in its files, and its changes are in those of the command afterwards.
    pub(super) async fn run(
        &self,
        turn: Turn,
        stdout: &CommandOutput,
        stderr: &CommandOutput,
    ) -> Result<CommandStatus> {
        // The program counts as a turn of its own, and the command not while it waits for it.
        let place = self.work.yield_place();
        let ended = self.run_checked(turn, stdout, stderr).await;
        place.take_back(&self.cancel).await;
        let status = match ended? {
            Ok(status) => status,
            Err(error) => {
                stderr
                    .write_all(format!("python: {error}\n").as_bytes())
                    .await?;
                1
            }
        };
        Ok(CommandStatus::with_code(status))
    }

    /// The inner error is one of the server, which the command reports.
    async fn run_checked(
        &self,
        turn: Turn,
        stdout: &CommandOutput,
        stderr: &CommandOutput,
    ) -> Result<std::result::Result<i32, ManagerError>> {
        if let Err(error) = self.copy.apply().await {
            return Ok(Err(error));
        }
        let handle = self.copy.handle().clone();
        let stop = self.cancel.clone();
        let mut running = RunningTurn::start(|events, cancel| async move {
            let on_stop = cancel.clone();
            let run = handle.run_process(turn.events(events), &cancel);
            tokio::pin!(run);
            tokio::select! {
                ended = &mut run => ended,
                () = stop.cancelled() => {
                    on_stop.cancel();
                    run.await
                }
            }
        });
        let mut replaced = false;
        let ended = loop {
            match running.next().await {
                None => break Err(ManagerError::Cancelled),
                Some(TurnMessage::Ended(ended)) => break ended,
                Some(TurnMessage::Event(Event::Output { stream, text })) => {
                    replaced |= text.contains('\u{fffd}');
                    let output = match stream {
                        Stream::Stdout => stdout,
                        _ => stderr,
                    };
                    // An error drops the turn, which stops it: the reader of the pipe has ended.
                    output.write_all(text.as_bytes()).await?;
                }
                Some(TurnMessage::Event(_)) => {}
            }
        };
        let execution = match ended {
            Ok(execution) => execution,
            Err(ManagerError::NotCommitted { execution, source }) => {
                let _ = self.copy.refresh().await;
                stderr
                    .write_all(format!("python: {source}\n").as_bytes())
                    .await?;
                *execution
            }
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = self.copy.refresh().await {
            return Ok(Err(error));
        }
        if replaced {
            let note = "python: a character of the output is U+FFFD: bytes that are not UTF-8 were replaced; write them \
                        to a file instead\n";
            stderr.write_all(note.as_bytes()).await?;
        }
        let (status, message) = status_of(&execution);
        if !message.is_empty() {
            stderr.write_all(message.as_bytes()).await?;
        }
        Ok(Ok(status))
    }
}

/// Returns the exit status of a program, and what to write to stderr about its end.
fn status_of(execution: &Execution) -> (i32, String) {
    let dropped = execution.stdout.dropped_bytes + execution.stderr.dropped_bytes;
    let (status, mut message) = match &execution.outcome {
        Outcome::Completed => (0, String::new()),
        Outcome::Raised(exception) => (1, exception.traceback.clone()),
        Outcome::Exited { code } => (*code, String::new()),
        Outcome::TimedOut { limit } => (124, stopped_after(*limit)),
        Outcome::OutOfFuel { .. } => (
            124,
            "python: stopped: its computation budget is used up".to_owned(),
        ),
        Outcome::Cancelled => (130, "python: stopped".to_owned()),
        Outcome::Trapped { reason } => (134, format!("python: aborted: {reason}")),
        _ => (
            1,
            "python: the program waits for a user, who cannot be asked here".to_owned(),
        ),
    };
    if execution.rolled_back {
        message.push_str("\npython: its changes of files were undone");
    }
    if dropped > 0 {
        message.push_str(&format!(
            "\npython: {dropped} bytes of output beyond its limit were dropped"
        ));
    }
    let message = message.trim_start_matches('\n');
    let end = if message.is_empty() || message.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    (status, format!("{message}{end}"))
}

fn stopped_after(limit: Duration) -> String {
    format!(
        "python: stopped after its time limit of {} s",
        limit.as_secs_f64()
    )
}
