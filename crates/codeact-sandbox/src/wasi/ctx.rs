//! State of the WASI calls.

use rand_chacha::ChaCha20Rng;
use wasmtime::{Caller, Global, Memory, Val};

use crate::fs::vfs::{Quota, Tree};
use crate::journal::{self, Call};
use crate::types::cancellation::{Stop, Watch};
use crate::types::output::Output;
use crate::types::stdin::Stdin;
use crate::wasi::clock::Clock;
use crate::wasi::fds::Fds;

/// The part of a store's data that WASI calls need.
pub(crate) trait WasiView: Send + 'static {
    /// Returns the guest's linear memory. `None` until the instance exists.
    fn memory(&self) -> Option<Memory>;
    /// Returns the state of the WASI calls.
    fn wasi(&mut self) -> &mut WasiCtx;
    /// Returns the global from which fuel is subtracted; `None` if the instance is not metered.
    fn fuel_counter(&self) -> Option<Global> {
        None
    }
}

/// Work of the host that costs one unit of fuel, in bytes moved: as copying a block in the guest.
const WORK_PER_FUEL: u64 = 4;

/// Charges fuel for `work` of the host, in bytes moved. The guest checks its budget at its next meter point.
///
/// `work` must follow from the guest's calls and the answers in the journal only, because a replay uses the same fuel.
pub(crate) fn charge_fuel<T: WasiView>(caller: &mut Caller<'_, T>, work: u64) {
    let Some(counter) = caller.data().fuel_counter() else {
        return;
    };
    let left = counter.get(&mut *caller).i64().unwrap_or_default();
    let left = left.saturating_sub_unsigned(work.div_ceil(WORK_PER_FUEL));
    // The counter is a mutable global of this type.
    let _ = counter.set(caller, Val::I64(left));
}

/// State of the WASI calls of one instance: the state of the session, and the limits of the running turn.
pub(crate) struct WasiCtx {
    pub(crate) state: GuestState,
    pub(crate) quota: Quota,
    pub(crate) output: Output,
    pub(crate) watch: Watch,
    /// Work since the last check of the time limit, in bytes moved.
    pub(crate) unchecked_work: u64,
}

/// Work between two checks of the time limit, in bytes moved. It takes well below a millisecond.
const MAX_UNCHECKED_WORK: u64 = 1 << 20;

impl WasiCtx {
    /// Returns nanoseconds since 1970, recorded or replayed.
    pub(crate) fn realtime(&self) -> u64 {
        let live = || self.state.clock.realtime();
        // If the journal has diverged, the turn stops after this call.
        journal::record_or_replay(|| Call::Realtime, live).unwrap_or_default()
    }

    /// Returns nanoseconds since an unspecified moment, recorded or replayed.
    pub(crate) fn monotonic(&mut self) -> u64 {
        let clock = &mut self.state.clock;
        let live = || {
            clock.advance_to(journal::last_monotonic());
            clock.monotonic()
        };
        journal::record_or_replay(|| Call::Monotonic, live).unwrap_or_default()
    }

    /// Charges work of the host, which fuel does not measure, and checks the time limit at intervals. Without it a
    /// guest could exceed its time by keeping the host busy.
    ///
    /// # Errors
    ///
    /// Returns the [`Stop`] that ends the turn: its time is used up, it was cancelled, or its journal has diverged.
    pub(crate) fn charge_work(&mut self, bytes: u64) -> Result<(), Stop> {
        journal::check()?;
        self.unchecked_work += bytes;
        if self.unchecked_work < MAX_UNCHECKED_WORK {
            return Ok(());
        }
        self.unchecked_work = 0;
        self.watch.check()
    }
}

/// The host's part of a session's state. Together with the linear memory it is the whole state.
#[derive(Clone)]
pub(crate) struct GuestState {
    pub(crate) tree: Tree,
    pub(crate) fds: Fds,
    pub(crate) rng: ChaCha20Rng,
    /// The clock of the session. It never goes backwards, not even if a turn is rolled back.
    pub(crate) clock: Clock,
    pub(crate) stdin: Stdin,
    /// Bytes that the guest has read from stdin.
    pub(crate) stdin_read: usize,
}

/// The guest called `proc_exit`. Its instance is not used again.
#[derive(Debug, thiserror::Error)]
#[error("the code ended its process with status {0}")]
pub(crate) struct ProcessExit(pub(crate) i32);
