//! The committed turns of an open session: its folder, its lock, and the head that the next commit replaces.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use codeact_base::atomic_file;
use codeact_sandbox::{Execution, GuestFile, Sandbox, SavedSnapshot, Session, SuspendedTurn};

use crate::SessionError;
use crate::folder::{
    LoadedSession, MAX_DEPTH, MAX_SNAPSHOT_BYTES, MAX_TURN, go_back, load_current, snapshot_path,
    suspended_path, tidy,
};
use crate::record::{self, TurnRecord};

/// A turn that has run and is not committed yet.
#[derive(Debug, Clone)]
pub struct FinishedTurn {
    /// The Python source; empty for a change of files by the host.
    pub code: String,
    /// The result.
    pub execution: Execution,
}

/// Number of commits between two searches for snapshots to remove, because a search reads the whole folder.
const TIDY_INTERVAL: u32 = 16;

/// The turns of one session in a folder. No other process can open it until this is dropped.
pub(crate) struct FolderLog {
    folder: PathBuf,
    last: u32,
    /// Number of the turn whose snapshot is the current state.
    state: u32,
    /// That snapshot.
    saved: Option<SavedSnapshot>,
    files: BTreeMap<String, GuestFile>,
    commits: u32,
    _lock: File,
}

impl FolderLog {
    /// Returns the session of `loaded` and its log.
    pub(crate) fn new(loaded: LoadedSession, folder: PathBuf, lock: File) -> (Session, Self) {
        let log = Self {
            files: by_path(&loaded.session),
            last: loaded.last,
            state: loaded.state,
            saved: loaded.saved,
            folder,
            commits: 0,
            _lock: lock,
        };
        (loaded.session, log)
    }

    pub(crate) fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the number of the last turn; 0 if there is none.
    pub(crate) fn last(&self) -> u32 {
        self.last
    }

    /// Returns an error if `more` turns would exceed the limit of turns.
    pub(crate) fn check_turns(&self, more: u32) -> Result<(), SessionError> {
        match self.last.saturating_add(more) <= MAX_TURN {
            true => Ok(()),
            false => Err(SessionError::TooManyTurns {
                name: self.name(),
                max: MAX_TURN,
            }),
        }
    }

    /// Commits `turns`, the last of which left `session` as it is. Only the state after the last turn is written. A
    /// process that is killed meanwhile leaves the head as it was before.
    pub(crate) fn commit(
        &mut self,
        session: &Session,
        turns: &[FinishedTurn],
    ) -> Result<(), SessionError> {
        let count = u32::try_from(turns.len()).unwrap_or(u32::MAX);
        let Some(end) = turns.last() else {
            return Ok(());
        };
        self.check_turns(count)?;
        let (first, last) = (self.last + 1, self.last + count);
        let changed = turns.iter().any(|turn| !turn.execution.rolled_back);
        let state = if changed { last } else { self.state };
        let files = by_path(session);
        let (mut over, mut saved) = (0, None);
        if changed {
            let below = self.saved.as_ref().filter(|saved| saved.depth < MAX_DEPTH);
            let path = snapshot_path(&self.folder, last);
            let made = session.checkpoint()?.save_over(&path, below)?;
            if made.depth > 0 {
                over = self.state;
            }
            saved = Some(made);
        }
        let head = (TurnRecord::new(last, (state, over), &end.code, &end.execution))
            .with_files(&self.files, &files);
        // The head first: with it, all turns are committed. Records of earlier turns are only history.
        self.write_record(&head)?;
        for (turn, number) in turns.iter().zip(first..last) {
            let own_state = if changed { number } else { self.state };
            let record = TurnRecord::new(number, (own_state, 0), &turn.code, &turn.execution);
            // The head is written: the turns are committed whether or not this is.
            let _ = self.write_record(&record);
        }
        // The previous turn is no longer suspended. If its file cannot be removed, it is ignored.
        let _ = std::fs::remove_file(suspended_path(&self.folder, self.last));
        (self.last, self.state, self.files) = (last, state, files);
        self.saved = saved.or(self.saved.take());
        if self.commits.is_multiple_of(TIDY_INTERVAL) {
            // Best effort: files that cannot be removed stay.
            let _ = tidy(&self.folder, usize::MAX, MAX_SNAPSHOT_BYTES);
        }
        self.commits = self.commits.wrapping_add(1);
        match &end.execution.suspended {
            Some(suspended) => self.save_suspended(suspended),
            None => Ok(()),
        }
    }

    /// Writes a record. Another process that has written a record of this turn is a conflict: the compare-and-set of
    /// the head.
    fn write_record(&self, record: &TurnRecord) -> Result<(), SessionError> {
        let bytes = record::encode(record).map_err(|e| SessionError::Damaged {
            path: self.folder.clone(),
            why: e.to_string(),
        })?;
        let path = record::path(&self.folder, record.turn);
        match atomic_file::write_new(&path, &bytes) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(SessionError::Conflict { name: self.name() })
            }
            result => result.map_err(SessionError::io("write", &path)),
        }
    }

    pub(crate) fn save_suspended(&self, suspended: &SuspendedTurn) -> Result<(), SessionError> {
        Ok(suspended.save(suspended_path(&self.folder, self.last))?)
    }

    pub(crate) fn suspended(&self) -> Result<Option<SuspendedTurn>, SessionError> {
        let path = suspended_path(&self.folder, self.last);
        match path.exists() {
            true => Ok(Some(SuspendedTurn::load(path)?)),
            false => Ok(None),
        }
    }

    /// Removes the last `count` turns and returns the session after the rest.
    pub(crate) fn undo(&mut self, count: u32, sandbox: &Sandbox) -> Result<Session, SessionError> {
        go_back(&self.folder, &self.name(), count)?;
        let loaded = load_current(&self.folder, sandbox)?;
        self.files = by_path(&loaded.session);
        (self.last, self.state, self.saved) = (loaded.last, loaded.state, loaded.saved);
        Ok(loaded.session)
    }
}

fn by_path(session: &Session) -> BTreeMap<String, GuestFile> {
    let files = session.files().into_iter();
    files.map(|file| (file.path.clone(), file)).collect()
}
