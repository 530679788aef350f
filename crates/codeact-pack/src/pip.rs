//! One run of pip: progress, stall detection, and its output.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use codeact_base::private::create_dir;

use crate::folders::folder_size;
use crate::supervise;
use crate::{ClientFailure, PackError};

const POLL: Duration = Duration::from_millis(100);
/// Stored bytes of each output stream of a client. One line can list all versions of a package.
const MAX_TAIL_BYTES: usize = 64 << 10;
/// Lines of a client's stderr in an error, and characters of each line.
const MAX_SHOWN_LINES: usize = 15;
const MAX_LINE_CHARS: usize = 400;

/// Parameters of one run of pip.
pub(crate) struct ClientRun<'a> {
    /// pip's own arguments.
    pub(crate) arguments: Vec<OsString>,
    /// Private working folder, to which pip downloads.
    pub(crate) folder: &'a Path,
    /// Platforms whose wheels pip may use, as a value of `PIP_PLATFORM`. There can be too many for arguments.
    pub(crate) platforms: Option<&'a str>,
    /// pip is stopped if `folder` contains more bytes than this.
    pub(crate) max_bytes: u64,
    /// Bytes needed in `folder`, for the error on a full disk.
    pub(crate) needed: u64,
    /// pip is stopped at this time.
    pub(crate) deadline: Option<Instant>,
}

/// Output of a client: the last lines of each stream, without control characters.
#[derive(Debug, Default)]
pub(crate) struct ClientOutput {
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

/// A failed run of a client.
#[derive(Debug)]
pub(crate) struct FailedRun {
    /// Description for the user.
    pub(crate) failure: ClientFailure,
    pub(crate) output: ClientOutput,
}

/// Error of an attempt with one client.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// Another client may succeed.
    Failed(Box<FailedRun>),
    /// No client can succeed.
    Final(Box<PackError>),
}

impl From<FailedRun> for ClientError {
    fn from(run: FailedRun) -> Self {
        Self::Failed(Box::new(run))
    }
}

impl From<PackError> for ClientError {
    fn from(error: PackError) -> Self {
        Self::Final(Box::new(error))
    }
}

/// An installed client.
pub(crate) struct Client<'a> {
    /// Path of the program.
    pub(crate) program: PathBuf,
    /// Arguments before those of pip.
    pub(crate) prefix: &'static [&'static str],
    /// Environment variables with index settings.
    pub(crate) variables: &'a [(&'static str, OsString)],
    /// Time without output and without downloaded bytes after which the client is stopped.
    pub(crate) stall: Duration,
    /// The client is stopped when this is true.
    pub(crate) cancelled: &'a AtomicBool,
}

impl Client<'_> {
    /// Runs pip and returns its output. `progress` is called from time to time with the number of bytes in the folder.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Failed`] if pip cannot be started, fails, stalls, downloads too many bytes or reaches its
    /// deadline, and [`ClientError::Final`] if the disk is full or the caller has cancelled.
    pub(crate) fn pip(
        &self,
        run: &ClientRun<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<ClientOutput, ClientError> {
        let scratch = run.folder.join("tmp");
        let start = || {
            create_dir(&scratch)?;
            let mut command = supervise::command(&self.program);
            command
                .args(self.prefix)
                .args(&run.arguments)
                .current_dir(run.folder)
                // Progress is measured in this folder, and it is deleted if the client is killed.
                .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, &scratch)))
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
                .env("PIP_NO_INPUT", "1")
                .env("PIP_REQUIRE_VIRTUALENV", "0")
                .env("PIP_USER", "0")
                .env("PIP_PROGRESS_BAR", "off")
                .env("UV_NO_PROGRESS", "1")
                .env("NO_COLOR", "1")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if let Some(platforms) = run.platforms {
                command.env("PIP_PLATFORM", platforms);
            }
            command.envs(self.variables.iter().map(|(name, value)| (name, value)));
            command.spawn()
        };
        let output = Arc::new(OutputTails::default());
        let ended = start().and_then(|mut child| {
            let ended = read_output(&mut child, &output)
                .and_then(|closed| self.wait(&mut child, &output, &closed, run, progress));
            if ended.is_err() {
                supervise::stop(&mut child);
            }
            ended
        });
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(PackError::Cancelled.into());
        }
        let output = output.lines();
        let problem = match ended {
            Ok(status) if status.success() => return Ok(output),
            Ok(status) => status.to_string(),
            Err(e) => e.to_string(),
        };
        let full = |line: &String| line.contains("No space left on device");
        if output.stderr.iter().chain(&output.stdout).any(full) {
            let path = run.folder.to_owned();
            let needed = run.needed;
            return Err(PackError::DiskFull { path, needed }.into());
        }
        Err(self.failure(run, problem, output).into())
    }

    /// Returns a failure of `run`, which may have exited with success.
    pub(crate) fn failure(
        &self,
        run: &ClientRun<'_>,
        problem: String,
        output: ClientOutput,
    ) -> FailedRun {
        let arguments = run.arguments.iter().map(|a| a.to_string_lossy());
        let shown: Vec<_> = std::iter::once(self.program.to_string_lossy())
            .chain(self.prefix.iter().map(|&a| a.into()))
            .chain(arguments)
            .collect();
        let failure = ClientFailure {
            command: shown.join(" "),
            problem,
            output: output.tail(),
        };
        FailedRun { failure, output }
    }

    /// Waits until the client exits, and reports the number of bytes in the folder.
    fn wait(
        &self,
        child: &mut Child,
        output: &OutputTails,
        closed: &Receiver<()>,
        run: &ClientRun<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> std::io::Result<ExitStatus> {
        let mut last = (0, 0);
        let mut last_change = Instant::now();
        loop {
            // If both streams are closed, the client has usually exited.
            match closed.recv_timeout(POLL) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL / 20),
            }
            if let Some(status) = child.try_wait()? {
                // A child process of the client can hold the streams open. The rest of its output is not needed.
                while closed.recv_timeout(POLL * 10) == Ok(()) {}
                return Ok(status);
            }
            let now = (folder_size(run.folder), output.count());
            if now.0 > run.max_bytes {
                let limit = run.max_bytes / 1_000_000;
                return Err(std::io::Error::new(
                    ErrorKind::FileTooLarge,
                    format!("stopped because it downloaded more than {limit} MB"),
                ));
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(ErrorKind::Interrupted.into());
            }
            if run
                .deadline
                .is_some_and(|deadline| Instant::now() >= deadline)
            {
                return Err(std::io::Error::new(
                    ErrorKind::TimedOut,
                    "stopped at the end of the time limit",
                ));
            }
            if now != last {
                last = now;
                last_change = Instant::now();
                progress(now.0);
            } else if last_change.elapsed() >= self.stall {
                let limit = self.stall.as_secs_f32();
                return Err(std::io::Error::other(format!(
                    "stopped because it did nothing for {limit} s"
                )));
            }
        }
    }
}

/// Output of a running client. The streams are separate because their relative order is not known.
#[derive(Default)]
struct OutputTails {
    stdout: Tail,
    stderr: Tail,
}

impl OutputTails {
    fn count(&self) -> u64 {
        let count = |tail: &Tail| tail.count.load(Ordering::Relaxed);
        count(&self.stdout) + count(&self.stderr)
    }

    fn lines(&self) -> ClientOutput {
        ClientOutput {
            stdout: self.stdout.lines(),
            stderr: self.stderr.lines(),
        }
    }
}

impl ClientOutput {
    /// Returns the last lines of both streams, most of them from stderr, where clients report errors.
    fn tail(&self) -> String {
        let last = |lines: &'_ [String], count: usize| -> Vec<String> {
            let from = lines.len().saturating_sub(count);
            let cut = |line: &String| match line.char_indices().nth(MAX_LINE_CHARS) {
                Some((end, _)) => format!("{} …", &line[..end]),
                None => line.clone(),
            };
            lines[from..].iter().map(cut).collect()
        };
        let mut lines = last(&self.stdout, MAX_SHOWN_LINES / 3);
        lines.extend(last(&self.stderr, MAX_SHOWN_LINES));
        lines.join("\n")
    }
}

/// Last bytes of a stream.
#[derive(Default)]
struct Tail {
    last: Mutex<VecDeque<u8>>,
    count: AtomicU64,
}

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(bytes);
        let surplus = last.len().saturating_sub(MAX_TAIL_BYTES);
        last.drain(..surplus);
        self.count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    /// Returns the lines that are not blank, without control characters.
    fn lines(&self) -> Vec<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(last.make_contiguous());
        text.lines()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect())
            .filter(|line: &String| !line.trim().is_empty())
            .collect()
    }
}

/// Reads both streams of `child`, each on a thread. The receiver gets one message when a stream ends.
fn read_output(child: &mut Child, output: &Arc<OutputTails>) -> std::io::Result<Receiver<()>> {
    let (closed, receiver) = channel();
    if let Some(stream) = child.stdout.take() {
        read_stream(stream, output.clone(), |o| &o.stdout, closed.clone())?;
    }
    if let Some(stream) = child.stderr.take() {
        read_stream(stream, output.clone(), |o| &o.stderr, closed)?;
    }
    Ok(receiver)
}

fn read_stream(
    mut stream: impl Read + Send + 'static,
    output: Arc<OutputTails>,
    which: fn(&OutputTails) -> &Tail,
    closed: Sender<()>,
) -> std::io::Result<()> {
    let read = move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            which(&output).push(&buffer[..count]);
        }
        // The receiver is dropped if the client was stopped.
        let _ = closed.send(());
    };
    thread::Builder::new()
        .name("codeact-client".to_owned())
        .spawn(read)
        .map(drop)
}
