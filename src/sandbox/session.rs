//! A session: turns that share their variables and files, each a transaction.

use std::sync::{Arc, Mutex};

use super::Grants;
use super::at_rest::{AtRest, Checkpoint, lock};
use super::error::SandboxError;
use super::execution::Execution;
use super::guest_file::GuestFile;
use super::limits::Limits;
use super::mount::{self, Changes};
use super::runtime::Runtime;
use super::slot::Slot;
use super::snapshot::Snapshot;
use super::tape::{Answers, Entry, Header, RecordedTurn, Recorder, Taping};
use super::transaction::{Job, guest_files, run_turn};
use super::turn::Turn;

/// A running Python whose variables and files last from turn to turn.
///
/// Made by [`Sandbox::session`](super::Sandbox::session). A turn that is stopped by a limit, traps
/// or is cancelled leaves no trace: memory and files are back at its start, and the session goes
/// on. An ordinary exception leaves what the turn did until then, as in a notebook. Dropping the
/// future of [`Session::run`] stops the turn in the same way.
pub struct Session {
    ground: Ground,
    turns: u32,
    at_rest: Arc<Mutex<AtRest>>,
    taped: Taped,
}

/// What becomes of a session's turns beside being run.
enum Taped {
    No,
    Recorded(Recorder),
    /// They are those of a recording, of which so many are done.
    Replayed(Arc<[RecordedTurn]>, usize),
    /// The next one is taken up with what it was told.
    TakenUp(Vec<Entry>),
}

/// What a session stands on and never changes.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) runtime: Arc<Runtime>,
    pub(super) grants: Grants,
    pub(super) limits: Limits,
}

impl Session {
    pub(super) fn new(
        runtime: Arc<Runtime>,
        grants: Grants,
        limits: Limits,
        seed: Option<u64>,
    ) -> Result<Self, SandboxError> {
        let state = runtime.fresh_state(&grants.layout, &limits, seed)?;
        Ok(Self {
            ground: Ground {
                runtime,
                grants,
                limits,
            },
            turns: 0,
            at_rest: Arc::new(Mutex::new(AtRest {
                slot: None,
                checkpoint: Checkpoint {
                    pages: None,
                    state,
                    started: false,
                },
                is_current: false,
            })),
            taped: Taped::No,
        })
    }

    /// Turns run so far.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// Runs `turn` and tells what it did. What the code does is never an error.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] when the host cannot run it; the session keeps its last state.
    pub async fn run(&mut self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        self.run_turn(turn.into(), false).await
    }

    /// As [`Session::run`], for a session's last turn: `atexit` functions run at its end, as in a
    /// process that ends.
    ///
    /// # Errors
    ///
    /// As [`Session::run`].
    pub async fn run_last(&mut self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        self.run_turn(turn.into(), true).await
    }

    async fn run_turn(&mut self, turn: Turn, last: bool) -> Result<Execution, SandboxError> {
        let job = self.job(turn, last)?;
        let (execution, slot) = self.ground.runtime.guest.spawn(job).await?;
        // Only here, where the caller is still waiting: a turn whose future was dropped must not
        // come back, however far it got.
        let mut at_rest = lock(&self.at_rest);
        (at_rest.slot, at_rest.is_current) = (slot, false);
        drop(at_rest);
        Ok(execution)
    }

    /// The session as it is now, to go back to or to start others from.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] when the system does not tell which pages have changed.
    pub fn checkpoint(&self) -> Result<Snapshot, SandboxError> {
        Ok(Snapshot {
            ground: self.ground.clone(),
            turns: self.turns,
            checkpoint: lock(&self.at_rest)
                .checkpoint_now(&self.ground.runtime)?
                .clone(),
        })
    }

    /// A session that starts at `snapshot`.
    pub(super) fn at(snapshot: &Snapshot) -> Self {
        Self {
            ground: snapshot.ground.clone(),
            turns: snapshot.turns,
            at_rest: Arc::new(Mutex::new(AtRest {
                slot: None,
                checkpoint: snapshot.checkpoint.clone(),
                is_current: false,
            })),
            taped: Taped::No,
        }
    }

    /// Has `recorder`, which was made for this session as it is now, write down each turn from here
    /// on. Forks are not recorded, and nothing is after a [`Session::rollback`].
    pub fn record(&mut self, recorder: &Recorder) {
        self.taped = Taped::Recorded(recorder.clone());
    }

    pub(super) fn recording_header(&self, note: serde_json::Value) -> Result<Header, SandboxError> {
        let grants = &self.ground.grants;
        let packages = (grants.packages.iter())
            .map(|package| format!("{}=={}", package.name, package.version))
            .collect();
        Header::new(&self.checkpoint()?, &grants.mounts, packages, note)
    }

    pub(super) fn replaying(mut self, turns: Arc<[RecordedTurn]>) -> Self {
        self.taped = Taped::Replayed(turns, 0);
        self
    }

    /// The next turn was told `told`; its clock has shown `shown`.
    pub(super) fn taking_up(mut self, told: Vec<Entry>, shown: u64) -> Self {
        self.taped = Taped::TakenUp(told);
        lock(&self.at_rest).checkpoint.state.clock.not_before(shown);
        self
    }

    /// What becomes of the next turn.
    fn taping(&mut self) -> Option<Taping> {
        match &mut self.taped {
            Taped::No => None,
            Taped::Recorded(recorder) => Some(Taping::Record(recorder.clone())),
            Taped::Replayed(turns, done) => {
                let turn = turns.get(*done).cloned()?;
                *done += 1;
                Some(Taping::Replay(*done as u32, Box::new(turn)))
            }
            Taped::TakenUp(told) => {
                let told = std::mem::take(told);
                self.taped = Taped::No;
                Some(Taping::TakeUp(told))
            }
        }
    }

    /// A second session that is as this one is now; neither sees what the other does from here on.
    /// What they have in common is there once, however large it is.
    ///
    /// # Errors
    ///
    /// As [`Session::checkpoint`].
    pub fn fork(&self) -> Result<Session, SandboxError> {
        Ok(self.checkpoint()?.session())
    }

    /// Goes back to `to`, a snapshot of this session or of any other of the same pack: variables,
    /// files, open files and random generators are as they were then.
    pub fn rollback(&mut self, to: &Snapshot) {
        *self = to.session();
    }

    /// The files in the home folder that the code made or changed, by path.
    pub fn files(&self) -> Vec<GuestFile> {
        guest_files(lock(&self.at_rest).tree())
    }

    /// What the turns so far changed in the mounts, and left in the home folder.
    pub fn changes(&self) -> Changes {
        let mut at_rest = lock(&self.at_rest);
        Changes::of(at_rest.tree(), &self.ground.grants.mounts)
    }

    /// Writes those of `changes` that lie in mounts with [`MountMode::Commit`] back to the host. The
    /// session then stands on what was written. `changes` are this session's, as they are now.
    ///
    /// Nothing is written when any of them meets something that somebody else changed meanwhile, or
    /// is a link that could lead out of its mount. A file arrives under a temporary name and is then
    /// renamed; permissions of a file that was there stay.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Setting`] for a session that is recorded or replayed.
    /// [`SandboxError::Conflict`]: nothing was written. [`SandboxError::Commit`]: writing failed
    /// midway; the error tells what had been written.
    ///
    /// [`MountMode::Commit`]: super::MountMode::Commit
    pub fn commit(&mut self, changes: &Changes) -> Result<(), SandboxError> {
        if !matches!(self.taped, Taped::No) {
            let why = "a session that is recorded cannot go on from changes that are written back; \
                       use `Changes::commit` after its last turn";
            return Err(SandboxError::Setting(why.into()));
        }
        changes.commit()?;
        mount::settle(lock(&self.at_rest).tree(), changes);
        Ok(())
    }

    /// All of a session that has one turn: runs it, and gives the slot back for others.
    pub(super) fn into_single(
        mut self,
        turn: Turn,
    ) -> impl Future<Output = Result<Execution, SandboxError>> + Send + use<> {
        let job = self.job(turn, true);
        let runtime = self.ground.runtime.clone();
        async move {
            let (execution, slot) = job?.await?;
            if let Some(slot) = slot {
                runtime.give_back(slot);
            }
            Ok(execution)
        }
    }

    fn job(
        &mut self,
        turn: Turn,
        last: bool,
    ) -> Result<
        impl Future<Output = Result<(Execution, Option<Slot>), SandboxError>> + Send + use<>,
        SandboxError,
    > {
        let may_wait = turn.answers.as_ref().is_some_and(Answers::may_wait);
        let start = match may_wait {
            true => Some(self.recording_header(serde_json::Value::Null)?),
            false => None,
        };
        let taping = self.taping();
        self.turns += 1;
        let name = turn
            .name
            .clone()
            .unwrap_or_else(|| format!("<turn {}>", self.turns));
        let limits = turn
            .limits
            .clone()
            .unwrap_or_else(|| self.ground.limits.clone());
        let (runtime, at_rest) = (self.ground.runtime.clone(), self.at_rest.clone());
        let job = Job {
            turn,
            name,
            limits,
            site: self.ground.grants.site.clone(),
            last,
            taping,
            start,
            toolbox: self.ground.grants.toolbox.clone(),
            caller: tokio::runtime::Handle::try_current().ok(),
        };
        Ok(async move { run_turn(&runtime, &at_rest, job).await })
    }
}

/// The next session starts sooner in a slot whose pages are there already.
impl Drop for Session {
    fn drop(&mut self) {
        let slot = lock(&self.at_rest).slot.take();
        if let Some(slot) = slot {
            self.ground.runtime.give_back(slot);
        }
    }
}
