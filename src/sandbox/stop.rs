//! Stopping a turn: by its wall time, or because somebody asks.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::memory::thread_faults;

/// A handle that stops a running turn from elsewhere, e.g. on Ctrl-C. Clones stop the same turn.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    notify: Notify,
}

impl Cancel {
    /// A handle that nobody has used yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the turn; a turn that starts later with this handle stops at once.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        self.0.notify.notify_waiters();
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Waits until [`Cancel::cancel`] is called.
    pub async fn cancelled(&self) {
        let notified = self.0.notify.notified();
        if !self.is_cancelled() {
            notified.await;
        }
    }
}

/// Why a turn was stopped. Also the error a host call returns to unwind the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Stop {
    #[error("the wall time is used up")]
    TimedOut,
    #[error("the turn was cancelled")]
    Cancelled,
    /// The tape that the turn replays has come to its end, or to something else.
    #[error("the recording of the turn does not go on here")]
    TapeOff,
    /// The turn asks what nobody can answer yet.
    #[error("the turn waits for an answer")]
    PutAway,
}

/// What can stop a turn.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    began: Instant,
    wall: Duration,
    held: Arc<HeldTime>,
    cancel: Cancel,
}

/// The time that does not count: that for which a person was waited for.
#[derive(Debug, Default)]
struct HeldTime {
    nanos: AtomicU64,
    /// Since when it is being held, in nanoseconds after the begin, and one more; 0 when it is not.
    since: AtomicU64,
}

/// Further away than any turn lasts; `Instant` cannot hold every `Duration`.
const FAR: Duration = Duration::from_secs(365 * 86_400);

impl Watch {
    pub(crate) fn new(wall: Duration, cancel: Cancel) -> Self {
        Self {
            began: Instant::now(),
            wall: wall.min(FAR),
            held: Arc::default(),
            cancel,
        }
    }

    /// Stops the clock of the wall time, until [`Watch::release`]. A turn holds it in one place only.
    pub(crate) fn hold(&self) {
        let now = nanos(self.began.elapsed());
        self.held.since.store(now + 1, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        let since = self.held.since.swap(0, Ordering::SeqCst);
        if since > 0 {
            let held = nanos(self.began.elapsed()).saturating_sub(since - 1);
            self.held.nanos.fetch_add(held, Ordering::SeqCst);
        }
    }

    /// When the wall time is used up, as far as is known at `now`.
    fn deadline(&self, now: Instant) -> Instant {
        let mut held = self.held.nanos.load(Ordering::SeqCst);
        let since = self.held.since.load(Ordering::SeqCst);
        if since > 0 {
            held += nanos(now.duration_since(self.began)).saturating_sub(since - 1);
        }
        self.began + self.wall + Duration::from_nanos(held)
    }

    pub(crate) fn endless() -> Self {
        Self::new(FAR, Cancel::new())
    }

    pub(crate) fn check(&self) -> Result<(), Stop> {
        self.check_at(Instant::now())
    }

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

/// How soon a clock that is held is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Drives `turn` until it ends or is to stop. It looks at the clock whenever the guest gives way,
/// so a guest that never waits is stopped as surely as one that only waits.
///
/// Also tells how many page faults it took, on whatever threads it ran; `None` where that is not
/// known.
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
            // The clock was, or is, held: it is looked at again when it would be used up if it went on.
            let now = Instant::now();
            let later = watch.deadline(now).max(now + LOOK_AGAIN);
            timeout.as_mut().reset(later.into());
        }
        Poll::Pending
    })
    .await;
    (ended, faults)
}
