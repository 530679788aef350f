//! Operations on one session.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codeact_sandbox::{Cancel, Execution, Session, Turn};
use tracing::Instrument;

use super::entry::{Entry, LiveGuard, Waiting, blocking};
use super::error::ManagerError;
use super::figures::turn_span;
use super::quota::TurnPermit;
use super::settings::SessionSettings;
use super::tenant::TenantInner;
use crate::{TurnRecord, record};

/// A session of a tenant. Cheap to clone. It stays valid while the session is idle, and after it was removed: then every
/// operation returns [`ManagerError::Missing`].
#[derive(Clone)]
pub struct SessionHandle {
    pub(super) entry: Arc<Entry>,
    pub(super) tenant: Arc<TenantInner>,
}

/// Description of a session.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Identifier.
    pub id: String,
    /// Settings.
    pub settings: Arc<SessionSettings>,
    /// True if its interpreter is in memory.
    pub live: bool,
    /// True if a turn is running.
    pub running: bool,
    /// Number of its last turn; 0 if there is none. A change of its files by a client is a turn as well.
    pub turn: u32,
    /// Requests that wait for it or use it.
    pub waiting: usize,
    /// Memory of the live state, in bytes, approximate; 0 if it is idle.
    pub memory: u64,
    /// Bytes in the store, as last counted.
    pub disk: u64,
    /// Time since the last request.
    pub unused: Duration,
}

impl SessionHandle {
    /// Returns the identifier.
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// Returns the name of the tenant.
    pub fn tenant_name(&self) -> &str {
        &self.tenant.name
    }

    /// Returns the settings.
    pub fn settings(&self) -> Arc<SessionSettings> {
        self.entry.settings()
    }

    /// Returns a description of the session now.
    pub fn status(&self) -> SessionStatus {
        let entry = &self.entry;
        SessionStatus {
            id: entry.id.clone(),
            settings: entry.settings(),
            live: entry.is_live(),
            running: entry.is_running(),
            turn: entry.turn(),
            waiting: entry.waiting(),
            memory: entry.memory(),
            disk: entry.disk(),
            unused: entry.unused(),
        }
    }

    /// Runs `turn` and commits it as the durability says. Turns run one at a time, in the order of the calls. If
    /// `cancel` is cancelled or the returned future is dropped, the turn stops and is rolled back.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError`]; after [`ManagerError::NotCommitted`] the code has run.
    pub async fn run(&self, turn: Turn, cancel: &Cancel) -> Result<Execution, ManagerError> {
        self.run_as(Interpreter::Session, turn, cancel).await
    }

    /// Runs `turn` in a fresh interpreter over the files of the session, as a process would. Its variables are gone
    /// afterwards; its files stay.
    ///
    /// # Errors
    ///
    /// As [`SessionHandle::run`]; [`ManagerError::Setting`] if the session has open files, because a second interpreter
    /// cannot share them.
    pub async fn run_process(
        &self,
        turn: Turn,
        cancel: &Cancel,
    ) -> Result<Execution, ManagerError> {
        self.run_as(Interpreter::Process, turn, cancel).await
    }

    /// Runs `turn` in a task of its own that outlives a dropped caller.
    async fn run_as(
        &self,
        interpreter: Interpreter,
        turn: Turn,
        cancel: &Cancel,
    ) -> Result<Execution, ManagerError> {
        let permit = self.tenant.begin_turn()?;
        let stop = self.tenant.shared.stop.child();
        let this = self.clone();
        let for_task = stop.clone();
        let task = async move {
            let (guard, waiting) = this.acquire(&for_task).await?;
            let access = Access {
                guard,
                waiting,
                permit,
            };
            Ok(this.run_live(access, interpreter, turn, for_task).await?.0)
        };
        let task = task.instrument(turn_span(&self.tenant.name));
        supervise(task, stop, cancel).await
    }

    /// Runs a turn with exclusive access, and commits it.
    pub(super) async fn run_live(
        &self,
        mut access: Access,
        interpreter: Interpreter,
        turn: Turn,
        stop: Cancel,
    ) -> Result<(Execution, Access), ManagerError> {
        let Some(live) = access.guard.as_mut() else {
            return Err(ManagerError::task("the session is not live"));
        };
        let mut turn = turn.cancel(stop.clone()).variables(true);
        for (key, value) in &self.entry.settings().env {
            turn = turn.env_default(key, value);
        }
        let code = turn.code().to_owned();
        record::check_code(self.id(), &code)?;
        self.entry.set_current(Some(stop));
        if self.entry.is_removed() {
            self.entry.set_current(None);
            return Err(ManagerError::missing(self.id()));
        }
        let result = match interpreter {
            Interpreter::Session => live.session.run(turn).await.map_err(Into::into),
            Interpreter::Process => live.run_process(turn).await,
        };
        self.entry.set_current(None);
        let execution = result?;
        live.files_version += 1;
        self.tenant.meter.charge_fuel(execution.usage.fuel);
        self.tenant.shared.counters.finished.observe(&execution);
        self.entry.note_memory(&execution, live, &self.tenant);
        let commit = live.push(
            &self.entry,
            code,
            &execution,
            self.tenant.shared.options.durability,
        );
        if !commit {
            self.tenant.shared.check_memory();
            return Ok((execution, access));
        }
        let this = self.clone();
        let (committed, access) = tokio::task::spawn_blocking(move || {
            let committed = this.entry.commit(&mut access.guard, &this.tenant);
            (committed, access)
        })
        .await
        .map_err(ManagerError::task)?;
        self.tenant.shared.check_memory();
        match committed {
            Ok(()) => Ok((execution, access)),
            Err(source) => Err(ManagerError::NotCommitted {
                execution: Box::new(execution),
                source: Box::new(source),
            }),
        }
    }

    /// Waits for exclusive access to the live session, and wakes it.
    pub(super) async fn acquire(
        &self,
        cancel: &Cancel,
    ) -> Result<(LiveGuard, Waiting), ManagerError> {
        self.tenant.shared.check_open()?;
        let queue = self.tenant.shared.options.queue;
        let (guard, waiting) = self.entry.acquire(queue, cancel).await?;
        Ok((self.entry.wake(guard, &self.tenant).await?, waiting))
    }

    /// Calls `read` with the session between two turns, on a thread that may block.
    ///
    /// # Errors
    ///
    /// Returns the error of `read`, and [`ManagerError`] as [`SessionHandle::run`] does.
    pub async fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&Session) -> Result<R, ManagerError> + Send + 'static,
    ) -> Result<R, ManagerError> {
        let (guard, _waiting) = self.acquire(&self.tenant.shared.stop).await?;
        let read = move |guard: &mut LiveGuard| match guard.as_ref() {
            Some(live) => read(&live.session),
            None => Err(ManagerError::task("the session is not live")),
        };
        Ok(blocking(guard, read).await?.1)
    }

    /// Calls `change`, which may change files of the session between two turns, and commits the change as a turn without
    /// code. After an error of `change` the session is as it was before.
    ///
    /// # Errors
    ///
    /// Returns the error of `change`, and [`ManagerError`] as [`SessionHandle::run`] does.
    pub async fn change<R: Send + 'static>(
        &self,
        change: impl FnOnce(&mut Session) -> Result<R, ManagerError> + Send + 'static,
    ) -> Result<R, ManagerError> {
        self.tenant.meter.check_disk()?;
        let (guard, _waiting) = self.acquire(&self.tenant.shared.stop).await?;
        let this = self.clone();
        let work = move |guard: &mut LiveGuard| {
            let Some(live) = guard.as_mut() else {
                return Err(ManagerError::task("the session is not live"));
            };
            let before = live.session.checkpoint()?;
            let result = change(&mut live.session);
            let result = result.inspect_err(|_| live.session.rollback(&before))?;
            if live.push_change(&this.entry, this.tenant.shared.options.durability) {
                this.entry.commit(guard, &this.tenant)?;
            }
            Ok(result)
        };
        Ok(blocking(guard, work).await?.1)
    }

    /// Stops the running turn, which is rolled back. Returns false if none is running.
    pub fn interrupt(&self) -> bool {
        self.entry.interrupt()
    }

    /// Undoes the last `count` turns. Returns the number of the last turn then.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::NoTurn`](crate::SessionError::NoTurn) as [`ManagerError::Session`] if there are fewer turns, or if the state was not
    /// stored; then nothing is changed.
    pub async fn undo(&self, count: u32) -> Result<u32, ManagerError> {
        let (guard, _waiting) = self.acquire(&self.tenant.shared.stop).await?;
        let this = self.clone();
        let work = move |guard: &mut LiveGuard| {
            this.entry.commit(guard, &this.tenant)?;
            let live = guard
                .as_mut()
                .ok_or_else(|| ManagerError::missing(this.id()))?;
            let last = live.undo(count)?;
            this.entry.set_turn(last);
            this.entry.count_disk(&this.tenant);
            Ok(last)
        };
        Ok(blocking(guard, work).await?.1)
    }

    /// Returns the records of all turns, in order.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub async fn turns(&self) -> Result<Vec<TurnRecord>, ManagerError> {
        self.turns_in(1..=u32::MAX, usize::MAX).await
    }

    /// Returns the records of the turns whose numbers are in `turns`, in order, at most `max`.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub async fn turns_in(
        &self,
        turns: RangeInclusive<u32>,
        max: usize,
    ) -> Result<Vec<TurnRecord>, ManagerError> {
        let guard = self.entry.acquire_always().await;
        let this = self.clone();
        let work = move |guard: &mut LiveGuard| {
            if this.entry.is_removed() {
                return Err(ManagerError::missing(this.id()));
            }
            let mut records = this.tenant.backend.turns(this.id(), turns.clone(), max)?;
            if let Some(live) = guard.as_ref() {
                let pending = live.pending().iter().zip(live.log.last() + 1..);
                let pending = pending.filter(|(_, number)| turns.contains(number));
                let left = max.saturating_sub(records.len());
                records.extend(pending.take(left).map(|(turn, number)| {
                    TurnRecord::new(number, (number, 0), &turn.code, &turn.execution)
                }));
            }
            Ok(records)
        };
        Ok(blocking(guard, work).await?.1)
    }

    /// Writes the session to a new archive, which the caller removes.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub async fn export(&self, to: PathBuf) -> Result<(), ManagerError> {
        let guard = self.entry.acquire_always().await;
        let this = self.clone();
        let work = move |guard: &mut LiveGuard| {
            if this.entry.is_removed() {
                return Err(ManagerError::missing(this.id()));
            }
            this.entry.write_out(guard, &this.tenant)?;
            Ok(this.tenant.backend.export(this.id(), &to)?)
        };
        blocking(guard, work).await.map(drop)
    }
}

/// The interpreter that runs a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interpreter {
    /// That of the session.
    Session,
    /// A fresh one over its files.
    Process,
}

/// Exclusive access to a live session for one turn, with its place in the queue and in the quotas.
pub(super) struct Access {
    pub(super) guard: LiveGuard,
    #[expect(dead_code, reason = "counts as waiting until it is dropped")]
    pub(super) waiting: Waiting,
    #[expect(dead_code, reason = "counts as a turn until it is dropped")]
    pub(super) permit: TurnPermit,
}

/// Runs `task` so that it outlives a dropped caller, whose turn it then stops with `stop`, as `cancel` does.
pub(super) async fn supervise<R: Send + 'static>(
    task: impl Future<Output = Result<R, ManagerError>> + Send + 'static,
    stop: Cancel,
    cancel: &Cancel,
) -> Result<R, ManagerError> {
    let on_drop = CancelOnDrop(stop);
    let mut task = tokio::spawn(task.in_current_span());
    let joined = tokio::select! {
        joined = &mut task => joined,
        () = cancel.cancelled() => {
            on_drop.0.cancel();
            task.await
        }
    };
    joined.map_err(ManagerError::task)?
}

/// Cancels a turn whose caller is gone.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
