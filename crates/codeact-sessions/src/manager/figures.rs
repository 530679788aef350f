//! Numbers and times of finished turns.

use std::sync::atomic::{AtomicU64, Ordering};

use codeact_sandbox::{Execution, Status};

/// All outcomes.
const STATUSES: [Status; 8] = [
    Status::Ok,
    Status::Error,
    Status::Exit,
    Status::Timeout,
    Status::OutOfFuel,
    Status::Cancelled,
    Status::Suspended,
    Status::Trap,
];
/// Upper bounds of the wall times, in microseconds.
const BOUNDS: [u64; 12] = [
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    50_000,
    100_000,
    500_000,
    1_000_000,
    10_000_000,
    60_000_000,
    600_000_000,
];

/// Counters of finished turns.
#[derive(Debug, Default)]
pub(super) struct TurnCounters {
    statuses: [AtomicU64; STATUSES.len()],
    /// The last one is of times above all bounds.
    times: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// Finished turns of a manager so far, without those of agents in fresh sandboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TurnFigures {
    /// Number of turns by outcome.
    pub statuses: Vec<(Status, u64)>,
    /// Number of turns by wall time: upper bounds in microseconds, ascending, each with the number of turns between it and
    /// the one before. The last bound is `u64::MAX`.
    pub times: Vec<(u64, u64)>,
    /// Wall time of all turns, in microseconds.
    pub micros: u64,
}

/// Returns the span of a turn of `tenant`.
pub(super) fn turn_span(tenant: &str) -> tracing::Span {
    use tracing::field::Empty;

    tracing::info_span!("turn", tenant, outcome = Empty, fuel = Empty)
}

impl TurnCounters {
    /// Counts a finished turn, whose span is the current one.
    pub(super) fn observe(&self, execution: &Execution) {
        let status = execution.outcome.status();
        let span = tracing::Span::current();
        span.record("outcome", status.as_str());
        span.record("fuel", execution.usage.fuel);
        let micros = u64::try_from(execution.usage.wall.as_micros()).unwrap_or(u64::MAX);
        let by_status = STATUSES.iter().position(|known| *known == status);
        if let Some(count) = by_status.and_then(|at| self.statuses.get(at)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(count) = self
            .times
            .get(BOUNDS.partition_point(|bound| *bound < micros))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// Returns the figures so far.
    pub(super) fn figures(&self) -> TurnFigures {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let bounds = BOUNDS.iter().copied().chain([u64::MAX]);
        TurnFigures {
            statuses: STATUSES
                .into_iter()
                .zip(self.statuses.iter().map(read))
                .collect(),
            times: bounds.zip(self.times.iter().map(read)).collect(),
            micros: read(&self.micros),
        }
    }
}
