//! Fuel: counts the guest's computation at the meter points of the pack's module.
//!
//! [`codeact_meter`] adds the meter points. Each subtracts from a counter, a global of the instance that no other wasm
//! code can access. When the counter is used up the guest calls [`tick`]. The host then checks the budget, the wall time
//! and the cancellation, and returns the next value of the counter, or a request to yield to other guests first. The
//! host writes to the counter only while the guest is in such a call, so there are no races.
//!
//! The same code in the same state uses the same fuel on every run, machine and version of the engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Global, Linker, Store, Val};

use crate::error::SandboxError;
use crate::types::cancellation::Watch;
use codeact_meter::{COUNTER, TICK, YIELD_NOW};

/// Fuel that a guest gets between two checks, most often less than a millisecond of work.
const SLICE: u64 = 4_000_000;

/// Time that a guest runs before it yields, if more than [`FEW`] calls run. A yield costs about ten microseconds, and
/// more if it wakes another thread, so the time is longer if fewer calls run.
const YIELD_AFTER: Duration = Duration::from_micros(500);
/// Time that a guest runs before it yields, if 2 to [`FEW`] calls run.
const YIELD_AFTER_FEW: Duration = Duration::from_millis(2);
/// Time that a guest runs before it yields, if no other call runs. Other tasks of its thread still make progress.
const YIELD_AFTER_ALONE: Duration = Duration::from_millis(20);
/// Largest number of running calls that counts as few.
const FEW: usize = 4;

/// Number of calls that run in this process. It affects scheduling only, never results.
static RUNNING_CALLS: AtomicUsize = AtomicUsize::new(0);

/// Counts a call as running while it exists.
pub(crate) struct RunningCall(());

impl RunningCall {
    pub(crate) fn new() -> Self {
        RUNNING_CALLS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        RUNNING_CALLS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn yield_after() -> Duration {
    match RUNNING_CALLS.load(Ordering::Relaxed) {
        0 | 1 => YIELD_AFTER_ALONE,
        2..=FEW => YIELD_AFTER_FEW,
        _ => YIELD_AFTER,
    }
}

/// The part of a store's data that metering needs.
pub(crate) trait MeterView: Send + 'static {
    /// Returns the meter, and the limits of the running call.
    fn meter(&mut self) -> (&mut Meter, &Watch);
}

/// The meter of one instance.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Set after instantiation.
    counter: Option<Global>,
    /// Fuel that the call may use.
    budget: u64,
    /// Fuel that was granted to the call so far: the use if the counter is zero.
    granted: u64,
    /// Fuel that was used, if the guest is in a call at a meter point.
    used_at_point: Option<u64>,
    /// Time of the last yield.
    last_yield: Instant,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            counter: None,
            budget: u64::MAX,
            granted: 0,
            used_at_point: None,
            last_yield: Instant::now(),
        }
    }

    /// Returns the counter; `None` before the instance exists.
    pub(crate) fn counter(&self) -> Option<Global> {
        self.counter
    }

    /// Uses the counter of `other`, the meter of the same instance.
    pub(crate) fn set_counter_of(&mut self, other: &Self) {
        self.counter = other.counter;
    }

    /// Returns the fuel that was used if the counter has the value `counter`.
    fn used(&self, counter: i64) -> u64 {
        self.granted.saturating_add_signed(counter.saturating_neg())
    }

    /// Grants the next slice and returns the next value of the counter.
    fn refill(&mut self) -> i64 {
        let used = self.used_at_point.take().unwrap_or(self.granted);
        let slice = SLICE.min(self.budget.saturating_sub(used));
        self.granted = used.saturating_add(slice);
        slice as i64
    }
}

/// Error that unwinds the guest when its budget is used up.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the fuel is used up")]
pub(crate) struct OutOfFuel;

/// Stores the counter of a new instance in its meter.
pub(crate) fn attach(
    store: &mut Store<impl MeterView>,
    instance: &wasmtime::Instance,
) -> Result<(), SandboxError> {
    let counter = instance.get_global(&mut *store, COUNTER);
    store.data_mut().meter().0.counter = counter;
    match counter {
        Some(_) => Ok(()),
        None => Err(SandboxError::start("its module has no meter")),
    }
}

/// Sets the budget of the next call; `None`: metered without a limit.
pub(crate) fn arm(store: &mut Store<impl MeterView>, budget: Option<u64>) -> wasmtime::Result<()> {
    let meter = store.data_mut().meter().0;
    meter.budget = budget.unwrap_or(u64::MAX);
    meter.granted = 0;
    meter.used_at_point = None;
    meter.last_yield = Instant::now();
    let slice = meter.refill();
    match meter.counter {
        Some(counter) => counter.set(store, Val::I64(slice)),
        None => Err(wasmtime::Error::msg("the instance has no meter")),
    }
}

/// Returns the fuel that the call used. For a call that was stopped at a meter point it is the largest budget that would
/// have stopped it there.
pub(crate) fn spent(store: &mut Store<impl MeterView>) -> u64 {
    let counter = store.data_mut().meter().0.counter;
    let counter = counter.and_then(|counter| counter.get(&mut *store).i64());
    let meter = store.data_mut().meter().0;
    let used = meter.used(counter.unwrap_or(0));
    (used - u64::from(meter.used_at_point.is_some() && used > 0)).min(meter.budget)
}

/// Adds the two functions that the guest calls at meter points.
pub(crate) fn add_to_linker<T: MeterView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.func_wrap(TICK.0, TICK.1, |mut caller: Caller<'_, T>, counter| {
        tick(caller.data_mut(), counter)
    })?;
    linker.func_wrap_async(
        YIELD_NOW.0,
        YIELD_NOW.1,
        |mut caller: Caller<'_, T>, (): ()| {
            Box::new(async move {
                tokio::task::yield_now().await;
                let (meter, _) = caller.data_mut().meter();
                meter.last_yield = Instant::now();
                meter.refill()
            })
        },
    )?;
    Ok(())
}

/// Returns the next value of the counter, or a negative value if the guest has to yield first. The yield is a second
/// host function, because an async one costs several times as much.
fn tick(data: &mut impl MeterView, counter: i64) -> wasmtime::Result<i64> {
    let (meter, watch) = data.meter();
    let used = meter.used(counter);
    meter.used_at_point = Some(used);
    if used > meter.budget {
        return Err(wasmtime::Error::new(OutOfFuel));
    }
    let now = Instant::now();
    watch.check_at(now)?;
    match now.duration_since(meter.last_yield) < yield_after() {
        true => Ok(meter.refill()),
        false => Ok(-1),
    }
}
