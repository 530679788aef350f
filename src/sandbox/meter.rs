//! How work is counted. One file, so that another way of counting can replace wasmtime's own.
//!
//! Fuel is wasmtime's: about one unit for each wasm instruction. The same code in the same state
//! uses the same fuel on every run and machine. Each [`YIELD_EVERY`] units the guest gives way,
//! which is when wall time, cancellation and fairness are looked after.

use wasmtime::{Config, Store, Trap};

/// Around a millisecond of work.
const YIELD_EVERY: u64 = 2_000_000;

/// Turns metering on.
pub(crate) fn configure(config: &mut Config) {
    config.consume_fuel(true);
}

/// Gives `store` its budget for one turn. `None`: metered, but as good as endless.
pub(crate) fn arm<T>(store: &mut Store<T>, budget: Option<u64>) -> wasmtime::Result<()> {
    store.set_fuel(budget.unwrap_or(u64::MAX))?;
    store.fuel_async_yield_interval(Some(YIELD_EVERY))
}

/// What the turn has used since [`arm`].
pub(crate) fn spent<T>(store: &Store<T>, budget: Option<u64>) -> u64 {
    let left = store.get_fuel().unwrap_or(0);
    budget.unwrap_or(u64::MAX).saturating_sub(left)
}

/// Whether `trap` means that the budget is used up.
pub(crate) fn is_exhausted(trap: Trap) -> bool {
    trap == Trap::OutOfFuel
}
