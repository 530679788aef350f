//! Runs one shell command over the files of a session.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bashkit::{Bash, Error, ExecOptions, Result as ShellResult};
use codeact::sandbox::Cancel;
use codeact_sessions::manager::SessionHandle;
use tokio::sync::{mpsc, oneshot};

use crate::app::ServerTenant;
use crate::shell::client_stdin::{ClientStdin, EndOfStdin};
use crate::shell::command::{Chunk, ShellCommand, ShellError, ShellStream};
use crate::shell::files::ShellFiles;
use crate::shell::limits::{self, MAX_OUTPUT_BYTES, MAX_SOURCE_BYTES};
use crate::shell::pip::Pip;
use crate::shell::places::PLACES;
use crate::shell::python::{Interpreters, Python};
use crate::shell::seq::Seq;
use crate::shell::unknown::{Unknown, is_kept};
use crate::shell::work::Work;
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
/// Time between two looks at what a command has used.
const METER_INTERVAL: Duration = Duration::from_millis(50);
/// Chunks of output that wait for the client. Then the command waits.
const OUTPUT_CHUNKS: usize = 16;

/// Runs `command` over the files of `handle`'s session, calls `output` with what it writes as it is written, and returns
/// its exit status. Dropping the returned future stops the command.
///
/// # Errors
///
/// As [`RunningCommand::start`] and [`RunningCommand::end`].
pub(crate) async fn run_command(
    tenant: &ServerTenant,
    handle: &SessionHandle,
    command: ShellCommand,
    mut output: impl FnMut(ShellStream, &[u8]) + Send,
    cancel: &Cancel,
) -> Result<i32, ShellError> {
    let mut running = RunningCommand::start(tenant, handle, command, cancel).await?;
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
    /// Starts `command` over the files of `handle`'s session, which is one of `tenant`. `cancel` stops it. It counts as
    /// one of the tenant's concurrent turns, and its work is charged to the tenant's fuel.
    ///
    /// # Errors
    ///
    /// Returns [`ShellError::TooLong`], [`ShellError::Busy`], [`ShellError::NoFolder`], and errors of the session, among
    /// them quotas.
    pub(crate) async fn start(
        tenant: &ServerTenant,
        handle: &SessionHandle,
        command: ShellCommand,
        cancel: &Cancel,
    ) -> Result<Self, ShellError> {
        if command.source.len() > MAX_SOURCE_BYTES {
            return Err(ShellError::TooLong(command.source.len()));
        }
        let place = PLACES.take(&tenant.grants).ok_or(ShellError::Busy)?;
        let work = Arc::new(Work::begin(handle)?);
        let own = handle.settings().limits.clone();
        let own = own.map(|own| tenant.grants.narrow_limits(&own).wall);
        let wall = own.unwrap_or(tenant.grants.config.limits.wall);
        let copy = Arc::new(WorkingCopy::new(handle.clone()).await?);
        let cwd = working_folder(&copy, command.cwd.as_deref())?;
        let stop = StopOnDrop(cancel.child());
        let (send, chunks) = mpsc::channel(OUTPUT_CHUNKS);
        let (send_end, end) = oneshot::channel();
        let shell = Shell {
            copy: copy.clone(),
            cwd,
            command,
            wall,
            work: work.clone(),
            output: send,
            cancel: stop.0.clone(),
        };
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("shell".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let ended = runtime.block_on(shell.run());
                work.end();
                drop(place);
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
    /// Limit of its computing time: that of one turn.
    wall: Duration,
    work: Arc<Work>,
    output: mpsc::Sender<Chunk>,
    cancel: Cancel,
}

impl Shell {
    async fn run(mut self) -> Result<i32, ShellError> {
        let longest = limits::longest_time(self.wall);
        let time = self.command.timeout.unwrap_or(longest).min(longest);
        let stdin = self.command.stdin.take();
        let has_stdin = stdin.is_some();
        let interpreters = Interpreters {
            copy: self.copy.clone(),
            cancel: self.cancel.clone(),
            work: self.work.clone(),
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
        let has_used_up = Cancel::new();
        let stopper = Stopper {
            cancel: self.cancel.clone(),
            time,
            wall: self.wall,
            work: self.work.clone(),
            flag: bash.cancellation_token(),
            has_used_up: has_used_up.clone(),
        };
        let stopper = tokio::spawn(stopper.run());
        let pass_on = |stream| {
            let (to, work) = (self.output.clone(), self.work.clone());
            move |bytes: Vec<u8>| {
                work.note_output(bytes.len());
                pass_on(to.clone(), stream, bytes)
            }
        };
        let execution = bash
            .execute(&source)
            .options(options)
            .stdout_fn(pass_on(ShellStream::Stdout))
            .stderr_fn(pass_on(ShellStream::Stderr));
        let execution = self.work.measure(execution.into_future());
        tokio::pin!(execution);
        let ended = tokio::select! {
            ended = &mut execution => ended,
            () = self.cancel.cancelled() => Err(Error::Cancelled),
            () = has_used_up.cancelled() => Err(Error::Cancelled),
        };
        let was_stopped = self.cancel.is_cancelled();
        stopper.abort();
        // A program of Python that the shell has started stops with it.
        self.cancel.cancel();
        let ended = match ended {
            Err(Error::Cancelled) if !was_stopped && has_used_up.is_cancelled() => {
                return Err(ShellError::Computed(self.wall));
            }
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

/// Sets `flag`, which the shell reads between two commands, when the command is stopped, its time is over, or it has
/// computed for `wall`: a loop may never come to a point where it waits.
struct Stopper {
    cancel: Cancel,
    time: Duration,
    wall: Duration,
    work: Arc<Work>,
    flag: Arc<AtomicBool>,
    /// Cancelled if the command has computed for too long.
    has_used_up: Cancel,
}

impl Stopper {
    async fn run(self) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = tokio::time::sleep(self.time) => {}
            () = self.compute() => self.has_used_up.cancel(),
        }
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Charges the fuel of the command until it has used its time.
    async fn compute(&self) {
        while self.work.computed() < self.wall {
            self.work.charge();
            tokio::time::sleep(METER_INTERVAL).await;
        }
    }
}

async fn pass_on(to: mpsc::Sender<Chunk>, stream: ShellStream, bytes: Vec<u8>) -> ShellResult<()> {
    // Without a receiver the caller is gone, which stops the command.
    to.send((stream, bytes)).await.map_err(|_| Error::Cancelled)
}
