//! Quotas of a tenant, and what it uses of them.

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::error::ManagerError;

/// Limits of one tenant, beside those of each turn. Every default is finite except fuel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Quota {
    /// Sessions, live and idle. Default: 10,000.
    pub sessions: usize,
    /// Turns that run or wait at the same time. Default: 256.
    pub turns: usize,
    /// Memory of live sessions, in bytes, approximate. Default: 4 GiB.
    pub memory: u64,
    /// Fuel of all turns in one minute; `None`: no limit. Default: `None`.
    pub fuel_per_minute: Option<u64>,
    /// Bytes in the store, approximate: counted when sessions are written out. Default: 16 GiB.
    pub disk: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            turns: 256,
            memory: 4 << 30,
            fuel_per_minute: None,
            disk: 16 << 30,
        }
    }
}

/// A quota of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QuotaName {
    /// [`Quota::sessions`].
    Sessions,
    /// [`Quota::turns`].
    Turns,
    /// [`Quota::fuel_per_minute`].
    Fuel,
    /// [`Quota::disk`].
    Disk,
}

impl fmt::Display for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sessions => "sessions",
            Self::Turns => "concurrent turns",
            Self::Fuel => "fuel per minute",
            Self::Disk => "disk space",
        })
    }
}

/// What a tenant uses of its quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TenantUsage {
    /// Sessions, live and idle.
    pub sessions: usize,
    /// Live sessions.
    pub live: usize,
    /// Turns that run or wait.
    pub turns: usize,
    /// Memory of live sessions, in bytes, approximate.
    pub memory: u64,
    /// Bytes in the store, approximate.
    pub disk: u64,
}

/// Window of [`Quota::fuel_per_minute`].
const MINUTE: Duration = Duration::from_secs(60);

/// Counters of what a tenant uses now.
#[derive(Debug)]
pub(super) struct Meter {
    quota: Quota,
    turns: AtomicUsize,
    pub(super) disk: AtomicU64,
    fuel: Mutex<FuelWindow>,
}

#[derive(Debug)]
struct FuelWindow {
    since: Instant,
    used: u64,
}

impl Meter {
    pub(super) fn new(quota: Quota) -> Self {
        Self {
            quota,
            turns: AtomicUsize::new(0),
            disk: AtomicU64::new(0),
            fuel: Mutex::new(FuelWindow {
                since: Instant::now(),
                used: 0,
            }),
        }
    }

    pub(super) fn quota(&self) -> &Quota {
        &self.quota
    }

    pub(super) fn turns(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
    }

    /// Returns an error if a new session would exceed a quota.
    pub(super) fn check_sessions(&self, sessions: usize) -> Result<(), ManagerError> {
        if sessions >= self.quota.sessions {
            return Err(ManagerError::Quota {
                name: QuotaName::Sessions,
                limit: self.quota.sessions.to_string(),
                retry_after: None,
            });
        }
        self.check_disk()
    }

    pub(super) fn check_disk(&self) -> Result<(), ManagerError> {
        match self.disk.load(Ordering::Relaxed) < self.quota.disk {
            true => Ok(()),
            false => Err(ManagerError::Quota {
                name: QuotaName::Disk,
                limit: format!("{} bytes", self.quota.disk),
                retry_after: None,
            }),
        }
    }

    /// Begins a turn, which ends when the returned value is dropped.
    pub(super) fn begin_turn(self: &Arc<Self>) -> Result<TurnPermit, ManagerError> {
        self.check_disk()?;
        if let Some(limit) = self.quota.fuel_per_minute {
            let mut window = self.fuel.lock().unwrap_or_else(PoisonError::into_inner);
            let age = window.since.elapsed();
            if age >= MINUTE {
                (window.since, window.used) = (Instant::now(), 0);
            } else if window.used >= limit {
                return Err(ManagerError::Quota {
                    name: QuotaName::Fuel,
                    limit: limit.to_string(),
                    retry_after: Some(MINUTE - age),
                });
            }
        }
        let before = self.turns.fetch_add(1, Ordering::Relaxed);
        let permit = TurnPermit(self.clone());
        match before < self.quota.turns {
            true => Ok(permit),
            false => Err(ManagerError::Quota {
                name: QuotaName::Turns,
                limit: self.quota.turns.to_string(),
                retry_after: Some(Duration::from_secs(1)),
            }),
        }
    }

    /// Counts the fuel of a finished turn.
    pub(super) fn charge_fuel(&self, fuel: u64) {
        if self.quota.fuel_per_minute.is_some() {
            let mut window = self.fuel.lock().unwrap_or_else(PoisonError::into_inner);
            window.used = window.used.saturating_add(fuel);
        }
    }

    /// Replaces the bytes that one session takes in the store.
    pub(super) fn replace_disk(&self, before: u64, after: u64) {
        self.disk.fetch_add(after, Ordering::Relaxed);
        self.disk.fetch_sub(before, Ordering::Relaxed);
    }
}

/// Work that counts as one of a tenant's concurrent turns until it is dropped.
#[derive(Debug)]
pub struct TurnPermit(Arc<Meter>);

impl Drop for TurnPermit {
    fn drop(&mut self) {
        self.0.turns.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_beyond_the_quota_is_refused_and_counts_no_longer() {
        let meter = Arc::new(Meter::new(Quota {
            turns: 1,
            ..Quota::default()
        }));
        let first = meter.begin_turn().expect("the first turn");
        let refused = meter.begin_turn().expect_err("the second turn");
        assert!(matches!(
            refused,
            ManagerError::Quota {
                name: QuotaName::Turns,
                ..
            }
        ));
        drop(first);
        assert_eq!(meter.turns(), 0);
        meter.begin_turn().expect("a turn after the first");
    }

    #[test]
    fn used_fuel_refuses_turns_until_the_minute_ends() {
        let meter = Arc::new(Meter::new(Quota {
            fuel_per_minute: Some(100),
            ..Quota::default()
        }));
        meter.begin_turn().expect("a turn");
        meter.charge_fuel(100);
        let refused = meter.begin_turn().expect_err("a turn without fuel");
        let ManagerError::Quota {
            name, retry_after, ..
        } = refused
        else {
            panic!("another error: {refused}");
        };
        assert_eq!(name, QuotaName::Fuel);
        assert!(retry_after.is_some_and(|after| after <= MINUTE));
    }
}
