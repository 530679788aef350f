//! How work is counted: fuel, taken at the meter points of the pack's module.
//!
//! [`pack::module`](crate::pack::module) puts them there: each takes from a counter in the instance, a
//! global that no wasm code but the meter points can name, and that lies outside the guest's memory.
//! When it is used up the guest calls [`tick`]: the host looks at the budget, wall time and cancellation, and
//! tells what the counter is to be, or that the guest has to give way to others first. Nobody writes to the
//! counter while the guest runs, so there are no races.
//!
//! The same code in the same state uses the same fuel on every run, machine and version of the engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Global, Linker, Store, Val};

use super::error::SandboxError;
use super::host::Host;
use crate::pack::module::{COUNTER, GIVE_WAY, TICK};

/// What a guest gets at once, in fuel: most often less than a millisecond of work.
const SLICE: u64 = 4_000_000;

/// For so long a guest runs before it gives way to others: the longer the fewer are under way, since each time
/// costs some ten microseconds, and more where it wakes another thread. One that is alone has a thread for
/// itself; what has been put behind it on that thread still gets its turn.
const YIELD_AFTER: Duration = Duration::from_micros(500);
const YIELD_AFTER_OF_FEW: Duration = Duration::from_millis(2);
const YIELD_AFTER_ALONE: Duration = Duration::from_millis(20);
/// So many are few.
const FEW: usize = 4;

/// How many calls are under way in this process.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// A call that is under way.
pub(crate) struct UnderWay(());

impl UnderWay {
    pub(crate) fn new() -> Self {
        UNDER_WAY.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

fn yield_after() -> Duration {
    match UNDER_WAY.load(Ordering::Relaxed) {
        0 | 1 => YIELD_AFTER_ALONE,
        2..=FEW => YIELD_AFTER_OF_FEW,
        _ => YIELD_AFTER,
    }
}

/// The meter of one instance.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Set when the instance is there.
    counter: Option<Global>,
    /// What the turn may use in all.
    budget: u64,
    /// What the counter would have counted at zero.
    given: u64,
    /// What has been used, while the guest is at a meter point and the host is not done with it.
    ticking: Option<u64>,
    /// When it last gave way.
    yielded: Instant,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            counter: None,
            budget: u64::MAX,
            given: 0,
            ticking: None,
            yielded: Instant::now(),
        }
    }

    /// Takes the counter of the instance over.
    pub(crate) fn take_over(&mut self, of: &Self) {
        self.counter = of.counter;
    }

    /// What has been used when the counter says `counter`.
    fn used(&self, counter: i64) -> u64 {
        self.given.saturating_add_signed(counter.saturating_neg())
    }

    /// Gives the next slice, which ends a stay at a meter point: what the counter is to be.
    fn refill(&mut self) -> i64 {
        let used = self.ticking.take().unwrap_or(self.given);
        let slice = SLICE.min(self.budget.saturating_sub(used));
        self.given = used.saturating_add(slice);
        slice as i64
    }
}

/// The budget is used up.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the fuel is used up")]
pub(crate) struct OutOfFuel;

/// Finds the counter of a new instance.
pub(crate) fn attach(
    store: &mut Store<Host>,
    instance: &wasmtime::Instance,
) -> Result<(), SandboxError> {
    let counter = instance.get_global(&mut *store, COUNTER);
    store.data_mut().meter.counter = counter;
    match counter {
        Some(_) => Ok(()),
        None => Err(SandboxError::Start("its module has no meter".into())),
    }
}

/// Gives `store` its budget for one call. `None`: metered, but as good as endless.
pub(crate) fn arm(store: &mut Store<Host>, budget: Option<u64>) -> wasmtime::Result<()> {
    let meter = &mut store.data_mut().meter;
    meter.budget = budget.unwrap_or(u64::MAX);
    meter.given = 0;
    meter.ticking = None;
    meter.yielded = Instant::now();
    let slice = meter.refill();
    match meter.counter {
        Some(counter) => counter.set(store, Val::I64(slice)),
        None => Err(wasmtime::Error::msg("the instance has no meter")),
    }
}

/// The fuel that the call has used. Of one that was stopped at a meter point it is the largest budget that
/// would have stopped it there.
pub(crate) fn spent(store: &mut Store<Host>) -> u64 {
    let counter = store.data().meter.counter;
    let counter = counter.and_then(|counter| counter.get(&mut *store).i64());
    let meter = &store.data().meter;
    let used = meter.used(counter.unwrap_or(0));
    (used - u64::from(meter.ticking.is_some() && used > 0)).min(meter.budget)
}

/// What the guest calls when the counter is used up.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap(TICK.0, TICK.1, |mut caller: Caller<'_, Host>, counter| {
        tick(caller.data_mut(), counter)
    })?;
    linker.func_wrap_async(
        GIVE_WAY.0,
        GIVE_WAY.1,
        |mut caller: Caller<'_, Host>, (): ()| {
            Box::new(async move {
                tokio::task::yield_now().await;
                let meter = &mut caller.data_mut().meter;
                meter.yielded = Instant::now();
                meter.refill()
            })
        },
    )?;
    Ok(())
}

/// What the counter is to be, or less than zero if the guest has to give way first. That is a call of its
/// own: one that may wait costs several times as much.
fn tick(host: &mut Host, counter: i64) -> wasmtime::Result<i64> {
    let meter = &mut host.meter;
    let used = meter.used(counter);
    meter.ticking = Some(used);
    if used > meter.budget {
        return Err(wasmtime::Error::new(OutOfFuel));
    }
    let now = Instant::now();
    host.watch.check_at(now)?;
    match now.duration_since(meter.yielded) < yield_after() {
        true => Ok(meter.refill()),
        false => Ok(-1),
    }
}
