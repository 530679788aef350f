//! The manager: tenants, eviction, expiry and shutdown.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use codeact_sandbox::Cancel;
use tokio::sync::Notify;

use super::entry::{Entry, blocking};
use super::error::ManagerError;
use super::figures::{TurnCounters, TurnFigures};
use super::handle::SessionHandle;
use super::options::{Durability, ManagerOptions};
use super::quota::Quota;
use super::settings::{OnExpiry, SandboxSource, now_ms};
use super::tenant::{Tenant, TenantInner};
use crate::{SessionBackend, SessionError};

/// Interval in which idle and expired sessions are looked for.
const INTERVAL: Duration = Duration::from_secs(1);

/// Owner of the sessions of all tenants. Must be made in a tokio runtime, in which it evicts and removes sessions. Cheap
/// to clone. Dropping it does not write sessions out; see [`SessionManager::shutdown`].
#[derive(Clone)]
pub struct SessionManager {
    shared: Arc<Shared>,
}

/// Figures of a manager: of its sessions now, and of its work so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ManagerStats {
    /// Sessions and contexts, live and idle.
    pub sessions: usize,
    /// Live ones.
    pub live: usize,
    /// Sessions with a running turn.
    pub running: usize,
    /// Requests that run or wait.
    pub waiting: usize,
    /// Memory of live sessions, in bytes, approximate.
    pub memory: u64,
    /// Turns that were begun.
    pub turns: u64,
    /// Sessions that were written out and dropped from memory.
    pub evictions: u64,
    /// Sessions that were brought back.
    pub wakes: u64,
}

/// State of the manager that its tenants share.
pub(super) struct Shared {
    pub(super) options: ManagerOptions,
    /// Stops all running turns.
    pub(super) stop: Cancel,
    pub(super) counters: Counters,
    /// They own this, so they are not owned here.
    tenants: Mutex<Vec<Weak<TenantInner>>>,
    is_closed: AtomicBool,
    evict: Arc<Notify>,
}

/// Work so far.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) turns: AtomicU64,
    pub(super) finished: TurnCounters,
    pub(super) evictions: AtomicU64,
    wakes: AtomicU64,
    live: AtomicUsize,
    memory: AtomicU64,
}

impl Counters {
    /// Counts a session that has become live with this memory.
    pub(super) fn woken(&self, memory: u64) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        self.live.fetch_add(1, Ordering::Relaxed);
        self.memory.fetch_add(memory, Ordering::Relaxed);
    }

    /// Counts a session that had this memory and is no longer live.
    pub(super) fn dropped(&self, memory: u64) {
        self.live.fetch_sub(1, Ordering::Relaxed);
        self.memory.fetch_sub(memory, Ordering::Relaxed);
    }

    /// Counts a change of a live session's memory.
    pub(super) fn resized(&self, before: u64, now: u64) {
        self.memory.fetch_add(now, Ordering::Relaxed);
        self.memory.fetch_sub(before, Ordering::Relaxed);
    }
}

impl Shared {
    /// Returns an error if the manager shuts down.
    pub(super) fn check_open(&self) -> Result<(), ManagerError> {
        match self.is_closed.load(Ordering::Relaxed) {
            true => Err(ManagerError::ShuttingDown),
            false => Ok(()),
        }
    }

    /// Lets sessions be evicted if the live ones take too much.
    pub(super) fn check_memory(&self) {
        let live = self.counters.live.load(Ordering::Relaxed);
        let memory = self.counters.memory.load(Ordering::Relaxed);
        if live > self.options.live || memory > self.options.memory {
            self.evict.notify_one();
        }
    }

    fn tenants(&self) -> Vec<Arc<TenantInner>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|tenant| tenant.strong_count() > 0);
        tenants.iter().filter_map(Weak::upgrade).collect()
    }

    /// Returns all sessions and contexts with their tenants.
    fn all(&self) -> Vec<(Arc<TenantInner>, Arc<Entry>)> {
        (self.tenants().into_iter())
            .flat_map(|tenant| {
                let entries = tenant.all().into_iter();
                entries
                    .map(move |entry| (tenant.clone(), entry))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl SessionManager {
    /// Returns a manager without tenants.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime.
    pub fn new(options: ManagerOptions) -> Self {
        let shared = Arc::new(Shared {
            options,
            stop: Cancel::new(),
            counters: Counters::default(),
            tenants: Mutex::default(),
            is_closed: AtomicBool::new(false),
            evict: Arc::default(),
        });
        tokio::spawn(supervise(Arc::downgrade(&shared), shared.evict.clone()));
        Self { shared }
    }

    /// Adds a tenant, with the sessions in `backend`. No two tenants may have the same backend. Blocks while the list of
    /// the sessions is read. It lives as long as one of its handles.
    ///
    /// # Errors
    ///
    /// Returns errors of the backend.
    pub fn tenant(
        &self,
        name: &str,
        backend: Arc<dyn SessionBackend>,
        source: Arc<dyn SandboxSource>,
        quota: Quota,
    ) -> Result<Tenant, SessionError> {
        let tenant = Tenant::open(name, backend, source, quota, self.shared.clone())?;
        let mut tenants = (self.shared.tenants.lock()).unwrap_or_else(PoisonError::into_inner);
        tenants.push(Arc::downgrade(&tenant.inner));
        Ok(tenant)
    }

    /// Returns the options.
    pub fn options(&self) -> &ManagerOptions {
        &self.shared.options
    }

    /// Returns figures of the sessions now and of the work so far.
    pub fn stats(&self) -> ManagerStats {
        let counters = &self.shared.counters;
        let mut stats = ManagerStats {
            turns: counters.turns.load(Ordering::Relaxed),
            evictions: counters.evictions.load(Ordering::Relaxed),
            wakes: counters.wakes.load(Ordering::Relaxed),
            ..ManagerStats::default()
        };
        for (_, entry) in self.shared.all() {
            stats.sessions += 1;
            stats.live += usize::from(entry.is_live());
            stats.running += usize::from(entry.is_running());
            stats.waiting += entry.waiting();
            stats.memory += entry.memory();
        }
        stats
    }

    /// Returns the numbers and times of finished turns.
    pub fn turn_figures(&self) -> TurnFigures {
        self.shared.counters.finished.figures()
    }

    /// Ends the manager: new requests are refused, running turns may end within `grace` and are stopped then, and all
    /// live sessions are written out, unless the durability is [`Durability::None`]. Returns the errors of sessions that
    /// could not be written.
    pub async fn shutdown(&self, grace: Duration) -> Vec<(String, SessionError)> {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        let quiet = async {
            while self.stats().waiting > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(grace, quiet).await.is_err() {
            self.shared.stop.cancel();
        }
        let mut failed = Vec::new();
        for (tenant, entry) in self.shared.all() {
            if !entry.is_live() && entry.waiting() == 0 {
                continue;
            }
            let guard = entry.acquire_always().await;
            let for_work = entry.clone();
            let write = move |guard: &mut super::entry::LiveGuard| {
                match tenant.shared.options.durability {
                    Durability::None => for_work.drop_live(guard, &tenant),
                    _ => for_work.write_out(guard, &tenant)?,
                }
                Ok(())
            };
            match blocking(guard, write).await {
                Err(ManagerError::Session(error)) => failed.push((entry.id.clone(), error)),
                Err(error) => {
                    let error = std::io::Error::other(error.to_string());
                    let path = std::path::Path::new(&entry.id);
                    failed.push((entry.id.clone(), SessionError::io("write", path)(error)));
                }
                Ok(_) => {}
            }
        }
        failed
    }
}

/// Evicts and removes sessions until the manager is dropped.
async fn supervise(shared: Weak<Shared>, evict: Arc<Notify>) {
    loop {
        let is_tick = (tokio::time::timeout(INTERVAL, evict.notified()).await).is_err();
        let Some(strong) = shared.upgrade() else {
            return;
        };
        if strong.check_open().is_err() {
            return;
        }
        if is_tick {
            expire(&strong).await;
        }
        evict_live(&strong).await;
    }
}

/// Removes sessions whose time is over, and writes those out that nobody uses.
async fn expire(shared: &Arc<Shared>) {
    let now = now_ms();
    for (tenant, entry) in shared.all() {
        let settings = entry.settings();
        let handle = SessionHandle {
            entry: entry.clone(),
            tenant,
        };
        let unused = entry.unused();
        let is_used = entry.waiting() > 0;
        let is_context = settings.parent.is_some();
        let over = settings.expires_ms.is_some_and(|at| at <= now);
        let forgotten = shared.options.ttl.is_some_and(|ttl| unused >= ttl) && !is_used;
        let is_removed = over && settings.on_expiry == OnExpiry::Remove || forgotten;
        if (is_removed || over) && !is_context {
            if entry.begin_ending() {
                // In a task of its own: it waits until a running turn has stopped.
                tokio::spawn(end(handle, is_removed));
            }
        } else if entry.is_live() && !is_used && unused >= shared.options.idle {
            write_out(handle).await;
        }
    }
}

/// Removes or pauses a session whose time is over. An error is of the store; the next tick tries again.
async fn end(handle: SessionHandle, is_removed: bool) {
    if is_removed {
        let _ = handle.remove().await;
    } else {
        handle.entry.stop_all();
        if handle.pause().await.is_ok() {
            let _ = handle.update(|settings| settings.expires_ms = None).await;
        }
    }
    handle.entry.end_ending();
}

/// Writes the least recently used sessions out while the live ones take more than they may.
async fn evict_live(shared: &Arc<Shared>) {
    let options = &shared.options;
    let mut live: Vec<_> = (shared.all().into_iter())
        .filter(|(_, entry)| entry.is_live())
        .map(|(tenant, entry)| (entry.unused(), tenant, entry))
        .collect();
    let mut memory: u64 = live.iter().map(|(_, _, entry)| entry.memory()).sum();
    let mut count = live.len();
    live.sort_by_key(|(unused, _, _)| std::cmp::Reverse(*unused));
    for (_, tenant, entry) in &live {
        let of_tenant = || {
            let all = live
                .iter()
                .filter(|(_, other, _)| Arc::ptr_eq(other, tenant));
            all.map(|(_, _, entry)| entry.memory()).sum::<u64>()
        };
        let is_over = memory > options.memory || count > options.live;
        if !is_over && of_tenant() <= tenant.meter.quota().memory {
            continue;
        }
        let before = entry.memory();
        let handle = SessionHandle {
            entry: entry.clone(),
            tenant: tenant.clone(),
        };
        if write_out(handle).await {
            memory = memory.saturating_sub(before);
            count -= 1;
        }
    }
}

/// Writes a session out if nobody uses it. Returns true if it is idle then.
async fn write_out(handle: SessionHandle) -> bool {
    let Some(guard) = handle.entry.try_acquire() else {
        return false;
    };
    let for_work = handle.clone();
    let write = move |guard: &mut super::entry::LiveGuard| {
        Ok(for_work.entry.write_out(guard, &for_work.tenant)?)
    };
    // A session that cannot be written stays live.
    blocking(guard, write).await.is_ok()
}
