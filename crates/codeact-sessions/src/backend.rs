//! Where sessions are kept, as a trait: a folder of one machine, or a store that several machines share.

use std::ops::RangeInclusive;
use std::path::Path;

use codeact_sandbox::{Sandbox, Session};

use crate::folder::{load_current, lock, remove_temporary};
use crate::log::{FinishedTurn, FolderLog};
use crate::{SessionError, SessionStore, TurnRecord, folder, record};

/// A place where sessions are kept. All methods block.
///
/// The settings of a session are bytes that only the caller interprets. A session can be opened once at a time; the
/// turns of an open session are committed by its [`SessionLog`], one compare-and-set of its head each.
pub trait SessionBackend: Send + Sync + 'static {
    /// Returns the identifiers of all sessions, sorted.
    ///
    /// # Errors
    ///
    /// Returns an error if the sessions cannot be listed.
    fn ids(&self) -> Result<Vec<String>, SessionError>;

    /// Makes the session `id` without turns.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Exists`] or [`SessionError::Name`].
    fn create(&self, id: &str, settings: &[u8]) -> Result<(), SessionError>;

    /// Returns the settings of `id`; empty if it was made without.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`], or [`SessionError::Damaged`] if they have more than 1 MiB.
    fn settings(&self, id: &str) -> Result<Vec<u8>, SessionError>;

    /// Replaces the settings of `id`.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`].
    fn set_settings(&self, id: &str, settings: &[u8]) -> Result<(), SessionError>;

    /// Opens the session `id`, as it was after its last committed turn.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`], [`SessionError::InUse`] if it is open elsewhere, or [`SessionError::Sandbox`]
    /// if its snapshot does not match the sandbox.
    fn open(
        &self,
        id: &str,
        sandbox: &Sandbox,
    ) -> Result<(Session, Box<dyn SessionLog>), SessionError>;

    /// Returns the number of the last committed turn of `id`; 0 if there is none.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`].
    fn last(&self, id: &str) -> Result<u32, SessionError>;

    /// Returns the records of the committed turns of `id` whose numbers are in `turns`, in order, at most `max`.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`] or [`SessionError::Damaged`].
    fn turns(
        &self,
        id: &str,
        turns: RangeInclusive<u32>,
        max: usize,
    ) -> Result<Vec<TurnRecord>, SessionError>;

    /// Makes the session `new` with the committed state of `id` after `turn`; `None`: after its last turn. `id` must not
    /// be open.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Exists`] or [`SessionError::NoTurn`].
    fn fork(
        &self,
        id: &str,
        turn: Option<u32>,
        new: &str,
        settings: &[u8],
    ) -> Result<(), SessionError>;

    /// Writes the session `id`, which must not be open, to the archive `to`.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::export`].
    fn export(&self, id: &str, to: &Path) -> Result<(), SessionError>;

    /// Makes the session `id` from the archive `from`, which is untrusted.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::import`].
    fn import(&self, from: &Path, id: &str, settings: &[u8]) -> Result<(), SessionError>;

    /// Removes the session `id`, which must not be open.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`] or [`SessionError::InUse`].
    fn remove(&self, id: &str) -> Result<(), SessionError>;

    /// Returns the bytes that the session `id` takes; 0 if there is no such session.
    fn bytes(&self, id: &str) -> u64;
}

/// The committed turns of an open session. All methods block.
pub trait SessionLog: Send {
    /// Returns the number of the last committed turn; 0 if there is none.
    fn last(&self) -> u32;

    /// Commits `turns`, the last of which left `session` as it is. Either all are committed or none is.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Conflict`] if another process has changed the head; [`SessionError::TooManyTurns`]; errors
    /// of the store.
    fn commit(&mut self, session: &Session, turns: &[FinishedTurn]) -> Result<(), SessionError>;

    /// Removes the last `count` committed turns, and returns the session after the rest.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::NoTurn`] if there are fewer turns, or if that state has been removed.
    fn undo(&mut self, count: u32, sandbox: &Sandbox) -> Result<Session, SessionError>;
}

impl SessionLog for FolderLog {
    fn last(&self) -> u32 {
        self.last()
    }

    fn commit(&mut self, session: &Session, turns: &[FinishedTurn]) -> Result<(), SessionError> {
        self.commit(session, turns)
    }

    fn undo(&mut self, count: u32, sandbox: &Sandbox) -> Result<Session, SessionError> {
        self.undo(count, sandbox)
    }
}

impl SessionBackend for SessionStore {
    fn ids(&self) -> Result<Vec<String>, SessionError> {
        self.names()
    }

    fn create(&self, id: &str, settings: &[u8]) -> Result<(), SessionError> {
        self.make(id, |into| folder::write_settings(into, settings))
    }

    fn settings(&self, id: &str) -> Result<Vec<u8>, SessionError> {
        folder::read_settings(&self.existing(id)?)
    }

    fn set_settings(&self, id: &str, settings: &[u8]) -> Result<(), SessionError> {
        folder::write_settings(&self.existing(id)?, settings)
    }

    fn open(
        &self,
        id: &str,
        sandbox: &Sandbox,
    ) -> Result<(Session, Box<dyn SessionLog>), SessionError> {
        let folder = self.existing(id)?;
        let lock = lock(&folder, id)?;
        remove_temporary(&folder);
        let loaded = load_current(&folder, sandbox)?;
        let (session, log) = FolderLog::new(loaded, folder, lock);
        Ok((session, Box::new(log)))
    }

    fn last(&self, id: &str) -> Result<u32, SessionError> {
        let turns = folder::numbers(&self.existing(id)?, "json")?;
        Ok(turns.last().copied().unwrap_or(0))
    }

    fn turns(
        &self,
        id: &str,
        turns: RangeInclusive<u32>,
        max: usize,
    ) -> Result<Vec<TurnRecord>, SessionError> {
        let folder = self.existing(id)?;
        let numbers = folder::numbers(&folder, "json")?.into_iter();
        (numbers.filter(|turn| turns.contains(turn)).take(max))
            .map(|turn| record::read(&folder, turn))
            .collect()
    }

    fn fork(
        &self,
        id: &str,
        turn: Option<u32>,
        new: &str,
        settings: &[u8],
    ) -> Result<(), SessionError> {
        self.fork_with(id, turn, new, |into| folder::write_settings(into, settings))
    }

    fn export(&self, id: &str, to: &Path) -> Result<(), SessionError> {
        self.export(id, to)
    }

    fn import(&self, from: &Path, id: &str, settings: &[u8]) -> Result<(), SessionError> {
        self.import_with(from, id, |into| folder::write_settings(into, settings))
    }

    fn remove(&self, id: &str) -> Result<(), SessionError> {
        self.remove(id)
    }

    fn bytes(&self, id: &str) -> u64 {
        let Ok(folder) = self.existing(id) else {
            return 0;
        };
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        files
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum()
    }
}
