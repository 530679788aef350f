//! Fetching a wheel with the user's own package client, so that the index, mirror, proxy,
//! certificate and credential settings that work for the user work here.
//!
//! `uv` comes first. It has no `uv pip download` (true of 0.13), but `uv tool run pip download`
//! runs pip in an environment of its own, and brings a Python if there is none. pip does not
//! read uv's index settings, so those given as variables are handed on. Then come the Pythons
//! on PATH with their own pip.
//!
//! The wheel is never installed, and no code of it is run. Clients run in a private empty
//! folder: `python -m pip` would otherwise import a `pip.py` from the current one.

use std::collections::VecDeque;
use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{ClientFailure, Distribution, Manifest, PackError, private};

/// A client that neither writes nor grows a file for this long is stopped.
const STALL: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(100);
/// How much of a client's output is kept, in bytes and in lines.
const TAIL: usize = 8 << 10;
const TAIL_LINES: usize = 15;

/// A client: the program's name and what comes before pip's own arguments.
struct Candidate(&'static str, &'static [&'static str]);

const UV: Candidate = Candidate("uv", &["tool", "run", "pip"]);
#[cfg(not(windows))]
const PYTHONS: &[Candidate] = &[
    Candidate("python3", &["-m", "pip"]),
    Candidate("python", &["-m", "pip"]),
];
#[cfg(windows)]
const PYTHONS: &[Candidate] = &[
    Candidate("python3", &["-m", "pip"]),
    Candidate("python", &["-m", "pip"]),
    Candidate("py", &["-3", "-m", "pip"]),
];

/// Where package clients are looked for, and what they are told of the user's settings.
#[derive(Debug, Clone)]
pub struct Clients {
    search_path: OsString,
    /// Variables for a pip that is run by uv.
    index: Vec<(&'static str, OsString)>,
    stall: Duration,
}

impl Clients {
    /// The clients on the `PATH` of this environment. The clients themselves inherit the
    /// environment of the process.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            search_path: lookup("PATH").unwrap_or_default(),
            index: index_variables(lookup),
            stall: STALL,
        }
    }

    /// The clients in these folders, separated as in `PATH`. Relative ones are passed over, so
    /// that nothing from the current folder is run.
    pub fn in_path(search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            index: Vec::new(),
            stall: STALL,
        }
    }

    /// Changes how long a client may neither write nor fetch anything before it is stopped; by
    /// default five minutes.
    pub fn stall(mut self, limit: Duration) -> Self {
        self.stall = limit;
        self
    }

    /// Fetches the wheel of `manifest` into `folder`, an empty private one, and returns its
    /// path. It is not checked. `progress` is told the count of bytes there from time to time.
    pub(super) fn download(
        &self,
        manifest: &Manifest,
        folder: &Path,
        needed: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PackError> {
        let wheel = &manifest.distribution.wheel;
        let mut failures = Vec::new();
        for (candidate, program) in self.found() {
            match self.run(
                candidate,
                &program,
                &manifest.distribution,
                folder,
                progress,
            ) {
                Ok(path) => return Ok(path),
                Err(failure) if failure.output.contains("No space left on device") => {
                    let path = folder.to_owned();
                    return Err(PackError::DiskFull { path, needed });
                }
                Err(failure) => failures.push(failure),
            }
        }
        let (pack, wheel) = (manifest.name.clone(), wheel.clone());
        if failures.is_empty() {
            let looked_for = std::iter::once(&UV).chain(PYTHONS);
            return Err(PackError::NoClient {
                pack,
                wheel,
                looked_for: looked_for.map(|c| c.0.to_owned()).collect(),
            });
        }
        Err(PackError::ClientFailed {
            pack,
            wheel,
            failures,
        })
    }

    /// The clients there are, in order; two names of one program count once.
    fn found(&self) -> Vec<(&'static Candidate, PathBuf)> {
        let mut found: Vec<(&Candidate, PathBuf)> = Vec::new();
        for candidate in std::iter::once(&UV).chain(PYTHONS) {
            let name = format!("{}{EXE_SUFFIX}", candidate.0);
            let program = std::env::split_paths(&self.search_path)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(&name))
                .find(|path| private::is_program(path));
            let real = |path: &Path| fs::canonicalize(path).ok();
            if let Some(program) = program
                && !found.iter().any(|(_, other)| real(other) == real(&program))
            {
                found.push((candidate, program));
            }
        }
        found
    }

    fn run(
        &self,
        candidate: &Candidate,
        program: &Path,
        distribution: &Distribution,
        folder: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, ClientFailure> {
        let scratch = folder.join("tmp");
        let arguments = arguments(candidate, distribution, folder);
        let shown = arguments.iter().map(|a| a.to_string_lossy());
        let shown: Vec<_> = std::iter::once(program.to_string_lossy())
            .chain(shown)
            .collect();
        let command = shown.join(" ");
        let failure = |problem: String, output: String| ClientFailure {
            command: command.clone(),
            problem,
            output,
        };
        let start = || {
            private::create_dir(&scratch)?;
            let mut command = Command::new(program);
            command
                .args(&arguments)
                .current_dir(folder)
                // Growing files are looked at, and what a killed client leaves is removed.
                .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, &scratch)))
                .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
                .env("PIP_NO_INPUT", "1")
                .env("PIP_REQUIRE_VIRTUALENV", "0")
                .env("PIP_PROGRESS_BAR", "off")
                .env("UV_NO_PROGRESS", "1")
                .env("NO_COLOR", "1")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            if candidate.0 == UV.0 {
                command.envs(self.index.iter().map(|(name, value)| (name, value)));
            }
            command.spawn()
        };
        let mut child = start().map_err(|e| failure(e.to_string(), String::new()))?;
        let output = Arc::new(Output::default());
        let ended = follow(&mut child, &output)
            .and_then(|closed| self.wait(&mut child, &output, &closed, folder, progress));
        if ended.is_err() {
            // It may have ended already; either way it is no longer waited for.
            let _ = child.kill();
            let _ = child.wait();
        }
        let status = ended.map_err(|e| failure(e.to_string(), output.tail()))?;
        if !status.success() {
            return Err(failure(status.to_string(), output.tail()));
        }
        let path = folder.join(&distribution.wheel);
        if !path.is_file() {
            let problem = format!("it ended well, but left no {}", distribution.wheel);
            return Err(failure(problem, output.tail()));
        }
        Ok(path)
    }

    /// Waits for the client to end, reporting how many bytes there are in `folder`.
    fn wait(
        &self,
        child: &mut Child,
        output: &Output,
        closed: &Receiver<()>,
        folder: &Path,
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
            let now = (folder_size(folder), output.count());
            if now != last {
                last = now;
                last_change = Instant::now();
                progress(now.0);
            } else if last_change.elapsed() >= self.stall {
                let limit = self.stall.as_secs_f32();
                return Err(std::io::Error::other(format!(
                    "stopped, since it did nothing for {limit} s"
                )));
            }
        }
    }
}

fn arguments(candidate: &Candidate, distribution: &Distribution, folder: &Path) -> Vec<OsString> {
    let Distribution { name, version, .. } = distribution;
    // The wheel's own Python code is not run, so the client's version of Python is no matter.
    let download = [
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--ignore-requires-python",
    ];
    let mut arguments: Vec<OsString> = candidate
        .1
        .iter()
        .chain(&download)
        .map(Into::into)
        .collect();
    arguments.extend([
        "--dest".into(),
        folder.into(),
        format!("{name}=={version}").into(),
    ]);
    arguments
}

/// uv's index settings in pip's words, unless pip has its own.
fn index_variables(lookup: &dyn Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let set = |name| lookup(name).filter(|value| !value.is_empty());
    // `name=https://…` is an index with a name, which pip does not know.
    let plain = |value: OsString| -> Option<OsString> {
        let value = value.into_string().ok()?;
        let urls = value
            .split_whitespace()
            .map(|url| match url.split_once('=') {
                Some((name, url)) if !name.contains([':', '/', '.']) => url,
                _ => url,
            });
        Some(urls.collect::<Vec<_>>().join(" ").into())
    };
    let pairs = [
        ("PIP_INDEX_URL", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
        ("PIP_EXTRA_INDEX_URL", ["UV_INDEX", "UV_EXTRA_INDEX_URL"]),
    ];
    pairs
        .into_iter()
        .filter(|(pip, _)| set(pip).is_none())
        .filter_map(|(pip, uv)| Some((pip, uv.into_iter().find_map(set).and_then(plain)?)))
        .collect()
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

    /// The last lines of both; clients say on standard error why they failed.
    fn tail(&self) -> String {
        let mut lines = self.stdout.lines(TAIL_LINES / 3);
        lines.extend(self.stderr.lines(TAIL_LINES));
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

    /// The last `count` lines that are not blank, without control characters.
    fn lines(&self, count: usize) -> Vec<String> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(last.make_contiguous());
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| line.chars().filter(|c| !c.is_control()).collect())
            .filter(|line: &String| !line.trim().is_empty())
            .collect();
        lines.split_off(lines.len().saturating_sub(count))
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
