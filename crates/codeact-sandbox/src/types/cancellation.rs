//! Stops a turn when its wall time is used up, or when the caller cancels it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::instance::memory::thread_faults;

/// A handle that stops a turn from elsewhere, for example on Ctrl-C. Clones stop the same turn.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{Cancel, Outcome, Sandbox, Turn};
///
/// let shutdown = Cancel::new();
/// let request = shutdown.child(); // one for each request of a server
/// let turn = Turn::new("while True: pass").cancel(request.clone());
/// let sandbox = Sandbox::new().await?;
/// let run = tokio::spawn(async move { sandbox.run(turn).await });
/// request.cancel(); // stops this turn only; `shutdown.cancel()` stops all
/// let execution = run.await.expect("the task does not panic")?;
/// assert_eq!(execution.outcome, Outcome::Cancelled);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(CancellationToken);

impl Cancel {
    /// Returns a handle that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a handle that is cancelled together with this one, and can be cancelled alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Stops the turn. A turn that starts later with this handle stops at once.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Returns true if [`Cancel::cancel`] was called on this handle, a clone or a parent.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the handle is cancelled.
    pub async fn cancelled(&self) {
        self.0.cancelled().await;
    }
}

/// Why a turn was stopped. Also the error that a host call returns to unwind the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the wall time is used up")]
    TimedOut,
    #[error("the turn was cancelled")]
    Cancelled,
    /// The replayed journal has ended, or has another call at this position.
    #[error("the journal of the turn has no answer to this call")]
    ReplayEnded,
    /// A request for user input has no answer yet.
    #[error("the turn is suspended until its request is answered")]
    Suspended,
}

/// The wall time and the cancellation of a turn.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    began: Instant,
    wall: Duration,
    paused: Arc<PausedTime>,
    cancel: Cancel,
}

/// Time that does not count as wall time, because the turn waited for user input.
#[derive(Debug, Default)]
struct PausedTime {
    nanos: AtomicU64,
    /// Start of the current pause, in nanoseconds after the turn's start, plus one; 0 if the clock runs.
    since: AtomicU64,
}

/// Limit of the wall time. `Instant` cannot hold every `Duration`.
const MAX_WALL: Duration = Duration::from_secs(365 * 86_400);

/// Interval in which the deadline of a paused clock is checked again.
const RECHECK_INTERVAL: Duration = Duration::from_millis(20);

impl Watch {
    pub(crate) fn new(wall: Duration, cancel: Cancel) -> Self {
        Self {
            began: Instant::now(),
            wall: wall.min(MAX_WALL),
            paused: Arc::default(),
            cancel,
        }
    }

    /// Returns a watch that stops nothing.
    pub(crate) fn endless() -> Self {
        Self::new(MAX_WALL, Cancel::new())
    }

    /// Pauses the wall time until [`Watch::resume`]. Pauses do not nest.
    pub(crate) fn pause(&self) {
        let now = nanos(self.began.elapsed());
        self.paused.since.store(now + 1, Ordering::SeqCst);
    }

    /// Ends the current pause.
    pub(crate) fn resume(&self) {
        let since = self.paused.since.swap(0, Ordering::SeqCst);
        if since > 0 {
            let paused = nanos(self.began.elapsed()).saturating_sub(since - 1);
            self.paused.nanos.fetch_add(paused, Ordering::SeqCst);
        }
    }

    /// Returns when the wall time is used up, if a current pause ended at `now`.
    fn deadline(&self, now: Instant) -> Instant {
        let mut paused = self.paused.nanos.load(Ordering::SeqCst);
        let since = self.paused.since.load(Ordering::SeqCst);
        if since > 0 {
            paused += nanos(now.duration_since(self.began)).saturating_sub(since - 1);
        }
        self.began + self.wall + Duration::from_nanos(paused)
    }

    /// Returns an error if the turn has to stop.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.check_at(Instant::now())
    }

    /// As [`Watch::check`], for a caller that has read the clock.
    pub(crate) fn check_at(&self, now: Instant) -> Result<(), Stop> {
        if self.cancel.is_cancelled() {
            Err(Stop::Cancelled)
        } else if now >= self.deadline(now) {
            Err(Stop::TimedOut)
        } else {
            Ok(())
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Drives `turn` until it ends or has to stop. The watch is checked on each poll, so it stops a guest that only
/// computes as well as one that only waits.
///
/// Also returns the number of page faults during the polls, on whatever threads they ran; `None` if the system does
/// not report it.
pub(crate) async fn guard<F: Future>(
    turn: F,
    watch: &Watch,
) -> (Result<F::Output, Stop>, Option<u64>) {
    let mut faults = Some(0);
    let mut turn = pin!(turn);
    let mut cancelled = pin!(watch.cancel.cancelled());
    let deadline = watch.deadline(Instant::now());
    let mut timeout = pin!(tokio::time::sleep_until(deadline.into()));
    let ended = poll_fn(|cx| {
        if let Err(stop) = watch.check() {
            return Poll::Ready(Err(stop));
        }
        let before = thread_faults();
        let polled = turn.as_mut().poll(cx);
        let during = before
            .zip(thread_faults())
            .map(|(before, after)| after - before);
        faults = faults.zip(during).map(|(all, more)| all + more);
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Ok(output));
        }
        if cancelled.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(Stop::Cancelled));
        }
        while timeout.as_mut().poll(cx).is_ready() {
            if let Err(stop) = watch.check() {
                return Poll::Ready(Err(stop));
            }
            // The clock is or was paused, so the deadline has moved.
            let now = Instant::now();
            let later = watch.deadline(now).max(now + RECHECK_INTERVAL);
            timeout.as_mut().reset(later.into());
        }
        Poll::Pending
    })
    .await;
    (ended, faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_cancelled_with_its_parent_and_can_be_cancelled_alone() {
        let parent = Cancel::new();
        let (first, second) = (parent.child(), parent.child());
        first.cancel();
        assert!(first.clone().is_cancelled());
        assert!(!parent.is_cancelled() && !second.is_cancelled());
        parent.cancel();
        assert!(second.is_cancelled() && parent.child().is_cancelled());
    }

    #[test]
    fn a_pause_does_not_count_as_wall_time() {
        let watch = Watch::new(Duration::from_secs(1), Cancel::new());
        watch.pause();
        let later = watch.began + Duration::from_secs(10);
        assert_eq!(watch.check_at(later), Ok(()));
        watch.resume();
        assert_eq!(watch.check_at(later), Err(Stop::TimedOut));
    }
}
