//! Writes a recording: a file of JSON lines.
//!
//! The first line is the session before the first turn. Each turn adds a line when it has ended, and so does each note
//! of the program that records, such as a reply of a model. If the process is killed, the complete lines are valid.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use crate::error::SandboxError;
use crate::replay::header::Header;
use crate::replay::recorded_turn::RecordedTurn;

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum WrittenLine<'a> {
    Turn(&'a RecordedTurn),
    Note(Value),
}

/// Writes the turns of a session to a recording as they end. Clones write to the same file.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{Recorder, Sandbox};
///
/// let sandbox = Sandbox::new().await?;
/// let mut session = sandbox.session()?;
/// let recorder = Recorder::create("work.jsonl", &session, serde_json::Value::Null)?;
/// session.record(&recorder);
/// session.run("import random; x = random.random()").await?;
/// recorder.finish()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    file: File,
    path: PathBuf,
    /// Reason why a line could not be written.
    failed: Option<String>,
}

impl Recorder {
    /// Creates the file `path`, which only its owner can read, and writes `header`.
    pub(crate) fn start(path: &Path, header: &Header) -> Result<Self, SandboxError> {
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
        inner.line(header);
        let recorder = Self(Arc::new(Mutex::new(inner)));
        recorder.finish()?;
        Ok(recorder)
    }

    fn inner<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes a turn.
    pub(crate) fn turn(&self, turn: &RecordedTurn) {
        self.inner(|inner| inner.line(&WrittenLine::Turn(turn)));
    }

    /// Stops recording because of `why`, which [`Recorder::finish`] then returns.
    pub(crate) fn give_up(&self, why: String) {
        self.inner(|inner| inner.failed.get_or_insert(why).truncate(1000));
    }

    /// Writes `note` between the turns, for the program that replays them.
    pub fn note(&self, note: Value) {
        self.inner(|inner| inner.line(&WrittenLine::Note(note)));
    }

    /// Syncs the file.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Recording`] if a turn or a note could not be written.
    pub fn finish(&self) -> Result<(), SandboxError> {
        self.inner(|inner| {
            if inner.failed.is_none()
                && let Err(e) = inner.file.sync_all()
            {
                inner.failed = Some(e.to_string());
            }
            match &inner.failed {
                Some(why) => Err(SandboxError::recording(&inner.path, why)),
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
        // Written in pieces, because a line can be as large as a journal.
        let mut to = BufWriter::with_capacity(1 << 16, &self.file);
        let written = serde_json::to_writer(&mut to, line).map_err(std::io::Error::from);
        let written = written.and_then(|()| {
            to.write_all(b"\n")?;
            to.flush()
        });
        if let Err(e) = written {
            self.failed = Some(e.to_string());
        }
    }
}
