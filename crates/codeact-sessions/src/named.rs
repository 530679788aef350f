//! An open session.

use std::fs::File;
use std::path::{Path, PathBuf};

use codeact_sandbox::{
    Changes, Execution, InputResponse, Recorder, Sandbox, SandboxError, Session, Snapshot,
    SuspendedTurn, Turn, TurnOptions,
};

use super::SessionError;
use super::folder::LoadedSession;
use super::log::{FinishedTurn, FolderLog};
use super::record;

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
    log: FolderLog,
}

impl NamedSession {
    pub(super) fn new(loaded: LoadedSession, folder: PathBuf, lock: File) -> Self {
        let (session, log) = FolderLog::new(loaded, folder, lock);
        Self { session, log }
    }

    /// Returns the name of the session.
    pub fn name(&self) -> String {
        self.log.name()
    }

    pub(super) fn folder(&self) -> &Path {
        self.log.folder()
    }

    /// Returns the number of the last turn; 0 if there is none.
    pub fn last(&self) -> u32 {
        self.log.last()
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
    /// As [`Session::run`]; [`SessionError::TooManyTurns`] if the session has 999,999 turns; [`SessionError::TooLarge`] if the
    /// code has more than 8 MiB as JSON;
    /// [`SessionError::NotCommitted`] if the turn has run and could not be written. That error has
    /// the execution. The session on disk is then as it was before the turn, and this one has the state after it.
    pub async fn run(&mut self, turn: impl Into<Turn>) -> Result<Execution, SessionError> {
        self.log.check_turns(1)?;
        let turn = turn.into().variables(true);
        let code = turn.code().to_owned();
        record::check_code(&self.name(), &code)?;
        let execution = self.session.run(turn).await?;
        let turns = [FinishedTurn { code, execution }];
        let committed = self.log.commit(&self.session, &turns);
        let [FinishedTurn { execution, .. }] = turns;
        match committed {
            Ok(()) => Ok(execution),
            Err(source) => Err(SessionError::NotCommitted {
                execution: Box::new(execution),
                source: Box::new(source),
            }),
        }
    }

    /// Replaces the suspended turn that [`NamedSession::run`] saved, for example with one that has a note. It is removed
    /// when it is resumed or undone, or when another turn runs.
    ///
    /// # Errors
    ///
    /// As [`SuspendedTurn::save`].
    pub fn save_suspended(&self, suspended: &SuspendedTurn) -> Result<(), SessionError> {
        self.log.save_suspended(suspended)
    }

    /// Returns the last turn if it is suspended.
    ///
    /// # Errors
    ///
    /// As [`SuspendedTurn::load`].
    pub fn suspended(&self) -> Result<Option<SuspendedTurn>, SessionError> {
        self.log.suspended()
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
        self.session = self.log.undo(count, sandbox)?;
        Ok(self.log.last())
    }
}
