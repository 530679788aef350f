//! The record of a turn: a description that can be read without running code.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::SessionError;
use codeact_sandbox::{Execution, GuestFile, Outcome, Status, Variable};

/// Limit of each text, in bytes.
const MAX_TEXT: usize = 64 << 10;
/// Limit of the changed files.
const MAX_FILES: usize = 1000;
/// Limit of a record's file, in bytes.
pub(super) const MAX_BYTES: u64 = 16 << 20;

/// Description of a committed turn: its code and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TurnRecord {
    /// Number of the turn, from 1.
    pub turn: u32,
    /// Number of the turn whose snapshot is the state after this one: this turn, or an earlier one if this turn was
    /// rolled back; 0 for a fresh session.
    pub state: u32,
    /// Number of the turn whose snapshot is the base of this turn's incremental snapshot; 0 if the snapshot is full or
    /// there is none.
    pub over: u32,
    /// Time at which it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// Python source.
    pub code: String,
    /// How it ended.
    pub status: Status,
    /// `repr` of the value of the final expression, shortened.
    pub result: Option<String>,
    /// Captured stdout, shortened.
    pub stdout: String,
    /// Captured stderr, shortened.
    pub stderr: String,
    /// Traceback of an uncaught exception, shortened.
    pub error: Option<String>,
    /// Files of the home folder that it changed.
    pub files: Vec<ChangedFile>,
    /// Variables of the session after it.
    pub variables: Vec<Variable>,
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
    /// Fuel that it used.
    pub fuel: u64,
}

/// A file of the home folder that a turn changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangedFile {
    /// Path, relative to the home folder.
    pub path: String,
    /// Size after the turn, in bytes; `None` if the file was removed.
    pub bytes: Option<u64>,
    /// True if the file did not exist before.
    pub added: bool,
}

impl TurnRecord {
    /// Returns the record of a turn, without changed files.
    pub(super) fn new(
        turn: u32,
        (state, over): (u32, u32),
        code: &str,
        execution: &Execution,
    ) -> Self {
        let error = match &execution.outcome {
            Outcome::Raised(exception) => Some(shorten(&exception.traceback)),
            _ => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            turn,
            state,
            over,
            ended_ms: now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            code: code.to_owned(),
            status: execution.outcome.status(),
            result: execution.result.as_deref().map(shorten),
            stdout: shorten(&execution.stdout.text),
            stderr: shorten(&execution.stderr.text),
            error,
            files: Vec::new(),
            variables: execution.variables.clone(),
            wall_ms: u64::try_from(execution.usage.wall.as_millis()).unwrap_or(u64::MAX),
            fuel: execution.usage.fuel,
        }
    }

    /// Sets the changed files; `before` and `after` are the files of the home folder.
    pub(super) fn with_files(
        mut self,
        before: &BTreeMap<String, GuestFile>,
        after: &BTreeMap<String, GuestFile>,
    ) -> Self {
        self.files = changed(before, after);
        self
    }
}

fn changed(
    before: &BTreeMap<String, GuestFile>,
    after: &BTreeMap<String, GuestFile>,
) -> Vec<ChangedFile> {
    let new = (after.iter())
        .filter(|(path, file)| before.get(*path) != Some(*file))
        .map(|(path, file)| ChangedFile {
            path: path.clone(),
            bytes: Some(file.len()),
            added: !before.contains_key(path),
        });
    let removed = (before.keys())
        .filter(|path| !after.contains_key(*path))
        .map(|path| ChangedFile {
            path: path.clone(),
            bytes: None,
            added: false,
        });
    new.chain(removed).take(MAX_FILES).collect()
}

/// Limit of the code of a turn, as JSON, in bytes. With the other fields it must fit into [`MAX_BYTES`].
pub(super) const MAX_CODE: usize = 8 << 20;

/// Returns an error if `code` is too long for the record of a turn of the session `name`.
pub(super) fn check_code(name: &str, code: &str) -> Result<(), SessionError> {
    // A character takes at most six bytes.
    let bytes = match code.len() {
        len if len <= MAX_CODE / 6 => return Ok(()),
        len if len > MAX_CODE => len,
        _ => serde_json::to_string(code).map_or(usize::MAX, |json| json.len()),
    };
    match bytes <= MAX_CODE {
        true => Ok(()),
        false => Err(SessionError::TooLarge {
            name: name.to_owned(),
            what: "code",
            bytes: bytes as u64,
            max: MAX_CODE as u64,
        }),
    }
}

/// Returns the content of the file of `record`. Lists that are too long for it are left out.
pub(super) fn encode(record: &TurnRecord) -> serde_json::Result<Vec<u8>> {
    let bytes = serde_json::to_vec(record)?;
    if bytes.len() as u64 <= MAX_BYTES {
        return Ok(bytes);
    }
    serde_json::to_vec(&TurnRecord {
        files: Vec::new(),
        variables: Vec::new(),
        ..record.clone()
    })
}

/// Returns `text` without its middle if it is longer than [`MAX_TEXT`].
fn shorten(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let cut = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    let (begin, end) = (cut(MAX_TEXT / 2), cut(text.len() - MAX_TEXT / 2));
    format!(
        "{}\n... {} bytes left out ...\n{}",
        &text[..begin],
        end - begin,
        &text[end..]
    )
}

/// Returns the path of the record of `turn`.
pub(super) fn path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.json"))
}

/// Reads the record of `turn`. The file is untrusted.
pub(super) fn read(folder: &Path, turn: u32) -> Result<TurnRecord, SessionError> {
    let path = path(folder, turn);
    let len = fs::metadata(&path).map_or(0, |meta| meta.len());
    let bytes = match len {
        0..=MAX_BYTES => fs::read(&path).map_err(SessionError::io("read", &path))?,
        _ => Vec::new(),
    };
    parse(&bytes, turn).map_err(|why| SessionError::Damaged { path, why })
}

/// Parses and validates a record.
pub(super) fn parse(bytes: &[u8], turn: u32) -> Result<TurnRecord, String> {
    let record: TurnRecord = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    match record.turn == turn && record.state <= turn {
        true => Ok(record),
        false => Err(format!("it is not the record of turn {turn}")),
    }
}
