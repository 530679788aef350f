//! The guest's clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Resolution of both clocks: fine enough to time code, too coarse to measure the host's caches.
pub(super) const RESOLUTION_NS: u64 = 20_000;

/// Reading of the monotonic clock when a session starts. It is higher than any reading while the base image was made,
/// so that the clock never goes backwards across a restore.
const MONOTONIC_START_NS: u64 = 1_000_000_000_000;

/// 2026-01-01T00:00:00Z, the time while a base image is made. Because it is fixed, a pack gives the same image on every
/// machine.
const FROZEN_REALTIME_NS: u64 = 1_767_225_600_000_000_000;

/// The realtime and the monotonic clock of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// Time passes as on the host.
    Running {
        started: Instant,
        /// Reading of the monotonic clock at `started`, in nanoseconds.
        from: u64,
    },
    /// Time does not pass.
    Frozen,
}

impl Clock {
    /// Returns the clock of a new session.
    pub(crate) fn running() -> Self {
        Self::resumed(MONOTONIC_START_NS)
    }

    /// Returns a running clock whose monotonic reading is `from` now.
    pub(crate) fn resumed(from: u64) -> Self {
        Self::Running {
            started: Instant::now(),
            from,
        }
    }

    /// Advances the monotonic clock to `reading` if it is behind.
    pub(crate) fn advance_to(&mut self, reading: u64) {
        if self.monotonic() < reading {
            *self = Self::resumed(reading);
        }
    }

    /// Returns nanoseconds since 1970.
    pub(crate) fn realtime(&self) -> u64 {
        match self {
            Self::Running { .. } => round_down(
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or(Duration::ZERO),
            ),
            Self::Frozen => FROZEN_REALTIME_NS,
        }
    }

    /// Returns nanoseconds since an unspecified moment.
    pub(crate) fn monotonic(&self) -> u64 {
        match self {
            Self::Running { started, from } => from.saturating_add(round_down(started.elapsed())),
            Self::Frozen => MONOTONIC_START_NS / 1000,
        }
    }
}

/// Rounds `time` down to the resolution, in nanoseconds.
fn round_down(time: Duration) -> u64 {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    ns - ns % RESOLUTION_NS
}
