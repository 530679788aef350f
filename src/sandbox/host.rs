//! What the host keeps for one running instance: the store's data.

use rand_chacha::ChaCha20Rng;
use wasmtime::{Memory, TypedFunc};

use super::clock::Clock;
use super::door::Door;
use super::limits::MemoryLimiter;
use super::meter::Meter;
use super::output::Output;
use super::stdin::Stdin;
use super::stop::{Stop, Watch};
use super::tape::{self, Call};
use super::vfs::{Quota, Tree};
use super::wasi::Fds;

pub(crate) struct Host {
    pub(crate) limiter: MemoryLimiter,
    pub(crate) meter: Meter,
    /// Set right after instantiation; the module's start runs nothing that needs them.
    pub(crate) memory: Option<Memory>,
    pub(crate) alloc: Option<TypedFunc<u32, u32>>,
    pub(crate) state: GuestState,
    pub(crate) quota: Quota,
    pub(crate) output: Output,
    pub(crate) door: Door,
    pub(crate) watch: Watch,
    /// Bytes the host has moved for the guest since it last looked at the clock.
    pub(crate) unwatched: u64,
}

/// Host work, in bytes moved, between two looks at the clock: well below a millisecond.
const WATCH_EVERY: u64 = 1 << 20;

impl Host {
    /// Nanoseconds since 1970, for the guest.
    pub(crate) fn realtime(&self) -> u64 {
        let live = || self.state.clock.realtime();
        // A tape that is off stops the turn after this call.
        tape::told(|| Call::Realtime, live).unwrap_or_default()
    }

    /// Nanoseconds since a moment of the guest's clock's own.
    pub(crate) fn monotonic(&self) -> u64 {
        let live = || self.state.clock.monotonic();
        tape::told(|| Call::Monotonic, live).unwrap_or_default()
    }

    /// Accounts for work the host does in the guest's name, which no fuel measures, and looks at
    /// the clock now and then: so a guest cannot outlive its time by keeping the host busy.
    pub(crate) fn work(&mut self, bytes: u64) -> Result<(), Stop> {
        tape::check()?;
        self.unwatched += bytes;
        if self.unwatched < WATCH_EVERY {
            return Ok(());
        }
        self.unwatched = 0;
        self.watch.check()
    }
}

/// The host's half of a session at rest: with the linear memory, all there is to it.
#[derive(Clone)]
pub(crate) struct GuestState {
    pub(crate) tree: Tree,
    pub(crate) fds: Fds,
    pub(crate) rng: ChaCha20Rng,
    /// One clock for the whole session: it never runs backwards, also after a turn was taken back.
    pub(crate) clock: Clock,
    pub(crate) stdin: Stdin,
    /// Bytes of stdin the guest has taken.
    pub(crate) stdin_read: usize,
}

/// `proc_exit`: the guest ended itself; nothing of the instance is used again.
#[derive(Debug, thiserror::Error)]
#[error("the code ended its process with status {0}")]
pub(crate) struct ProcessExit(pub(crate) i32);
