//! How work is counted: fuel, taken at the meter points of the pack's module.
//!
//! [`pack::module`](crate::pack::module) puts them there: each takes from a counter in the instance, a
//! global that no wasm code but the meter points can name, and that lies outside the guest's memory.
//! When it is used up the guest calls [`tick`]: the host looks at the budget, gives way to others, which is
//! also when wall time and cancellation are looked after, and fills the counter again. Nobody writes to the
//! counter while the guest runs, so there are no races.
//!
//! The same code in the same state uses the same fuel on every run, machine and version of the engine.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Global, Linker, Store, Val};

use super::error::SandboxError;
use super::host::Host;
use crate::pack::module::{COUNTER, TICK};

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
    /// Whether the guest is at a meter point, and the host not done with it.
    ticking: bool,
    /// When it last gave way.
    yielded: Instant,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            counter: None,
            budget: u64::MAX,
            given: 0,
            ticking: false,
            yielded: Instant::now(),
        }
    }

    /// Takes the counter of the instance over.
    pub(crate) fn take_over(&mut self, of: &Self) {
        self.counter = of.counter;
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
    meter.ticking = false;
    meter.yielded = Instant::now();
    let slice = SLICE.min(meter.budget);
    meter.given = slice;
    set(store, slice)
}

fn set(mut store: impl wasmtime::AsContextMut<Data = Host>, left: u64) -> wasmtime::Result<()> {
    let counter = store.as_context().data().meter.counter;
    match counter {
        Some(counter) => counter.set(&mut store, Val::I64(left as i64)),
        None => Err(wasmtime::Error::msg("the instance has no meter")),
    }
}

/// What has been taken from the counter since [`arm`].
fn used(mut store: impl wasmtime::AsContextMut<Data = Host>) -> u64 {
    let meter = &store.as_context().data().meter;
    let (counter, given) = (meter.counter, meter.given);
    let left = counter.and_then(|counter| counter.get(&mut store).i64());
    given.saturating_add_signed(-left.unwrap_or(0))
}

/// The fuel that the call has used. Of one that was stopped at a meter point it is the largest budget that
/// would have stopped it there.
pub(crate) fn spent(store: &mut Store<Host>) -> u64 {
    let used = used(&mut *store);
    let meter = &store.data().meter;
    (used - u64::from(meter.ticking && used > 0)).min(meter.budget)
}

/// What a meter point calls when the counter is used up.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap_async(TICK.0, TICK.1, |mut caller: Caller<'_, Host>, (): ()| {
        Box::new(async move { tick(&mut caller).await })
    })?;
    Ok(())
}

async fn tick(caller: &mut Caller<'_, Host>) -> wasmtime::Result<()> {
    let used = used(&mut *caller);
    let host = caller.data_mut();
    host.meter.ticking = true;
    let left = host.meter.budget.checked_sub(used);
    let left = left.ok_or_else(|| wasmtime::Error::new(OutOfFuel))?;
    let now = Instant::now();
    host.watch.check_at(now)?;
    if now.duration_since(host.meter.yielded) >= yield_after() {
        tokio::task::yield_now().await;
        caller.data_mut().meter.yielded = Instant::now();
    }
    let meter = &mut caller.data_mut().meter;
    meter.ticking = false;
    let slice = SLICE.min(left);
    meter.given = used.saturating_add(slice);
    set(caller, slice)
}
