//! The guest's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Fine enough to time code with, too coarse to measure the host's caches with.
pub(crate) const RESOLUTION_NS: u64 = 20_000;

/// What the monotonic clock shows when a session starts. Above anything it showed while the base
/// image was made, so that it never runs backwards across a restore.
const MONOTONIC_START_NS: u64 = 1_000_000_000_000;

/// 2026-01-01T00:00:00Z, the time while a base image is made: with it, the same pack gives the
/// same image on every machine.
const FROZEN_REALTIME_NS: u64 = 1_767_225_600_000_000_000;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// Real time passes.
    Running {
        started: Instant,
        /// What the monotonic clock showed then, in nanoseconds.
        from: u64,
    },
    /// Time stands still.
    Frozen,
}

impl Clock {
    pub(crate) fn running() -> Self {
        Self::resumed(MONOTONIC_START_NS)
    }

    /// Goes on from where the monotonic clock of a session stood.
    pub(crate) fn resumed(from: u64) -> Self {
        Self::Running {
            started: Instant::now(),
            from,
        }
    }

    /// Has the monotonic clock show no less than `shown` from here on.
    pub(crate) fn not_before(&mut self, shown: u64) {
        if self.monotonic() < shown {
            *self = Self::resumed(shown);
        }
    }

    /// Nanoseconds since 1970.
    pub(crate) fn realtime(&self) -> u64 {
        match self {
            Self::Running { .. } => coarse(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO),
            ),
            Self::Frozen => FROZEN_REALTIME_NS,
        }
    }

    /// Nanoseconds since a moment of the clock's own.
    pub(crate) fn monotonic(&self) -> u64 {
        match self {
            Self::Running { started, from } => from.saturating_add(coarse(started.elapsed())),
            Self::Frozen => MONOTONIC_START_NS / 1000,
        }
    }
}

fn coarse(time: Duration) -> u64 {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    ns - ns % RESOLUTION_NS
}
