//! A session: turns that share their variables and files, each a transaction.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::Grants;
use super::door::{Door, TurnEnd, TurnRequest};
use super::error::SandboxError;
use super::execution::{Execution, Outcome, Usage, Variable};
use super::guest::RUN_TURN;
use super::guest_file::GuestFile;
use super::host::GuestState;
use super::limits::Limits;
use super::memory::Pages;
use super::mount::{self, Changes};
use super::output::Output;
use super::runtime::Runtime;
use super::slot::{Ended, Slot};
use super::snapshot::Snapshot;
use super::stop::{Stop, Watch};
use super::turn::Turn;
use super::vfs::{HOME, Quota, Tree};

/// So many variables are told; the runner tells fewer.
const MAX_VARIABLES: usize = 1000;

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
}

/// What a session stands on and never changes.
#[derive(Clone)]
pub(super) struct Ground {
    pub(super) runtime: Arc<Runtime>,
    pub(super) grants: Grants,
    pub(super) limits: Limits,
}

/// The session between turns. The slot is an optimisation: the checkpoint alone is the session.
struct AtRest {
    slot: Option<Slot>,
    checkpoint: Checkpoint,
    /// Whether the checkpoint is what the slot holds.
    is_current: bool,
}

#[derive(Clone)]
pub(super) struct Checkpoint {
    /// `None`: the base image itself.
    pub(super) pages: Option<Arc<Pages>>,
    pub(super) state: GuestState,
    /// Whether anything ran; the first turn seeds.
    pub(super) started: bool,
}

impl AtRest {
    /// Brings the checkpoint to what the slot holds.
    fn checkpoint_now(&mut self, runtime: &Runtime) -> Result<&Checkpoint, SandboxError> {
        if let Some(slot) = &mut self.slot
            && !self.is_current
        {
            let (pages, state) = slot.checkpoint(&runtime.image)?;
            self.checkpoint = Checkpoint {
                pages: Some(Arc::new(pages)),
                state,
                started: true,
            };
            self.is_current = true;
        }
        Ok(&self.checkpoint)
    }

    /// The files as they are after the last turn.
    fn tree(&mut self) -> &mut Tree {
        // Whoever asks may change it.
        self.is_current = false;
        match &mut self.slot {
            Some(slot) => &mut slot.host().state.tree,
            None => &mut self.checkpoint.state.tree,
        }
    }
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
        let job = self.job(turn, last);
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
    /// [`SandboxError::Conflict`]: nothing was written. [`SandboxError::Commit`]: writing failed
    /// midway; the error tells what had been written.
    ///
    /// [`MountMode::Commit`]: super::MountMode::Commit
    pub fn commit(&mut self, changes: &Changes) -> Result<(), SandboxError> {
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
        let runtime = self.ground.runtime;
        async move {
            let (execution, slot) = job.await?;
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
    ) -> impl Future<Output = Result<(Execution, Option<Slot>), SandboxError>> + Send + use<> {
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
        };
        async move { run_turn(&runtime, &at_rest, job).await }
    }
}

fn lock(at_rest: &Mutex<AtRest>) -> std::sync::MutexGuard<'_, AtRest> {
    // Nothing panics while holding it; and if it did, both fields are whole values.
    at_rest.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the slot out for the turn: whatever happens to this future, the checkpoint stays.
async fn take_slot(
    runtime: &Runtime,
    at_rest: &Mutex<AtRest>,
    limits: &Limits,
) -> Result<(Slot, bool), SandboxError> {
    let (slot, checkpoint) = {
        let mut at_rest = lock(at_rest);
        let checkpoint = at_rest.checkpoint_now(runtime)?.clone();
        (at_rest.slot.take(), checkpoint)
    };
    let started = checkpoint.started;
    if let Some(slot) = slot {
        return Ok((slot, started));
    }
    let slot = match &checkpoint.pages {
        None => runtime.fresh_slot(limits, checkpoint.state).await?,
        Some(pages) => {
            runtime
                .new_slot(limits, checkpoint.state, Some(pages))
                .await?
        }
    };
    Ok((slot, started))
}

/// One turn, with all that the session adds to it.
struct Job {
    turn: Turn,
    name: String,
    limits: Limits,
    site: Option<Arc<str>>,
    last: bool,
}

async fn run_turn(
    runtime: &Runtime,
    at_rest: &Mutex<AtRest>,
    job: Job,
) -> Result<(Execution, Option<Slot>), SandboxError> {
    let begun = Instant::now();
    let (turn, limits) = (job.turn, &job.limits);
    let watch = Watch::new(limits.wall, turn.cancel.clone());
    let (mut slot, started) = take_slot(runtime, at_rest, limits).await?;
    let request = TurnRequest {
        code: turn.code,
        name: job.name,
        argv: turn.argv,
        env: turn.env,
        bind: turn.bind,
        first: !started,
        site: job.site.filter(|_| !started),
        last: job.last,
        agent: turn.agent,
        variables: turn.variables,
    };
    let frame = serde_json::to_vec(&request)
        .map_err(|e| SandboxError::Setting(format!("this turn cannot be sent: {e}")))?;
    let size = slot.memory().len() as u64;
    let host = slot.host();
    host.state.tree.refresh_mounts();
    host.limiter.max = limits.memory.max(size);
    host.limiter.peak = size;
    host.quota = Quota::of(limits);
    host.state.fds.begin_turn(limits.open_files);
    host.output = Output::new(limits.output, turn.events);
    host.watch = watch.clone();
    if let Some(stdin) = turn.stdin {
        host.state.stdin = stdin;
        host.state.stdin_read = 0;
    }
    let door = Door::new(limits, frame);
    let (ended, fuel) = slot.call(RUN_TURN, door, limits.fuel, &watch).await?;
    let interrupted = match &ended {
        Ended::Returned | Ended::Exited(_) => None,
        Ended::OutOfFuel | Ended::Trapped(_) | Ended::Stopped(_) => {
            runtime.traceback(slot.memory(), &request.code)
        }
    };

    let host = slot.host();
    let (stdout, stderr, transcript) = host.output.finish();
    let mut told = host.door.ended.take();
    let displays = std::mem::take(&mut host.door.displays);
    // A turn that cannot tell how it ended has broken the runner inside: no later one could run.
    let failed = told
        .as_ref()
        .is_none_or(|end| turn.transactional && end.error.is_some());
    let rolled_back = !matches!(ended, Ended::Returned) || failed;
    let files = match (turn.keep_files, rolled_back) {
        (false, _) => Vec::new(),
        (true, false) => guest_files(&mut host.state.tree),
        (true, true) => guest_files(&mut lock(at_rest).checkpoint.state.tree),
    };
    let usage = Usage {
        wall: begun.elapsed(),
        fuel,
        peak_memory_bytes: host.limiter.peak,
        door_calls: host.door.calls,
        door_bytes: host.door.bytes,
    };
    let variables = (told.as_mut())
        .map(|end| std::mem::take(&mut end.variables))
        .unwrap_or_default();
    let variables = (variables.into_iter().take(MAX_VARIABLES))
        .map(|(name, kind, short)| Variable { name, kind, short })
        .collect();
    let (outcome, result, answer) = outcome(ended, told, limits);
    let execution = Execution {
        outcome,
        stdout,
        stderr,
        transcript,
        result,
        displays,
        files,
        variables,
        interrupted,
        answer,
        rolled_back,
        usage,
    };
    Ok((execution, (!rolled_back).then_some(slot)))
}

fn guest_files(tree: &mut Tree) -> Vec<GuestFile> {
    (tree.files_below(HOME).into_iter())
        .map(|(path, content)| GuestFile::new(path, content))
        .collect()
}

/// What the caller is told of a turn's end: the outcome, the result and the answer.
fn outcome(
    ended: Ended,
    told: Option<TurnEnd>,
    limits: &Limits,
) -> (Outcome, Option<String>, Option<serde_json::Value>) {
    let outcome = match ended {
        Ended::Returned => {
            let Some(end) = told else {
                let reason = "the code left the interpreter unable to tell how it ended".into();
                return (Outcome::Trapped { reason }, None, None);
            };
            let outcome = match (end.error, end.exit) {
                (Some(error), _) => Outcome::Raised(error),
                (None, Some(code)) => Outcome::Exited {
                    code: (code & 0xFF) as i32,
                },
                (None, None) => Outcome::Completed,
            };
            return (outcome, end.result, end.answer);
        }
        Ended::Exited(code) => Outcome::Exited { code: code & 0xFF },
        Ended::OutOfFuel => Outcome::OutOfFuel {
            budget: limits.fuel.unwrap_or(u64::MAX),
        },
        Ended::Trapped(reason) => Outcome::Trapped { reason },
        Ended::Stopped(Stop::TimedOut) => Outcome::TimedOut { limit: limits.wall },
        Ended::Stopped(Stop::Cancelled) => Outcome::Cancelled,
    };
    (outcome, None, None)
}
