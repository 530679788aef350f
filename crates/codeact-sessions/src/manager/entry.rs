//! One session of a tenant: its settings, its queue, and its live state while it has one.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use codeact_sandbox::{Cancel, Execution, Outcome, Sandbox, Session, SessionOptions, Turn};
use tokio::sync::OwnedMutexGuard;

use super::error::ManagerError;
use super::options::Durability;
use super::settings::SessionSettings;
use super::tenant::TenantInner;
use crate::log::FinishedTurn;
use crate::{SessionError, SessionLog};

/// Approximate memory of a live session beside its grown linear memory, in bytes.
const LIVE_BYTES: u64 = 5 << 19;
/// Number of turns that may be pending before they are committed, whatever the durability is.
const MAX_PENDING: usize = 64;

/// A session of a tenant, live or idle.
pub(super) struct Entry {
    pub(super) id: String,
    settings: Mutex<Arc<SessionSettings>>,
    /// Held while the settings are changed, from reading to storing them.
    changing: tokio::sync::Mutex<()>,
    live: Arc<tokio::sync::Mutex<Option<Live>>>,
    /// Requests that wait for the session or use it.
    waiting: AtomicUsize,
    /// Stops the running turn.
    current: Mutex<Option<Cancel>>,
    /// Ends the wait of all requests in the queue.
    queued: Mutex<Cancel>,
    used: Mutex<Instant>,
    removed: AtomicBool,
    is_ending: AtomicBool,
    is_live: AtomicBool,
    memory: AtomicU64,
    disk: AtomicU64,
    turn: AtomicU32,
}

/// An interpreter in memory, and where its turns are committed.
pub(super) struct Live {
    pub(super) session: Session,
    pub(super) sandbox: Sandbox,
    pub(super) log: Box<dyn SessionLog>,
    /// Turns that are not committed yet.
    pending: Vec<FinishedTurn>,
    /// Number of the last turn, committed or not.
    pub(super) turn: u32,
    /// Incremented when the files change.
    pub(super) files_version: u64,
    /// In a context: the version of the parent's files that it has.
    pub(super) synced: Option<u64>,
}

/// Access to the live state of a session, which nobody else has meanwhile.
pub(super) type LiveGuard = OwnedMutexGuard<Option<Live>>;

impl Entry {
    pub(super) fn new(id: String, settings: SessionSettings, disk: u64, turn: u32) -> Self {
        Self {
            id,
            settings: Mutex::new(Arc::new(settings)),
            changing: tokio::sync::Mutex::default(),
            live: Arc::default(),
            waiting: AtomicUsize::new(0),
            current: Mutex::new(None),
            queued: Mutex::default(),
            used: Mutex::new(Instant::now()),
            removed: AtomicBool::new(false),
            is_ending: AtomicBool::new(false),
            is_live: AtomicBool::new(false),
            memory: AtomicU64::new(0),
            disk: AtomicU64::new(disk),
            turn: AtomicU32::new(turn),
        }
    }

    pub(super) fn settings(&self) -> Arc<SessionSettings> {
        lock(&self.settings).clone()
    }

    pub(super) fn set_settings(&self, settings: SessionSettings) {
        *lock(&self.settings) = Arc::new(settings);
    }

    /// Waits for the exclusive right to change the settings. It is taken before access to the live state.
    pub(super) async fn change_settings(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    /// Marks the session as used now.
    pub(super) fn touch(&self) {
        *lock(&self.used) = Instant::now();
    }

    /// Returns the time since the last request.
    pub(super) fn unused(&self) -> Duration {
        lock(&self.used).elapsed()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn is_live(&self) -> bool {
        self.is_live.load(Ordering::Relaxed)
    }

    /// Returns the approximate memory of the live state, in bytes.
    pub(super) fn memory(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::SeqCst)
    }

    /// Marks the session as removed or not. Returns the mark that it had.
    pub(super) fn set_removed(&self, removed: bool) -> bool {
        self.removed.swap(removed, Ordering::SeqCst)
    }

    /// Returns true if the supervisor has not begun to end the session.
    pub(super) fn begin_ending(&self) -> bool {
        !self.is_ending.swap(true, Ordering::Relaxed)
    }

    pub(super) fn end_ending(&self) {
        self.is_ending.store(false, Ordering::Relaxed);
    }

    /// Returns the bytes that the session takes in the store, as last counted.
    pub(super) fn disk(&self) -> u64 {
        self.disk.load(Ordering::Relaxed)
    }

    /// Returns the number of the last turn; 0 if there is none.
    pub(super) fn turn(&self) -> u32 {
        self.turn.load(Ordering::Relaxed)
    }

    pub(super) fn set_turn(&self, turn: u32) {
        self.turn.store(turn, Ordering::Relaxed);
    }

    /// Stops the running turn. Returns false if none is running.
    pub(super) fn interrupt(&self) -> bool {
        let current = lock(&self.current);
        if let Some(cancel) = current.as_ref() {
            cancel.cancel();
        }
        current.is_some()
    }

    /// Stops the running turn, and ends the wait of all requests in the queue.
    pub(super) fn stop_all(&self) {
        std::mem::take(&mut *lock(&self.queued)).cancel();
        self.interrupt();
    }

    pub(super) fn is_running(&self) -> bool {
        lock(&self.current).is_some()
    }

    /// Sets the handle that stops the running turn.
    pub(super) fn set_current(&self, cancel: Option<Cancel>) {
        *lock(&self.current) = cancel;
    }

    /// Waits for exclusive access. The queue is bounded, and `cancel` ends the wait.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        queue: usize,
        cancel: &Cancel,
    ) -> Result<(LiveGuard, Waiting), ManagerError> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let in_queue = Waiting(self.clone());
        // One of them is not waiting but running.
        if waiting > queue {
            return Err(ManagerError::Busy {
                id: self.id.clone(),
                waiting: queue,
            });
        }
        self.touch();
        let queued = lock(&self.queued).clone();
        let guard = tokio::select! {
            biased;
            () = queued.cancelled() => None,
            () = cancel.cancelled() => None,
            guard = self.live.clone().lock_owned() => Some(guard),
        };
        let Some(guard) = guard else {
            return Err(match self.is_removed() {
                true => ManagerError::missing(&self.id),
                false => ManagerError::Cancelled,
            });
        };
        match self.is_removed() {
            true => Err(ManagerError::missing(&self.id)),
            false => Ok((guard, in_queue)),
        }
    }

    /// Returns access if nobody has it or waits for it.
    pub(super) fn try_acquire(&self) -> Option<LiveGuard> {
        self.live.clone().try_lock_owned().ok()
    }

    /// Waits for access without a place in the queue.
    pub(super) async fn acquire_always(&self) -> LiveGuard {
        self.live.clone().lock_owned().await
    }

    /// Makes the session live if it is idle.
    pub(super) async fn wake(
        self: &Arc<Self>,
        guard: LiveGuard,
        tenant: &Arc<TenantInner>,
    ) -> Result<LiveGuard, ManagerError> {
        if guard.is_some() {
            return Ok(guard);
        }
        let settings = self.settings();
        let sandbox = tenant.source.sandbox(&settings).await?;
        let (entry, tenant) = (self.clone(), tenant.clone());
        let seed = settings.seed;
        blocking(guard, move |guard| {
            let (mut session, log) = tenant.backend.open(&entry.id, &sandbox)?;
            if log.last() == 0 && seed.is_some() {
                session = sandbox.session_with(&SessionOptions::new().seed(seed))?;
            }
            let turn = log.last();
            **guard = Some(Live {
                session,
                turn,
                sandbox,
                log,
                pending: Vec::new(),
                files_version: 0,
                synced: None,
            });
            entry.set_turn(turn);
            entry.is_live.store(true, Ordering::Relaxed);
            entry.memory.store(LIVE_BYTES, Ordering::Relaxed);
            tenant.shared.counters.woken(LIVE_BYTES);
            Ok(())
        })
        .await
        .map(|(guard, ())| guard)
    }

    /// Drops the live state without writing it.
    pub(super) fn drop_live(&self, guard: &mut LiveGuard, tenant: &TenantInner) {
        if guard.take().is_some() {
            self.is_live.store(false, Ordering::Relaxed);
            let memory = self.memory.swap(0, Ordering::Relaxed);
            tenant.shared.counters.dropped(memory);
        }
    }

    /// Notes the memory that `execution` has left behind.
    pub(super) fn note_memory(&self, execution: &Execution, live: &Live, tenant: &TenantInner) {
        let grown = (execution.usage.peak_memory_bytes).saturating_sub(live.sandbox.base_memory());
        let now = LIVE_BYTES + grown;
        let before = self.memory.swap(now, Ordering::Relaxed);
        tenant.shared.counters.resized(before, now);
    }

    /// Commits the pending turns. Blocks.
    pub(super) fn commit(
        &self,
        guard: &mut LiveGuard,
        tenant: &TenantInner,
    ) -> Result<(), SessionError> {
        let Some(live) = guard.as_mut() else {
            return Ok(());
        };
        if live.pending.is_empty() {
            return Ok(());
        }
        match live.log.commit(&live.session, &live.pending) {
            Ok(()) => live.pending.clear(),
            Err(error) => {
                let is_strict = tenant.shared.options.durability == Durability::Turn;
                if is_strict || matches!(error, SessionError::Conflict { .. }) {
                    // The state that counts is in the store.
                    self.set_turn(live.log.last());
                    self.drop_live(guard, tenant);
                }
                return Err(error);
            }
        }
        self.count_disk(tenant);
        Ok(())
    }

    /// Commits the pending turns and drops the live state. Blocks.
    pub(super) fn write_out(
        &self,
        guard: &mut LiveGuard,
        tenant: &TenantInner,
    ) -> Result<(), SessionError> {
        self.commit(guard, tenant)?;
        if guard.is_some() {
            self.drop_live(guard, tenant);
            tenant
                .shared
                .counters
                .evictions
                .fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Counts the bytes that the session takes in the store again.
    pub(super) fn count_disk(&self, tenant: &TenantInner) {
        let now = tenant.backend.bytes(&self.id);
        let before = self.disk.swap(now, Ordering::Relaxed);
        tenant.meter.replace_disk(before, now);
    }
}

impl Live {
    /// Adds a turn that has run. Returns true if the pending turns must be committed now.
    pub(super) fn push(
        &mut self,
        entry: &Entry,
        code: String,
        execution: &Execution,
        durability: Durability,
    ) -> bool {
        let mut kept = execution.clone();
        // A record has none of these.
        kept.displays = Vec::new();
        kept.bundles = Vec::new();
        kept.files = Vec::new();
        kept.transcript = Vec::new();
        self.turn = self.turn.saturating_add(1);
        entry.set_turn(self.turn);
        self.pending.push(FinishedTurn {
            code,
            execution: kept,
        });
        durability == Durability::Turn || self.pending.len() >= MAX_PENDING
    }

    /// Adds a change of files by the host, as a turn without code.
    pub(super) fn push_change(&mut self, entry: &Entry, durability: Durability) -> bool {
        self.files_version += 1;
        self.push(
            entry,
            String::new(),
            &Execution::new(Outcome::Completed),
            durability,
        )
    }

    /// Runs `turn` in a fresh interpreter over the files of the session.
    pub(super) async fn run_process(&mut self, turn: Turn) -> Result<Execution, ManagerError> {
        let mut process = self.sandbox.session()?;
        process.adopt_files(&self.session)?;
        if !self.session.adopt_files(&process)? {
            return Err(ManagerError::Setting(
                "the session has open files; close them before a process uses its files".into(),
            ));
        }
        let execution = process.run(turn.last(true)).await?;
        if !execution.rolled_back {
            self.session.adopt_files(&process)?;
        }
        Ok(execution)
    }

    pub(super) fn pending(&self) -> &[FinishedTurn] {
        &self.pending
    }

    /// Removes the last `count` turns, which must all be committed.
    pub(super) fn undo(&mut self, count: u32) -> Result<u32, SessionError> {
        self.session = self.log.undo(count, &self.sandbox)?;
        self.turn = self.log.last();
        self.files_version += 1;
        Ok(self.turn)
    }
}

/// A place in the queue of a session.
pub(super) struct Waiting(Arc<Entry>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// Runs `work` with `guard` where it may block. Access is given back with the result, or dropped with the error.
pub(super) async fn blocking<R: Send + 'static>(
    mut guard: LiveGuard,
    work: impl FnOnce(&mut LiveGuard) -> Result<R, ManagerError> + Send + 'static,
) -> Result<(LiveGuard, R), ManagerError> {
    tokio::task::spawn_blocking(move || {
        let result = work(&mut guard)?;
        Ok((guard, result))
    })
    .await
    .map_err(ManagerError::task)?
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
