//! Data of a store: the host state of one instance.

use wasmtime::{Global, Memory, TypedFunc};

use crate::hostcall::{HostCallView, HostCalls};
use crate::instance::memory_limiter::MemoryLimiter;
use crate::instance::meter::{Meter, MeterView};
use crate::types::cancellation::Watch;
use crate::wasi::{WasiCtx, WasiView};

/// Data of a store.
pub(crate) struct Host {
    pub(crate) limiter: MemoryLimiter,
    pub(crate) meter: Meter,
    /// Set after instantiation. The module's start function calls no import that needs it.
    pub(crate) memory: Option<Memory>,
    /// Allocator of the guest for answers; set with `memory`.
    pub(crate) alloc: Option<TypedFunc<u32, u32>>,
    pub(crate) wasi: WasiCtx,
    pub(crate) host_calls: HostCalls,
}

impl WasiView for Host {
    fn memory(&self) -> Option<Memory> {
        self.memory
    }

    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }

    fn fuel_counter(&self) -> Option<Global> {
        self.meter.counter()
    }
}

impl HostCallView for Host {
    fn alloc(&self) -> Option<TypedFunc<u32, u32>> {
        self.alloc.clone()
    }

    fn host_calls(&mut self) -> (&mut HostCalls, &mut WasiCtx) {
        (&mut self.host_calls, &mut self.wasi)
    }
}

impl MeterView for Host {
    fn meter(&mut self) -> (&mut Meter, &Watch) {
        (&mut self.meter, &self.wasi.watch)
    }
}
