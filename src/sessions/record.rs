//! What is told of a turn, without running anything.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::SessionError;
use crate::sandbox::{Execution, GuestFile, Outcome, Variable};

/// The most that is kept of each text, in bytes.
const MOST_TEXT: usize = 64 << 10;
const MOST_FILES: usize = 1000;
/// No record is longer.
const MOST_BYTES: u64 = 16 << 20;

/// A turn of a session: its code and what it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TurnRecord {
    /// Its number, from 1.
    pub turn: u32,
    /// The turn after which the session was as it is now: this one, or, when this one was rolled
    /// back, an earlier one; 0 for a fresh session.
    pub state: u32,
    /// The turn whose snapshot this one's lies over, as it holds only what has changed since; 0 when
    /// it is whole, or there is none.
    pub over: u32,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// The Python source.
    pub code: String,
    /// How it ended: `ok`, `error`, `exit`, `timeout`, `out_of_fuel`, `cancelled`, `waiting` or `trap`.
    pub status: String,
    /// The final expression's `repr`.
    pub result: Option<String>,
    /// What it wrote to stdout, shortened.
    pub stdout: String,
    /// What it wrote to stderr, shortened.
    pub stderr: String,
    /// The traceback of an uncaught exception, shortened.
    pub error: Option<String>,
    /// Files of the home folder that it changed.
    pub files: Vec<ChangedFile>,
    /// The session's variables after it.
    pub variables: Vec<Variable>,
    /// Wall time in milliseconds.
    pub wall_ms: u64,
    /// Fuel.
    pub fuel: u64,
}

/// A file of the home folder that a turn changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedFile {
    /// Its path from the home folder.
    pub path: String,
    /// Its size in bytes after the turn; `None` when it was removed.
    pub bytes: Option<u64>,
    /// Whether it was not there before.
    pub added: bool,
}

impl TurnRecord {
    pub(super) fn of(
        turn: u32,
        (state, over): (u32, u32),
        code: &str,
        execution: &Execution,
        before: &BTreeMap<String, GuestFile>,
        after: &BTreeMap<String, GuestFile>,
    ) -> Self {
        let (status, error) = match &execution.outcome {
            Outcome::Completed => ("ok", None),
            Outcome::Raised(e) => ("error", Some(shorten(&e.traceback))),
            Outcome::Exited { .. } => ("exit", None),
            Outcome::TimedOut { .. } => ("timeout", None),
            Outcome::OutOfFuel { .. } => ("out_of_fuel", None),
            Outcome::Cancelled => ("cancelled", None),
            Outcome::Waiting => ("waiting", None),
            Outcome::Trapped { .. } => ("trap", None),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            turn,
            state,
            over,
            ended_ms: now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            code: code.to_owned(),
            status: status.into(),
            result: execution.result.as_deref().map(shorten),
            stdout: shorten(&execution.stdout.text),
            stderr: shorten(&execution.stderr.text),
            error,
            files: changed(before, after),
            variables: execution.variables.clone(),
            wall_ms: u64::try_from(execution.usage.wall.as_millis()).unwrap_or(u64::MAX),
            fuel: execution.usage.fuel,
        }
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
    let gone = (before.keys())
        .filter(|path| !after.contains_key(*path))
        .map(|path| ChangedFile {
            path: path.clone(),
            bytes: None,
            added: false,
        });
    new.chain(gone).take(MOST_FILES).collect()
}

fn shorten(text: &str) -> String {
    if text.len() <= MOST_TEXT {
        return text.to_owned();
    }
    let cut = |mut at: usize| {
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    let (begin, end) = (cut(MOST_TEXT / 2), cut(text.len() - MOST_TEXT / 2));
    format!(
        "{}\n... {} bytes left out ...\n{}",
        &text[..begin],
        end - begin,
        &text[end..]
    )
}

pub(super) fn path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.json"))
}

pub(super) fn read(folder: &Path, turn: u32) -> Result<TurnRecord, SessionError> {
    let path = path(folder, turn);
    let len = fs::metadata(&path).map_or(0, |meta| meta.len());
    let bytes = match len {
        0..=MOST_BYTES => fs::read(&path).map_err(SessionError::io("read", &path))?,
        _ => Vec::new(),
    };
    parse(&bytes, turn).map_err(|why| SessionError::Damaged { path, why })
}

/// Reads a record, which may come from anybody.
pub(super) fn parse(bytes: &[u8], turn: u32) -> Result<TurnRecord, String> {
    let record: TurnRecord = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    match record.turn == turn && record.state <= turn {
        true => Ok(record),
        false => Err(format!("it is not the record of turn {turn}")),
    }
}
