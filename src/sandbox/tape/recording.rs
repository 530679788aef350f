//! A recording: one file of JSON lines, portable and without anything of the host but what the code
//! was told of it.
//!
//! The first line is what the session started from; then a line for each turn, written when it has
//! ended, and one for each note of whoever records, e.g. a model's reply. A process that is killed
//! leaves whole lines.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::Bytes;
use super::turn::RecordedTurn;
use crate::sandbox::error::SandboxError;
use crate::sandbox::mount::{Mount, RecordedMount};
use crate::sandbox::session::Session;
use crate::sandbox::snapshot::Snapshot;
use crate::sandbox::{Sandbox, Turn};

/// Raised when the format changes.
const VERSION: u32 = 1;
/// The longest line, in bytes.
const MOST_LINE: u64 = 1 << 30;
const MOST_LINES: usize = 100_000;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// The format's version.
    codeact_recording: u32,
    /// The program that recorded.
    codeact: String,
    /// A snapshot.
    start: Bytes,
    mounts: Vec<RecordedMount>,
    /// Packages beside the pack's, NAME==VERSION.
    packages: Vec<String>,
    /// What whoever recorded wants to know again.
    note: Value,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Written<'a> {
    Turn(&'a RecordedTurn),
    Note(Value),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Turn(Box<RecordedTurn>),
    Note(Value),
}

impl Header {
    pub(crate) fn new(
        start: &Snapshot,
        mounts: &[Mount],
        packages: Vec<String>,
        note: Value,
    ) -> Result<Self, SandboxError> {
        Ok(Self {
            codeact_recording: VERSION,
            codeact: env!("CARGO_PKG_VERSION").to_owned(),
            start: Bytes(start.to_bytes()?),
            mounts: mounts.iter().map(Mount::to_recorded).collect(),
            packages,
            note,
        })
    }

    /// The session it started with, in a sandbox that has the recorded mounts.
    pub(super) fn session(&self, sandbox: &Sandbox) -> Result<Session, SandboxError> {
        let mut sandbox = sandbox.clone();
        for mount in &self.mounts {
            sandbox = sandbox.mount(Mount::from_recorded(mount)?)?;
        }
        self.session_here(&sandbox)
    }

    /// As [`Header::session`], in a sandbox that has its mounts already.
    pub(super) fn session_here(&self, sandbox: &Sandbox) -> Result<Session, SandboxError> {
        Ok(Snapshot::from_bytes(sandbox, &self.start.0)?.session())
    }

    pub(super) fn packages(&self) -> &[String] {
        &self.packages
    }
}

/// Writes a session's turns down as they end. Clones write to the same file.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    failed: Option<String>,
}

impl Recorder {
    /// Begins a recording of `session` in the file `path`, which only its owner can read: what the
    /// code reads will be in it. What was there is overwritten. `note` is for whoever replays it.
    ///
    /// [`Session::record`] then records the turns.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Snapshot`] when a file of a mount is open, or changes in one are neither
    /// committed nor given up; [`SandboxError::Io`].
    pub fn create(
        path: impl AsRef<Path>,
        session: &Session,
        note: Value,
    ) -> Result<Self, SandboxError> {
        let path = path.as_ref();
        let header = session.recording_header(note)?;
        let failed = |e| SandboxError::io("write", path, e);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut inner = Inner {
            file: options.open(path).map_err(failed)?,
            path: path.to_owned(),
            failed: None,
        };
        inner.line(&header);
        let recorder = Self(Arc::new(Mutex::new(inner)));
        recorder.finish()?;
        Ok(recorder)
    }

    fn inner<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn turn(&self, turn: &RecordedTurn) {
        self.inner(|inner| inner.line(&Written::Turn(turn)));
    }

    pub(super) fn give_up(&self, why: String) {
        self.inner(|inner| inner.failed.get_or_insert(why).truncate(1000));
    }

    /// Writes `note` between the turns, for whoever replays them.
    pub fn note(&self, note: Value) {
        self.inner(|inner| inner.line(&Written::Note(note)));
    }

    /// Tells whether all that has ended so far is in the file.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Recording`] when it is not.
    pub fn finish(&self) -> Result<(), SandboxError> {
        self.inner(|inner| {
            if inner.failed.is_none()
                && let Err(e) = inner.file.sync_all()
            {
                inner.failed = Some(e.to_string());
            }
            match &inner.failed {
                Some(why) => Err(refused(&inner.path, why)),
                None => Ok(()),
            }
        })
    }
}

impl Inner {
    fn line(&mut self, line: &impl Serialize) {
        if self.failed.is_some() {
            return;
        }
        let written = serde_json::to_vec(line).map_err(std::io::Error::from);
        let written = written.and_then(|mut bytes| {
            bytes.push(b'\n');
            self.file.write_all(&bytes)
        });
        if let Err(e) = written {
            self.failed = Some(e.to_string());
        }
    }
}

/// A recorded session, to be run again.
#[derive(Debug)]
pub struct Recording {
    header: Header,
    turns: Arc<[RecordedTurn]>,
    notes: Vec<Value>,
}

impl Recording {
    /// Reads the recording `path`. It may come from anybody.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Recording`] when it is none, or damaged, or of another version;
    /// [`SandboxError::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| SandboxError::io("open", path, e))?;
        let mut lines = Lines {
            from: BufReader::new(file),
            path,
            number: 0,
        };
        let Some(header) = lines.next()? else {
            return Err(refused(path, "it is empty"));
        };
        #[derive(Deserialize)]
        struct Versioned {
            codeact_recording: u32,
        }
        let version: Versioned = serde_json::from_slice(&header)
            .map_err(|_| refused(path, "it is no recording of this program"))?;
        if version.codeact_recording != VERSION {
            let why = format!("it has version {}", version.codeact_recording);
            return Err(refused(
                path,
                &format!("{why}, and this program reads version {VERSION}"),
            ));
        }
        let header: Header = lines.read(&header)?;
        let (mut turns, mut notes) = (Vec::new(), Vec::new());
        while let Some(line) = lines.next()? {
            match lines.read(&line)? {
                Line::Turn(turn) => turns.push(*turn),
                Line::Note(note) => notes.push(note),
            }
        }
        Ok(Self {
            header,
            turns: turns.into(),
            notes,
        })
    }

    /// The recorded turns, in their order.
    pub fn turns(&self) -> &[RecordedTurn] {
        &self.turns
    }

    /// What was noted when the recording began.
    pub fn note(&self) -> &Value {
        &self.header.note
    }

    /// What was noted between the turns.
    pub fn notes(&self) -> &[Value] {
        &self.notes
    }

    /// Only its first `turns` turns.
    #[must_use]
    pub fn until(mut self, turns: usize) -> Self {
        self.turns = self.turns.iter().take(turns).cloned().collect();
        self
    }

    /// The packages beside the pack's that its sandbox needs, NAME==VERSION.
    pub fn packages(&self) -> &[String] {
        self.header.packages()
    }

    /// The session as it was when the recording began. Its turns, which must be the recorded ones, are
    /// told again what they were told then, and must end as they did: where one does not, running it
    /// is a [`SandboxError::Differs`]. After the last recorded turn it is a session like any other,
    /// but that its mounts are empty.
    ///
    /// `sandbox` has no mounts, and the recording's packages.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`], e.g. when it was recorded with another pack or version.
    pub fn session(&self, sandbox: &Sandbox) -> Result<Session, SandboxError> {
        Ok(self.header.session(sandbox)?.replaying(self.turns.clone()))
    }

    /// The turn `number`, from 1, to be run in [`Recording::session`], and whether it ends the session.
    pub fn turn(&self, number: usize) -> Option<(Turn, bool)> {
        let turn = self.turns.get(number.checked_sub(1)?)?;
        Some((turn.turn(), turn.is_last()))
    }
}

pub(super) struct Lines<'a> {
    from: BufReader<File>,
    path: &'a Path,
    number: usize,
}

impl Lines<'_> {
    /// The next whole line. What a killed process left of one is none.
    fn next(&mut self) -> Result<Option<Vec<u8>>, SandboxError> {
        let mut line = Vec::new();
        let mut from = std::io::Read::take(&mut self.from, MOST_LINE);
        (from.read_until(b'\n', &mut line)).map_err(|e| SandboxError::io("read", self.path, e))?;
        self.number += 1;
        if line.len() as u64 >= MOST_LINE || self.number > MOST_LINES {
            return Err(refused(self.path, "it is larger than any recording"));
        }
        Ok((line.pop() == Some(b'\n')).then_some(line))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, line: &[u8]) -> Result<T, SandboxError> {
        serde_json::from_slice(line)
            .map_err(|e| refused(self.path, &format!("line {} is damaged: {e}", self.number)))
    }
}

pub(super) fn refused(path: &Path, why: &str) -> SandboxError {
    SandboxError::Recording {
        path: path.to_owned(),
        why: why.to_owned(),
    }
}
