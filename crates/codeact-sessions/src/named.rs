//! An open session.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use codeact_base::atomic_file;
use codeact_sandbox::{
    Changes, Execution, GuestFile, InputResponse, Recorder, Sandbox, SandboxError, SavedSnapshot,
    Session, Snapshot, SuspendedTurn, Turn, TurnOptions,
};

use super::SessionError;
use super::folder::{
    LoadedSession, MAX_DEPTH, MAX_SNAPSHOT_BYTES, MAX_TURN, go_back, load_current, snapshot_path,
    suspended_path, tidy,
};
use super::record::{self, TurnRecord};

/// An open session. No other process can open it until this is dropped.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use codeact_sandbox::Sandbox;
/// use codeact_sessions::SessionStore;
///
/// let sandbox = Sandbox::new().await?;
/// let mut work = SessionStore::at("sessions").open("work", &sandbox)?;
/// work.run("x = 1").await?; // on disk when this returns
/// work.undo(1, &sandbox)?;
/// # Ok(())
/// # }
/// ```
pub struct NamedSession {
    session: Session,
    folder: PathBuf,
    last: u32,
    /// Number of the turn whose snapshot is the current state.
    state: u32,
    /// That snapshot.
    saved: Option<SavedSnapshot>,
    files: BTreeMap<String, GuestFile>,
    _lock: File,
}

impl NamedSession {
    pub(super) fn new(loaded: LoadedSession, folder: PathBuf, lock: File) -> Self {
        Self {
            files: by_path(&loaded.session),
            session: loaded.session,
            last: loaded.last,
            state: loaded.state,
            saved: loaded.saved,
            folder,
            _lock: lock,
        }
    }

    /// Returns the name of the session.
    pub fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the number of the last turn; 0 if there is none.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// Returns the session after its last turn.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Runs `turn` and commits it: when this returns, the turn is on disk. Changes in mounts are not written back. A
    /// suspended turn is saved as well, for [`NamedSession::resume`].
    ///
    /// # Errors
    ///
    /// As [`Session::run`]; [`SessionError::TooManyTurns`] if the session has 999,999 turns;
    /// [`SessionError::NotCommitted`] if the turn has run and could not be written. That error has
    /// the execution. The session on disk is then as it was before the turn, and this one has the state after it.
    pub async fn run(&mut self, turn: impl Into<Turn>) -> Result<Execution, SessionError> {
        if self.last >= MAX_TURN {
            return Err(SessionError::TooManyTurns {
                name: self.name(),
                max: MAX_TURN,
            });
        }
        let turn = turn.into().variables(true);
        let code = turn.code().to_owned();
        let execution = self.session.run(turn).await?;
        match self.commit_turn(&code, &execution) {
            Ok(()) => Ok(execution),
            Err(source) => Err(SessionError::NotCommitted {
                execution: Box::new(execution),
                source: Box::new(source),
            }),
        }
    }

    fn commit_turn(&mut self, code: &str, execution: &Execution) -> Result<(), SessionError> {
        let turn = self.last + 1;
        let state = match execution.rolled_back {
            true => self.state,
            false => turn,
        };
        let files = by_path(&self.session);
        let (mut over, mut saved) = (0, None);
        if state == turn {
            let below = self.saved.as_ref().filter(|saved| saved.depth < MAX_DEPTH);
            let path = snapshot_path(&self.folder, turn);
            let made = self.session.checkpoint()?.save_over(&path, below)?;
            if made.depth > 0 {
                over = self.state;
            }
            saved = Some(made);
        }
        let record = TurnRecord::of(turn, (state, over), code, execution, &self.files, &files);
        let bytes = serde_json::to_vec(&record).map_err(|e| SessionError::Damaged {
            path: self.folder.clone(),
            why: e.to_string(),
        })?;
        let path = record::path(&self.folder, turn);
        atomic_file::write(&path, &bytes).map_err(SessionError::io("write", &path))?;
        (self.last, self.state, self.files) = (turn, state, files);
        self.saved = saved.or(self.saved.take());
        // The previous turn is no longer suspended. If its file cannot be removed, it is ignored.
        let _ = std::fs::remove_file(suspended_path(&self.folder, turn - 1));
        // Best effort: files that cannot be removed stay.
        let _ = tidy(&self.folder, usize::MAX, MAX_SNAPSHOT_BYTES);
        match &execution.suspended {
            Some(suspended) => self.save_suspended(suspended),
            None => Ok(()),
        }
    }

    /// Replaces the suspended turn that [`NamedSession::run`] saved, for example with one that has a note. It is removed
    /// when it is resumed or undone, or when another turn runs.
    ///
    /// # Errors
    ///
    /// As [`SuspendedTurn::save`].
    pub fn save_suspended(&self, suspended: &SuspendedTurn) -> Result<(), SessionError> {
        Ok(suspended.save(suspended_path(&self.folder, self.last))?)
    }

    /// Returns the last turn if it is suspended.
    ///
    /// # Errors
    ///
    /// As [`SuspendedTurn::load`].
    pub fn suspended(&self) -> Result<Option<SuspendedTurn>, SessionError> {
        let path = suspended_path(&self.folder, self.last);
        match path.exists() {
            true => Ok(Some(SuspendedTurn::load(path)?)),
            false => Ok(None),
        }
    }

    /// Resumes the suspended turn with the response to its request, and commits it as [`NamedSession::run`] does.
    /// `sandbox` must be the one in which the session was opened, with the grants of the suspended turn.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::NotSuspended`] if the last turn is not suspended; otherwise as [`SuspendedTurn::resume`]
    /// and [`NamedSession::run`].
    pub async fn resume(
        &mut self,
        sandbox: &Sandbox,
        response: InputResponse,
        options: TurnOptions,
    ) -> Result<Execution, SessionError> {
        let Some(suspended) = self.suspended()? else {
            return Err(SessionError::NotSuspended { name: self.name() });
        };
        let turn = self.prepare_resume(&suspended, sandbox, response)?;
        self.run(turn.options(options)).await
    }

    /// Restores the session before `suspended`, which must be its suspended turn, and returns the turn, for callers that
    /// run it themselves. It must be the next turn of [`NamedSession::run`].
    ///
    /// # Errors
    ///
    /// As [`SuspendedTurn::prepare`].
    pub fn prepare_resume(
        &mut self,
        suspended: &SuspendedTurn,
        sandbox: &Sandbox,
        response: InputResponse,
    ) -> Result<Turn, SessionError> {
        let (session, turn) = suspended.prepare(sandbox, response)?;
        self.session = session;
        Ok(turn)
    }

    /// As [`Session::checkpoint`].
    ///
    /// # Errors
    ///
    /// As [`Session::checkpoint`].
    pub fn checkpoint(&self) -> Result<Snapshot, SandboxError> {
        self.session.checkpoint()
    }

    /// As [`Session::changes`].
    pub fn changes(&self) -> Changes {
        self.session.changes()
    }

    /// Writes `changes` in mounts back to the host, as [`Session::commit`] does.
    ///
    /// # Errors
    ///
    /// As [`Session::commit`].
    pub fn commit(&mut self, changes: &Changes) -> Result<(), SandboxError> {
        self.session.commit(changes)
    }

    /// As [`Session::record`].
    pub fn record(&mut self, recorder: &Recorder) {
        self.session.record(recorder);
    }

    /// Undoes the last `count` turns, on disk and in memory. Returns the number of the last turn then; 0 if there is none.
    /// `sandbox` must be the one in which the session was opened.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::undo`](super::SessionStore::undo) and [`Snapshot::load`].
    pub fn undo(&mut self, count: u32, sandbox: &Sandbox) -> Result<u32, SessionError> {
        go_back(&self.folder, &self.name(), count)?;
        let loaded = load_current(&self.folder, sandbox)?;
        self.files = by_path(&loaded.session);
        self.session = loaded.session;
        (self.last, self.state, self.saved) = (loaded.last, loaded.state, loaded.saved);
        Ok(self.last)
    }
}

fn by_path(session: &Session) -> BTreeMap<String, GuestFile> {
    let files = session.files().into_iter();
    files.map(|file| (file.path.clone(), file)).collect()
}
