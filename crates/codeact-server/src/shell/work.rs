//! What a command uses of its tenant's quotas: one of the concurrent turns, and fuel for what it computes and writes.
//!
//! Security boundary: the tools of the shell run in this process, without meter points. What they use is the time for
//! which the command computes, which is measured around each step of its future.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use codeact::sandbox::Cancel;
use codeact_sessions::manager::{ManagerError, QuotaName, SessionHandle, TurnPermit};

use crate::shell::limits::{COMMAND_FUEL, FUEL_PER_MIB, FUEL_PER_MS};

/// Time between two attempts to count as a turn again.
const RETRY: Duration = Duration::from_millis(50);

/// What a command uses.
pub(super) struct Work {
    handle: SessionHandle,
    /// `None` while the command waits for a program that counts itself.
    permit: Mutex<Option<TurnPermit>>,
    computing: Mutex<Computing>,
    output: AtomicU64,
    /// Fuel that is charged so far.
    charged: Mutex<u64>,
}

/// Time for which a command has computed.
#[derive(Default)]
struct Computing {
    before: Duration,
    since: Option<Instant>,
}

impl Work {
    /// Begins a command of `handle`'s session.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Quota`].
    pub(super) fn begin(handle: &SessionHandle) -> Result<Self, ManagerError> {
        let permit = handle.permit()?;
        let work = Self {
            handle: handle.clone(),
            permit: Mutex::new(Some(permit)),
            computing: Mutex::default(),
            output: AtomicU64::new(0),
            charged: Mutex::new(0),
        };
        work.charge();
        Ok(work)
    }

    /// Ends the command: charges the rest of its fuel, and counts as a turn no longer.
    pub(super) fn end(&self) {
        self.charge();
        lock(&self.permit).take();
    }

    /// Runs `command` and counts the time for which it computes, not that for which it waits.
    pub(super) async fn measure<F: Future>(&self, command: F) -> F::Output {
        let mut command = std::pin::pin!(command);
        std::future::poll_fn(|context| {
            lock(&self.computing).since = Some(Instant::now());
            let polled = command.as_mut().poll(context);
            let mut computing = lock(&self.computing);
            *computing = Computing {
                before: computing.total(),
                since: None,
            };
            if polled.is_ready() {
                return polled;
            }
            Poll::Pending
        })
        .await
    }

    /// Returns the time for which the command has computed.
    pub(super) fn computed(&self) -> Duration {
        lock(&self.computing).total()
    }

    /// Counts output of `bytes` bytes.
    pub(super) fn note_output(&self, bytes: usize) {
        self.output.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Charges the fuel of what the command has used since the last call.
    pub(super) fn charge(&self) {
        let ms = u64::try_from(self.computed().as_millis()).unwrap_or(u64::MAX);
        let fuel = fuel(ms, self.output.load(Ordering::Relaxed));
        let mut charged = lock(&self.charged);
        self.handle.charge_fuel(fuel.saturating_sub(*charged));
        *charged = fuel;
    }

    /// Lets the command count as a turn no longer while it waits for a program that does.
    pub(super) fn yield_place(&self) -> Yielded<'_> {
        Yielded {
            work: self,
            had_permit: lock(&self.permit).take().is_some(),
        }
    }
}

/// A command that does not count as a turn.
#[must_use]
pub(super) struct Yielded<'a> {
    work: &'a Work,
    had_permit: bool,
}

impl Yielded<'_> {
    /// Lets the command count as a turn again, and waits while the tenant has too many, until `cancel` stops it. If the
    /// program has used up another quota, the command ends without: it has the time and the places of its tenant still.
    pub(super) async fn take_back(self, cancel: &Cancel) {
        while self.had_permit && !cancel.is_cancelled() {
            match self.work.handle.permit() {
                Ok(permit) => {
                    *lock(&self.work.permit) = Some(permit);
                    return;
                }
                Err(ManagerError::Quota {
                    name: QuotaName::Turns,
                    ..
                }) => tokio::time::sleep(RETRY).await,
                Err(_) => return,
            }
        }
    }
}

impl Computing {
    fn total(&self) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// Returns the fuel of a command that has computed for `ms` milliseconds and written `bytes` bytes.
fn fuel(ms: u64, bytes: u64) -> u64 {
    let computed = ms.saturating_mul(FUEL_PER_MS);
    let written = (bytes >> 10).saturating_mul(FUEL_PER_MIB >> 10);
    COMMAND_FUEL
        .saturating_add(computed)
        .saturating_add(written)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{COMMAND_FUEL, FUEL_PER_MIB, FUEL_PER_MS, fuel};

    #[test]
    fn a_command_costs_its_time_and_output() {
        assert_eq!(fuel(0, 0), COMMAND_FUEL);
        assert_eq!(fuel(3, 0), COMMAND_FUEL + 3 * FUEL_PER_MS);
        assert!(fuel(0, 1 << 20) - COMMAND_FUEL > FUEL_PER_MIB - (1 << 10));
        assert_eq!(fuel(u64::MAX, u64::MAX), u64::MAX);
    }
}
