//! Reads and replays a recording.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::SandboxError;
use crate::fs::mount::Mount;
use crate::replay::header::{Header, VERSION};
use crate::replay::recorded_turn::RecordedTurn;
use crate::replay::recorder::Recorder;
use crate::sandbox::Sandbox;
use crate::session::execution::Execution;
use crate::session::handle::Session;
use crate::session::turn::{Turn, TurnOptions};
use crate::snapshot::Snapshot;

/// Limit of a line, in bytes.
const MAX_LINE: u64 = 1 << 30;
/// Limit of the lines of a recording.
const MAX_LINES: usize = 100_000;
/// Limit of a recording, in bytes. All of it is in memory, with the journals still compressed.
const MAX_FILE: u64 = 4 << 30;
/// Limit of all notes, in bytes.
const MAX_NOTES: u64 = 64 << 20;

impl Recorder {
    /// Begins a recording of `session` in the file `path`. Only its owner can read the file, because it contains the
    /// data that the code reads. An existing file is overwritten. `note` is data for the program that replays it.
    ///
    /// [`Session::record`] records the turns.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Snapshot`] if a file of a mount is open, or if changes in a mount are neither
    /// committed nor discarded; [`SandboxError::Io`].
    pub fn create(
        path: impl AsRef<Path>,
        session: &Session,
        note: Value,
    ) -> Result<Self, SandboxError> {
        Self::start(path.as_ref(), &session.recording_header(note)?)
    }
}

impl Header {
    /// Returns the session before the turn. `sandbox` has the session's mounts.
    pub(crate) fn session(&self, sandbox: &Sandbox) -> Result<Session, SandboxError> {
        Ok(Snapshot::from_bytes(sandbox.context(), &self.start.0)?.session())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Turn(Box<RecordedTurn>),
    // Parsed later, because a value takes several times as much memory as its JSON.
    #[serde(borrow)]
    Note(&'a RawValue),
}

/// A recorded session, which can be replayed.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{Recording, Sandbox, TurnOptions};
///
/// let recording = Recording::load("work.jsonl")?;
/// let sandbox = Sandbox::new().await?;
/// let mut replay = recording.start(&sandbox)?;
/// while let Some(execution) = replay.next(TurnOptions::new()).await? {
///     println!("{}", execution.outcome.status());
/// }
/// // After the last recorded turn the session goes on.
/// let execution = replay.session().run("x").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Recording {
    header: Header,
    turns: Arc<[RecordedTurn]>,
    notes: Vec<Value>,
}

impl Recording {
    /// Reads the recording `path`. The file is untrusted.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Recording`] if it is not a recording, is damaged or has another version;
    /// [`SandboxError::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| SandboxError::io("open", path, e))?;
        let mut lines = Lines {
            from: BufReader::new(file),
            path,
            number: 0,
            bytes: 0,
            is_truncated: false,
        };
        let Some(header) = lines.next()? else {
            return Err(SandboxError::recording(path, "it is empty"));
        };
        #[derive(Deserialize)]
        struct Versioned {
            codeact_recording: u32,
        }
        let version: Versioned = serde_json::from_slice(&header)
            .map_err(|_| SandboxError::recording(path, "it is not a recording of codeact"))?;
        if version.codeact_recording != VERSION {
            let found = version.codeact_recording;
            return Err(SandboxError::recording(
                path,
                &format!("it has version {found}, and this program reads version {VERSION}"),
            ));
        }
        let header: Header = lines.read(&header)?;
        let (mut turns, mut notes) = (Vec::new(), Vec::new());
        let mut note_bytes = 0;
        while let Some(line) = lines.next()? {
            match lines.read(&line)? {
                Line::Turn(turn) => turns.push(*turn),
                Line::Note(note) => {
                    note_bytes += note.get().len() as u64;
                    if note_bytes > MAX_NOTES {
                        return Err(lines.too_large());
                    }
                    notes.push(lines.read(note.get().as_bytes())?);
                }
            }
        }
        if turns.is_empty() && lines.is_truncated {
            return Err(SandboxError::recording(
                path,
                "it ends within its first turn",
            ));
        }
        Ok(Self {
            header,
            turns: turns.into(),
            notes,
        })
    }

    /// Returns the recorded turns in order.
    pub fn turns(&self) -> &[RecordedTurn] {
        &self.turns
    }

    /// Returns the note that was passed to [`Recorder::create`].
    pub fn note(&self) -> &Value {
        &self.header.note
    }

    /// Returns the notes that were passed to [`Recorder::note`], in order.
    pub fn notes(&self) -> &[Value] {
        &self.notes
    }

    /// Returns the recording with its first `turns` turns only.
    #[must_use]
    pub fn until(mut self, turns: usize) -> Self {
        self.turns = self.turns.iter().take(turns).cloned().collect();
        self
    }

    /// Returns the added packages that its sandbox needs, as `NAME==VERSION`.
    pub fn packages(&self) -> &[String] {
        &self.header.packages
    }

    /// Returns the session before the first recorded turn, ready to replay.
    ///
    /// `sandbox` must have the packages of the recording, and no mounts. Its limits hold, whatever the recording says.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`], for example if it was recorded with another pack or version.
    pub fn start(&self, sandbox: &Sandbox) -> Result<Replay, SandboxError> {
        let mut sandbox = sandbox.derive();
        for mount in &self.header.mounts {
            sandbox = sandbox.mount(Mount::from_recorded(mount)?);
        }
        let session = self.header.session(&sandbox.build()?)?;
        Ok(Replay {
            session: session.replaying(self.turns.clone()),
            turns: self.turns.clone(),
            next: 0,
        })
    }

    /// Replays all turns and returns their executions. No model, network or file of the host is used.
    ///
    /// # Errors
    ///
    /// As [`Recording::start`] and [`Replay::next`].
    pub async fn replay(&self, sandbox: &Sandbox) -> Result<Vec<Execution>, SandboxError> {
        let mut replay = self.start(sandbox)?;
        let mut executions = Vec::with_capacity(self.turns.len());
        while let Some(execution) = replay.next(TurnOptions::default()).await? {
            executions.push(execution);
        }
        Ok(executions)
    }
}

/// A session that replays a recording turn by turn; see [`Recording::start`].
pub struct Replay {
    session: Session,
    turns: Arc<[RecordedTurn]>,
    next: usize,
}

impl Replay {
    /// Replays the next turn with `options`. Returns `None` after the last.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Differs`] if its output, memory or calls differ from the recorded ones;
    /// [`SandboxError::NeedsMore`] if its recorded limits or its fuel are above the limits of the sandbox, or if it does
    /// not end within the wall time.
    pub async fn next(&mut self, options: TurnOptions) -> Result<Option<Execution>, SandboxError> {
        let Some(turn) = self.turns.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let turn = Turn::from_spec(turn.spec.clone(), options);
        self.session.run(turn).await.map(Some)
    }

    /// Returns the session, for callers that run the turns themselves. Each turn must equal the recorded one, otherwise
    /// running it returns [`SandboxError::Differs`]. After the last recorded turn the session runs any turn, but its
    /// mounts are empty.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Returns the session; see [`Replay::session`].
    pub fn into_session(self) -> Session {
        self.session
    }
}

struct Lines<'a> {
    from: BufReader<File>,
    path: &'a Path,
    number: usize,
    bytes: u64,
    /// True if the file ends within a line.
    is_truncated: bool,
}

impl Lines<'_> {
    /// Returns the next line. An incomplete last line, of a process that was killed, is ignored. A last line that lacks
    /// only its line break is complete.
    fn next(&mut self) -> Result<Option<Vec<u8>>, SandboxError> {
        let mut line = Vec::new();
        let mut from = std::io::Read::take(&mut self.from, MAX_LINE);
        (from.read_until(b'\n', &mut line)).map_err(|e| SandboxError::io("read", self.path, e))?;
        self.number += 1;
        self.bytes += line.len() as u64;
        let is_too_large = line.len() as u64 >= MAX_LINE || self.bytes > MAX_FILE;
        if is_too_large || self.number > MAX_LINES {
            return Err(self.too_large());
        }
        if line.is_empty() {
            return Ok(None);
        }
        let has_line_break = line.pop_if(|last| *last == b'\n').is_some();
        self.is_truncated = !has_line_break && serde_json::from_slice::<IgnoredAny>(&line).is_err();
        Ok((!self.is_truncated).then_some(line))
    }

    fn too_large(&self) -> SandboxError {
        SandboxError::recording(self.path, "it is larger than a recording can be")
    }

    fn read<'a, T: Deserialize<'a>>(&self, line: &'a [u8]) -> Result<T, SandboxError> {
        serde_json::from_slice(line).map_err(|e| {
            SandboxError::recording(self.path, &format!("line {} is damaged: {e}", self.number))
        })
    }
}
