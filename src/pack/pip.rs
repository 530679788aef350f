//! One run of pip: watched while it fetches, stopped when it stalls, its words kept.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::client::{Candidate, Clients, UV};
use super::{ClientFailure, PackError, private};

const POLL: Duration = Duration::from_millis(100);
/// How much of each of a client's streams is kept, in bytes: one line may list all the versions
/// of a package.
const TAIL: usize = 64 << 10;
/// How much of it is shown, in lines, and of each line, in characters.
const TAIL_LINES: usize = 15;
const LINE: usize = 400;

/// One run of pip.
pub(super) struct Job<'a> {
    /// pip's own arguments.
    pub(super) arguments: Vec<OsString>,
    /// The private folder that it runs in and fetches to.
    pub(super) folder: &'a Path,
    /// The platforms whose wheels may be used, where the arguments ask for some; there can be too
    /// many to show as arguments.
    pub(super) platforms: Option<&'a str>,
    /// It is stopped when `folder` holds more bytes than this.
    pub(super) largest: u64,
    /// How many bytes are needed there, for the error on a full disk.
    pub(super) needed: u64,
}

/// What a client wrote: the end of each stream, without control characters.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) stdout: Vec<String>,
    pub(super) stderr: Vec<String>,
}

/// A client's failure, for people and with its words in full.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: ClientFailure,
    pub(super) words: Words,
    /// It was stopped, since it fetched more than it may.
    pub(super) too_large: bool,
}

/// How an attempt with one client ended.
#[derive(Debug)]
pub(super) enum Attempt {
    /// The next client may do better.
    Failed(Box<Failed>),
    /// No client will.
    Final(Box<PackError>),
}

impl From<Failed> for Attempt {
    fn from(failed: Failed) -> Self {
        Self::Failed(Box::new(failed))
    }
}

impl From<PackError> for Attempt {
    fn from(error: PackError) -> Self {
        Self::Final(Box::new(error))
    }
}

/// A client that was found.
pub(super) struct Client<'a> {
    pub(super) candidate: &'static Candidate,
    pub(super) program: PathBuf,
    pub(super) settings: &'a Clients,
}

impl Client<'_> {
    /// Runs pip to its end. `progress` is told the count of bytes in the folder from time to time.
    ///
    /// # Errors
    ///
    /// [`Attempt::Failed`] if it cannot be started, fails, stalls or fetches too much;
    /// [`Attempt::Final`] if the disk is full.
    pub(super) fn pip(
        &self,
        job: &Job<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Words, Attempt> {
        let scratch = job.folder.join("tmp");
        let start = || {
            private::create_dir(&scratch)?;
            let mut command = Command::new(&self.program);
            command
                .args(self.candidate.1)
                .args(&job.arguments)
                .current_dir(job.folder)
                // Growing files are looked at, and what a killed client leaves is removed.
                .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, &scratch)))
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
                .env("PIP_NO_INPUT", "1")
                .env("PIP_REQUIRE_VIRTUALENV", "0")
                .env("PIP_USER", "0")
                .env("PIP_PROGRESS_BAR", "off")
                .env("UV_NO_PROGRESS", "1")
                .env("NO_COLOR", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if let Some(platforms) = job.platforms {
                command.env("PIP_PLATFORM", platforms);
            }
            if self.candidate.0 == UV.0 {
                let index = &self.settings.index;
                command.envs(index.iter().map(|(name, value)| (name, value)));
            }
            command.spawn()
        };
        let output = Arc::new(Output::default());
        let ended = start().and_then(|mut child| {
            let ended = follow(&mut child, &output)
                .and_then(|closed| self.wait(&mut child, &output, &closed, job, progress));
            if ended.is_err() {
                // It may have ended already; either way it is no longer waited for.
                let _ = child.kill();
                let _ = child.wait();
            }
            ended
        });
        let words = output.words();
        let (problem, too_large) = match ended {
            Ok(status) if status.success() => return Ok(words),
            Ok(status) => (status.to_string(), false),
            Err(e) => (e.to_string(), e.kind() == ErrorKind::FileTooLarge),
        };
        let full = |line: &String| line.contains("No space left on device");
        if words.stderr.iter().chain(&words.stdout).any(full) {
            let path = job.folder.to_owned();
            let needed = job.needed;
            return Err(PackError::DiskFull { path, needed }.into());
        }
        let failed = self.failure(job, problem, words);
        Err(Failed {
            too_large,
            ..failed
        }
        .into())
    }

    /// A failure of `job`, which may have ended well in the client's own view.
    pub(super) fn failure(&self, job: &Job<'_>, problem: String, words: Words) -> Failed {
        let arguments = job.arguments.iter().map(|a| a.to_string_lossy());
        let shown: Vec<_> = std::iter::once(self.program.to_string_lossy())
            .chain(self.candidate.1.iter().map(|&a| a.into()))
            .chain(arguments)
            .collect();
        let failure = ClientFailure {
            command: shown.join(" "),
            problem,
            output: words.tail(),
        };
        Failed {
            failure,
            words,
            too_large: false,
        }
    }

    /// Waits for the client to end, reporting how many bytes there are in the folder.
    fn wait(
        &self,
        child: &mut Child,
        output: &Output,
        closed: &Receiver<()>,
        job: &Job<'_>,
        progress: &mut dyn FnMut(u64),
    ) -> std::io::Result<ExitStatus> {
        let mut last = (0, 0);
        let mut last_change = Instant::now();
        loop {
            // Both streams closed nearly always means that the client has ended.
            match closed.recv_timeout(POLL) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(POLL / 20),
            }
            if let Some(status) = child.try_wait()? {
                // A process it left behind may keep the streams open: then do without the rest.
                while closed.recv_timeout(POLL * 10) == Ok(()) {}
                return Ok(status);
            }
            let now = (folder_size(job.folder), output.count());
            if now.0 > job.largest {
                let limit = job.largest / 1_000_000;
                return Err(std::io::Error::new(
                    ErrorKind::FileTooLarge,
                    format!("stopped, since it fetched more than {limit} MB"),
                ));
            }
            if now != last {
                last = now;
                last_change = Instant::now();
                progress(now.0);
            } else if last_change.elapsed() >= self.settings.stall {
                let limit = self.settings.stall.as_secs_f32();
                return Err(std::io::Error::other(format!(
                    "stopped, since it did nothing for {limit} s"
                )));
            }
        }
    }
}

/// What a client wrote, each stream apart: which of two is read first is chance.
#[derive(Default)]
struct Output {
    stdout: Tail,
    stderr: Tail,
}

impl Output {
    fn count(&self) -> u64 {
        let count = |tail: &Tail| tail.count.load(Ordering::Relaxed);
        count(&self.stdout) + count(&self.stderr)
    }

    fn words(&self) -> Words {
        Words {
            stdout: self.stdout.lines(),
            stderr: self.stderr.lines(),
        }
    }
}

impl Words {
    /// The last lines of both; clients say on standard error why they failed.
    fn tail(&self) -> String {
        let last = |lines: &'_ [String], count: usize| -> Vec<String> {
            let from = lines.len().saturating_sub(count);
            let cut = |line: &String| match line.char_indices().nth(LINE) {
                Some((end, _)) => format!("{} …", &line[..end]),
                None => line.clone(),
            };
            lines[from..].iter().map(cut).collect()
        };
        let mut lines = last(&self.stdout, TAIL_LINES / 3);
        lines.extend(last(&self.stderr, TAIL_LINES));
        lines.join("\n")
    }
}

/// The last bytes of a stream.
#[derive(Default)]
struct Tail {
    last: Mutex<VecDeque<u8>>,
    count: AtomicU64,
}

impl Tail {
    fn push(&self, bytes: &[u8]) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(bytes);
        let surplus = last.len().saturating_sub(TAIL);
        last.drain(..surplus);
        self.count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    }

    /// The lines that are not blank, without control characters.
    fn lines(&self) -> Vec<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(last.make_contiguous());
        text.lines()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect())
            .filter(|line: &String| !line.trim().is_empty())
            .collect()
    }
}

/// Reads both streams of `child` on threads of their own. The receiver gets one word for each
/// stream that ends.
fn follow(child: &mut Child, output: &Arc<Output>) -> std::io::Result<Receiver<()>> {
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
    output: Arc<Output>,
    which: fn(&Output) -> &Tail,
    closed: Sender<()>,
) -> std::io::Result<()> {
    let read = move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            which(&output).push(&buffer[..count]);
        }
        // Nobody listens any more if the client was given up.
        let _ = closed.send(());
    };
    thread::Builder::new()
        .name("codeact-client".to_owned())
        .spawn(read)
        .map(drop)
}

/// The size in bytes of all files under `folder`; what cannot be read counts nothing.
pub(super) fn folder_size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
