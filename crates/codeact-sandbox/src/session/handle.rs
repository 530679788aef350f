//! The session that callers hold.

use std::sync::{Arc, Mutex};

use crate::error::SandboxError;
use crate::fs::guest_file::GuestFile;
use crate::fs::mount::{self, Changes, Mount};
use crate::instance::slot::Slot;
use crate::journal::Entries;
use crate::replay::header::{Header, VERSION};
use crate::replay::mode::JournalMode;
use crate::replay::recorded_turn::RecordedTurn;
use crate::replay::recorder::Recorder;
use crate::session::context::SessionContext;
use crate::session::execution::Execution;
use crate::session::idle::{Checkpoint, IdleSession, lock};
use crate::session::transaction::{Job, StartOfTurn, guest_files, run_turn};
use crate::session::turn::Turn;
use crate::snapshot::Snapshot;
use crate::types::bytes::Bytes;
use crate::types::user_input::InputHandler;

/// A Python interpreter whose variables and files last from turn to turn; see [`Sandbox::session`](crate::Sandbox::session).
///
/// A turn that is stopped by a limit, traps or is cancelled is rolled back: memory and files are restored to its start,
/// and the session goes on. Dropping the future of [`Session::run`] has the same effect. After an uncaught exception the
/// session has the changes that the turn made before it, as in a notebook.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::Sandbox;
///
/// let mut session = Sandbox::new().await?.session()?;
/// session.run("rows = [3, 1, 2]").await?;
/// let mut other = session.fork()?; // has `rows` as well
/// other.run("rows.clear()").await?;
/// let execution = session.run("sorted(rows)").await?;
/// assert_eq!(execution.result.as_deref(), Some("[1, 2, 3]"));
/// # Ok(())
/// # }
/// ```
pub struct Session {
    pub(super) context: SessionContext,
    turns: u32,
    pub(super) idle: Arc<Mutex<IdleSession>>,
    journaling: Journaling,
}

/// Options of a new session; see [`Sandbox::session_with`](crate::Sandbox::session_with).
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    pub(crate) seed: Option<u64>,
}

impl SessionOptions {
    /// Returns the defaults: a seed from the operating system.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the seed of all randomness of the session; `None`: one from the operating system.
    #[must_use]
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.seed = seed.into();
        self
    }
}

/// How the turns of a session are journaled.
enum Journaling {
    Off,
    Recorded(Recorder),
    /// The turns of a recording, and the number of those that were replayed.
    Replayed(Arc<[RecordedTurn]>, usize),
    /// The next turn replays these entries. Its further calls, and later turns, are live.
    Resumed(Entries),
}

impl Session {
    pub(crate) fn new(
        context: SessionContext,
        options: &SessionOptions,
    ) -> Result<Self, SandboxError> {
        let SessionContext {
            runtime,
            grants,
            limits,
        } = &context;
        let state = runtime.fresh_state(&grants.layout, limits, options.seed)?;
        Ok(Self {
            context,
            turns: 0,
            idle: Arc::new(Mutex::new(IdleSession {
                slot: None,
                checkpoint: Checkpoint {
                    pages: None,
                    state,
                    started: false,
                },
                is_current: false,
            })),
            journaling: Journaling::Off,
        })
    }

    /// Returns the number of turns so far.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// Runs `turn`. Dropping the returned future stops it and rolls it back.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError`] if the host cannot run it; the session then stays in its last state. A failure of the
    /// code is an [`Execution`], not an error.
    pub async fn run(&mut self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        let job = self.job(turn.into())?;
        let (execution, slot) = self.context.runtime.guest.spawn(job).await?;
        self.put_back(slot);
        Ok(execution)
    }

    /// As [`Session::run`], on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Session::run`], and [`SandboxError::BlockingInAsync`] if the thread runs async tasks.
    pub fn run_blocking(&mut self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        let job = self.job(turn.into())?;
        let (execution, slot) = self.context.runtime.guest.block_on(job)??;
        self.put_back(slot);
        Ok(execution)
    }

    /// Makes `slot` the state of the session. Called by the caller's future and not by the job, because a turn whose
    /// future was dropped must not take effect.
    fn put_back(&self, slot: Option<Slot>) {
        let mut idle = lock(&self.idle);
        (idle.slot, idle.is_current) = (slot, false);
    }

    /// Returns a snapshot of the session as it is now, to return to or to start other sessions from.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError`] if the operating system does not report which pages have changed.
    pub fn checkpoint(&self) -> Result<Snapshot, SandboxError> {
        Ok(Snapshot {
            context: self.context.clone(),
            turns: self.turns,
            checkpoint: lock(&self.idle)
                .checkpoint_now(&self.context.runtime)?
                .clone(),
        })
    }

    /// Returns a session that starts at `snapshot`.
    pub(crate) fn at(snapshot: &Snapshot) -> Self {
        Self {
            context: snapshot.context.clone(),
            turns: snapshot.turns,
            idle: Arc::new(Mutex::new(IdleSession {
                slot: None,
                checkpoint: snapshot.checkpoint.clone(),
                is_current: false,
            })),
            journaling: Journaling::Off,
        }
    }

    /// Records each further turn with `recorder`, which was created for this session as it is now. Forks are not
    /// recorded, and [`Session::rollback`] ends the recording.
    pub fn record(&mut self, recorder: &Recorder) {
        self.journaling = Journaling::Recorded(recorder.clone());
    }

    /// Returns the header of a recording that begins now.
    pub(crate) fn recording_header(&self, note: serde_json::Value) -> Result<Header, SandboxError> {
        header(&self.checkpoint()?, note)
    }

    /// Makes the next turns replay `turns`.
    pub(crate) fn replaying(mut self, turns: Arc<[RecordedTurn]>) -> Self {
        self.journaling = Journaling::Replayed(turns, 0);
        self
    }

    /// Makes the next turn replay `entries` and then go on.
    pub(crate) fn resuming(mut self, entries: Entries) -> Self {
        self.journaling = Journaling::Resumed(entries);
        self
    }

    /// Returns how the next turn is journaled.
    fn journal_mode(&mut self) -> Option<JournalMode> {
        match &mut self.journaling {
            Journaling::Off => None,
            Journaling::Recorded(recorder) => Some(JournalMode::Record(recorder.clone())),
            Journaling::Replayed(turns, done) => {
                let turn = turns.get(*done).cloned()?;
                *done += 1;
                Some(JournalMode::Replay(*done as u32, Box::new(turn)))
            }
            Journaling::Resumed(entries) => {
                let entries = std::mem::take(entries);
                self.journaling = Journaling::Off;
                Some(JournalMode::Resume(entries))
            }
        }
    }

    /// Returns a second session with the state of this one. Neither sees later changes of the other. They share the
    /// memory pages that they have in common.
    ///
    /// # Errors
    ///
    /// As [`Session::checkpoint`].
    pub fn fork(&self) -> Result<Session, SandboxError> {
        Ok(self.checkpoint()?.session())
    }

    /// Returns to `snapshot`, of this session or of another one with the same pack. Variables, files, open files and
    /// random generators are restored.
    pub fn rollback(&mut self, snapshot: &Snapshot) {
        *self = snapshot.session();
    }

    /// Returns the files in the home folder that the code made or changed, by path.
    pub fn files(&self) -> Vec<GuestFile> {
        guest_files(lock(&self.idle).tree())
    }

    /// Returns the changes of the turns so far in the mounts, and the files in the home folder.
    pub fn changes(&self) -> Changes {
        let mut idle = lock(&self.idle);
        Changes::from_tree(idle.tree(), &self.context.grants.mounts)
    }

    /// Writes the `changes` in mounts with [`MountMode::Commit`] back to the host. They become the base of later changes.
    /// `changes` must be the current ones of this session.
    ///
    /// Nothing is written if another process has changed one of the files meanwhile, or if a change is a link that could
    /// lead out of its mount. A file is written under a temporary name and then renamed. The permissions of an existing
    /// file are preserved.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Setting`] if the session is recorded or replayed; [`SandboxError::Conflict`] if nothing was
    /// written; [`SandboxError::Commit`] if writing failed midway, with the names of the files that were written.
    ///
    /// [`MountMode::Commit`]: crate::MountMode::Commit
    pub fn commit(&mut self, changes: &Changes) -> Result<(), SandboxError> {
        if self.is_journaled() {
            let why = "the changes of a recorded session cannot be committed between turns; use `Changes::commit` \
                       after its last turn";
            return Err(SandboxError::setting(why));
        }
        changes.commit()?;
        mount::rebase(lock(&self.idle).tree(), changes);
        Ok(())
    }

    /// Returns true if its turns are recorded or replayed, so that its state must not change between them.
    pub(super) fn is_journaled(&self) -> bool {
        !matches!(self.journaling, Journaling::Off)
    }

    /// Returns a future that runs `turn` as the only turn of this session, and then returns the slot to the pool.
    pub(crate) fn into_single(
        mut self,
        turn: Turn,
    ) -> impl Future<Output = Result<Execution, SandboxError>> + Send + use<> {
        let job = self.job(turn.last(true));
        let runtime = self.context.runtime.clone();
        async move {
            let (execution, slot) = job?.await?;
            if let Some(slot) = slot {
                runtime.recycle(slot);
            }
            Ok(execution)
        }
    }

    fn job(
        &mut self,
        turn: Turn,
    ) -> Result<
        impl Future<Output = Result<(Execution, Option<Slot>), SandboxError>> + Send + use<>,
        SandboxError,
    > {
        let may_suspend = (turn.options.input.as_ref()).is_some_and(InputHandler::may_suspend);
        let start: Option<StartOfTurn> = match may_suspend {
            true => {
                let snapshot = self.checkpoint()?;
                Some(Box::new(move || header(&snapshot, serde_json::Value::Null)))
            }
            false => None,
        };
        let journal_mode = self.journal_mode();
        // A snapshot from a file may have any number.
        self.turns = self.turns.saturating_add(1);
        let job = Job {
            turn,
            number: self.turns,
            session_limits: self.context.limits.clone(),
            site: self.context.grants.site.clone(),
            journal_mode,
            start,
            toolbox: self.context.grants.toolbox.clone(),
            caller: tokio::runtime::Handle::try_current().ok(),
        };
        let (runtime, idle) = (self.context.runtime.clone(), self.idle.clone());
        Ok(async move { run_turn(&runtime, &idle, job).await })
    }
}

/// Returns the header of a recording that begins at `snapshot`.
fn header(snapshot: &Snapshot, note: serde_json::Value) -> Result<Header, SandboxError> {
    let grants = &snapshot.context.grants;
    let packages = (grants.packages.iter())
        .map(|package| format!("{}=={}", package.name, package.version))
        .collect();
    Ok(Header {
        codeact_recording: VERSION,
        codeact: env!("CARGO_PKG_VERSION").to_owned(),
        start: Bytes(snapshot.to_bytes()?),
        mounts: grants.mounts.iter().map(Mount::to_recorded).collect(),
        packages,
        note,
    })
}

impl Drop for Session {
    fn drop(&mut self) {
        // The next session starts faster in a pooled slot.
        let slot = lock(&self.idle).slot.take();
        if let Some(slot) = slot {
            self.context.runtime.recycle(slot);
        }
    }
}
