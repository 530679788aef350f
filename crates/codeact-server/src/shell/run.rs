//! Runs one shell command over the files of a session.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bashkit::{
    Bash, Command, CommandContext, CommandStatus, Error, ExecOptions, Result as ShellResult,
    async_trait,
};
use codeact::sandbox::Cancel;
use codeact_sessions::manager::{ManagerError, SessionHandle};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::shell::files::ShellFiles;
use crate::shell::limits::{self, MAX_OUTPUT_BYTES, MAX_SOURCE_BYTES, MAX_TIME};
use crate::shell::pip::Pip;
use crate::shell::python::{Interpreters, Python};
use crate::shell::seq::Seq;
use crate::shell::unknown::{Unknown, is_kept};
use crate::shell::working_copy::WorkingCopy;

/// Home folder, and the working folder of a command without one.
const HOME: &str = "/home/user";
/// Name of the command that passes on what a client sends as stdin.
const STDIN_COMMAND: &str = "__codeact_stdin";
/// Name of the command that ends it.
const STDIN_END_COMMAND: &str = "__codeact_stdin_end";
/// What is before and after the source of a command whose stdin comes in while it runs: it is the end of a pipe. It has a
/// shell of its own, so that its end, whatever it is, ends the pipe. (`eval` would collect all input first.)
const WITH_STDIN: (&str, &str) = (
    "__codeact_stdin | { ( ",
    "\n); set -- $?; __codeact_stdin_end; (exit $1); }",
);
/// Stack of a thread that interprets a command, in bytes. bashkit recurses with the nesting of the command, within its
/// limits; an unoptimised build takes several times the stack.
const STACK_BYTES: usize = 16 << 20;
/// Limit of the commands that run at a time in this process. Each has a thread.
static RUNNING: Semaphore = Semaphore::const_new(256);
/// Chunks of output that wait for the client. Then the command waits.
const OUTPUT_CHUNKS: usize = 16;

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
    /// Time after which it is stopped; `None`: a day.
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
    /// The server runs too many commands.
    #[error("the server runs too many commands now; try again later")]
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

/// Runs `command` over the files of `handle`'s session, calls `output` with what it writes as it is written, and returns
/// its exit status. Dropping the returned future stops the command.
///
/// # Errors
///
/// As [`RunningCommand::start`] and [`RunningCommand::end`].
pub(crate) async fn run_command(
    handle: &SessionHandle,
    command: ShellCommand,
    mut output: impl FnMut(ShellStream, &[u8]) + Send,
    cancel: &Cancel,
) -> Result<i32, ShellError> {
    let mut running = RunningCommand::start(handle, command, cancel).await?;
    while let Some((stream, bytes)) = running.next().await {
        output(stream, &bytes);
    }
    running.end().await
}

/// A command that runs. Dropping it stops the command.
///
/// The session is only held while a program of Python runs in it. The command's changes become one change of the session
/// at its end, also if it is stopped.
pub(crate) struct RunningCommand {
    copy: Arc<WorkingCopy>,
    chunks: mpsc::Receiver<Chunk>,
    end: oneshot::Receiver<Result<i32, ShellError>>,
    _stop: StopOnDrop,
}

impl RunningCommand {
    /// Starts `command` over the files of `handle`'s session. `cancel` stops it.
    ///
    /// # Errors
    ///
    /// Returns [`ShellError::TooLong`], [`ShellError::Busy`], [`ShellError::NoFolder`], and errors of the session.
    pub(crate) async fn start(
        handle: &SessionHandle,
        command: ShellCommand,
        cancel: &Cancel,
    ) -> Result<Self, ShellError> {
        if command.source.len() > MAX_SOURCE_BYTES {
            return Err(ShellError::TooLong(command.source.len()));
        }
        let permit = RUNNING.try_acquire().map_err(|_| ShellError::Busy)?;
        let copy = Arc::new(WorkingCopy::new(handle.clone()).await?);
        let cwd = working_folder(&copy, command.cwd.as_deref())?;
        let stop = StopOnDrop(cancel.child());
        let (send, chunks) = mpsc::channel(OUTPUT_CHUNKS);
        let (send_end, end) = oneshot::channel();
        let shell = Shell {
            copy: copy.clone(),
            cwd,
            command,
            output: send,
            cancel: stop.0.clone(),
        };
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("shell".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let ended = runtime.block_on(shell.run());
                drop(permit);
                // Without a caller, nobody needs the result.
                let _ = send_end.send(ended);
            })
            .map_err(|error| {
                tracing::error!(%error, "cannot start a thread for a shell command");
                ShellError::Failed
            })?;
        Ok(Self {
            copy,
            chunks,
            end,
            _stop: stop,
        })
    }

    /// Returns the next output; `None` at the end of the command. The command waits until its output is taken.
    pub(crate) async fn next(&mut self) -> Option<Chunk> {
        self.chunks.recv().await
    }

    /// Waits for the end, makes the command's changes in the session, and returns the exit status. A command that fails,
    /// or exceeds a limit of the shell other than its time, has one, and a message on stderr.
    ///
    /// # Errors
    ///
    /// Returns [`ShellError::Cancelled`], [`ShellError::TimedOut`], [`ShellError::Failed`], and errors of the session.
    pub(crate) async fn end(mut self) -> Result<i32, ShellError> {
        while self.next().await.is_some() {}
        // The thread is gone without a result if it has panicked.
        let ended = self.end.await.map_err(|_| ShellError::Failed)?;
        self.copy.apply().await?;
        ended
    }
}

/// Stops a command whose caller is gone.
struct StopOnDrop(Cancel);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn working_folder(copy: &WorkingCopy, cwd: Option<&str>) -> Result<PathBuf, ShellError> {
    let cwd = match cwd {
        None | Some("" | "~") => PathBuf::from(HOME),
        Some(path) => PathBuf::from(HOME).join(path.strip_prefix("~/").unwrap_or(path)),
    };
    match cwd.to_str().is_some_and(|path| copy.list(path).is_ok()) {
        true => Ok(cwd),
        false => Err(ShellError::NoFolder(
            cwd.to_string_lossy().chars().take(200).collect(),
        )),
    }
}

/// A command on its thread.
struct Shell {
    copy: Arc<WorkingCopy>,
    cwd: PathBuf,
    command: ShellCommand,
    output: mpsc::Sender<Chunk>,
    cancel: Cancel,
}

impl Shell {
    async fn run(mut self) -> Result<i32, ShellError> {
        let time = self.command.timeout.unwrap_or(MAX_TIME).min(MAX_TIME);
        let stdin = self.command.stdin.take();
        let has_stdin = stdin.is_some();
        let interpreters = Interpreters {
            copy: self.copy.clone(),
            cancel: self.cancel.clone(),
        };
        let stdin_end = Cancel::new();
        let stdin_command = ClientStdin {
            pieces: tokio::sync::Mutex::new(stdin),
            end: stdin_end.clone(),
        };
        let mut builder = Bash::builder()
            .fs(Arc::new(ShellFiles(self.copy.clone())))
            .cwd(&self.cwd)
            .username("user")
            .hostname("sandbox")
            .limits(limits::limits(time))
            .session_limits(limits::session_limits())
            .env("HOME", HOME)
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .command("python", Python(interpreters.clone()))
            .command("python3", Python(interpreters.clone()))
            .command("pip", Pip(interpreters.clone()))
            .command("pip3", Pip(interpreters))
            .command(STDIN_COMMAND, stdin_command)
            .command(STDIN_END_COMMAND, EndOfStdin(stdin_end))
            .command("seq", Seq)
            .builtin_filter(is_kept)
            .command_resolver(Arc::new(Unknown));
        let settings = self.copy.handle().settings();
        for (key, value) in settings.env.iter().chain(&self.command.env) {
            builder = builder.env(key, value);
        }
        let mut bash = builder.build();
        let (source, options) = self.source(has_stdin);
        let stopper = tokio::spawn(stop_at(
            self.cancel.clone(),
            time,
            bash.cancellation_token(),
        ));
        let (out, err) = (self.output.clone(), self.output.clone());
        let execution = bash
            .execute(&source)
            .options(options)
            .stdout_fn(move |bytes| pass_on(out.clone(), ShellStream::Stdout, bytes))
            .stderr_fn(move |bytes| pass_on(err.clone(), ShellStream::Stderr, bytes));
        let execution = execution.into_future();
        tokio::pin!(execution);
        let ended = tokio::select! {
            ended = &mut execution => ended,
            () = self.cancel.cancelled() => Err(Error::Cancelled),
        };
        let was_stopped = self.cancel.is_cancelled();
        stopper.abort();
        // A program of Python that the shell has started stops with it.
        self.cancel.cancel();
        let ended = match ended {
            Err(Error::Cancelled) if !was_stopped => return Err(ShellError::TimedOut(time)),
            ended => ended,
        };
        self.end_of(ended, time).await
    }

    /// Returns the source to run. With a stdin that comes in while the command runs, it is the end of a pipe.
    fn source(&self, has_stdin: bool) -> (String, ExecOptions) {
        let command = &self.command;
        let mut options = ExecOptions::new().positional(command.arguments.iter().cloned());
        if !command.name.is_empty() {
            options = options.arg0(&command.name);
        }
        match has_stdin {
            false => (command.source.clone(), options),
            true => {
                let (before, after) = WITH_STDIN;
                (format!("{before}{}{after}", command.source), options)
            }
        }
    }

    async fn end_of(
        &self,
        ended: ShellResult<bashkit::ExecResult>,
        time: Duration,
    ) -> Result<i32, ShellError> {
        let (status, message) = match ended {
            Ok(result) if result.stdout_truncated || result.stderr_truncated => {
                let text = format!("output beyond {MAX_OUTPUT_BYTES} bytes was dropped");
                (
                    if result.exit_code == 0 {
                        1
                    } else {
                        result.exit_code
                    },
                    text,
                )
            }
            Ok(result) => return Ok(result.exit_code),
            Err(Error::Cancelled) => return Err(ShellError::Cancelled),
            Err(Error::ResourceLimit(bashkit::LimitExceeded::Timeout(_))) => {
                return Err(ShellError::TimedOut(time));
            }
            Err(error @ Error::Parse { .. }) => (2, error.to_string()),
            Err(error) => (1, error.to_string()),
        };
        let _ = pass_on(
            self.output.clone(),
            ShellStream::Stderr,
            format!("bash: {message}\n").into_bytes(),
        )
        .await;
        Ok(status)
    }
}

/// Sets `flag`, which the shell reads between two commands, when the command is stopped or its time is over: a loop may
/// never come to a point where it waits.
async fn stop_at(cancel: Cancel, time: Duration, flag: Arc<AtomicBool>) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = tokio::time::sleep(time) => {}
    }
    flag.store(true, Ordering::Relaxed);
}

async fn pass_on(to: mpsc::Sender<Chunk>, stream: ShellStream, bytes: Vec<u8>) -> ShellResult<()> {
    // Without a receiver the caller is gone, which stops the command.
    to.send((stream, bytes)).await.map_err(|_| Error::Cancelled)
}

/// The start of the pipe: writes what the client sends.
struct ClientStdin {
    pieces: tokio::sync::Mutex<Option<mpsc::Receiver<Vec<u8>>>>,
    end: Cancel,
}

#[async_trait]
impl Command for ClientStdin {
    async fn execute(&self, context: CommandContext<'_>) -> ShellResult<CommandStatus> {
        let Some(mut pieces) = self.pieces.lock().await.take() else {
            return Ok(CommandStatus::success());
        };
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                () = self.end.cancelled() => None,
            };
            match piece {
                Some(bytes) => context.stdout.write_all(&bytes).await?,
                None => return Ok(CommandStatus::success()),
            }
        }
    }
}

/// The end of the command that has the client's stdin.
struct EndOfStdin(Cancel);

#[async_trait]
impl Command for EndOfStdin {
    async fn execute(&self, _context: CommandContext<'_>) -> ShellResult<CommandStatus> {
        self.0.cancel();
        Ok(CommandStatus::success())
    }
}
