//! A slot: one store with its instance, whose memory can be restored and reset.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use wasmtime::{AsContextMut, Memory, Store, Trap, TypedFunc};

use crate::engine::compiled::Engine;
use crate::error::SandboxError;
use crate::hostcall::HostCalls;
use crate::instance::host::Host;
use crate::instance::memory::{Image, PAGE, Pages};
use crate::instance::meter;
use crate::types::cancellation::{Stop, Watch, guard};
use crate::wasi::{GuestState, ProcessExit};
use codeact_base::text::hex;

/// Number of changed pages beyond which mapping the image again costs less than copying pages back and scanning.
const MAX_RESET_PAGES: usize = 4096;

/// One store with its instance. Sessions use it one after another.
pub(crate) struct Slot {
    // Dropped first, because pages of `overlay` are mapped into its memory.
    store: Store<Host>,
    memory: Memory,
    turn: TypedFunc<(u32, u32), i32>,
    alloc: TypedFunc<u32, u32>,
    /// Calls a Python object, if the pack has the export.
    python_call: Option<TypedFunc<u32, u32>>,
    start: Option<TypedFunc<(), ()>>,
    /// Pages of this slot that differ from image and overlay, as of the last scan.
    changed: Vec<u32>,
    /// True if `changed` may be incomplete, because a turn since the scan had page faults.
    changed_is_stale: bool,
    /// Pages over the image as of the last checkpoint. Some of them are mapped.
    overlay: Pages,
}

/// Function that is called in the guest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum EntryPoint {
    /// The function that prepares the base image.
    Boot,
    /// The runner, by its address in the image; `None`: by its name.
    Turn(Option<u32>),
}

/// How a call into the guest ended.
#[derive(Debug)]
pub(crate) enum CallEnd {
    /// It returned. The instance is at rest and can run again.
    Returned,
    /// The guest exited.
    Exited(i32),
    OutOfFuel,
    Trapped(String),
    Stopped(Stop),
}

impl Slot {
    /// Returns a new instance, whose memory has only the module's data segments.
    pub(crate) async fn instantiate(engine: &Engine, host: Host) -> Result<Self, SandboxError> {
        let mut store = engine.store(host)?;
        let instance = engine
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(engine_error)?;
        meter::attach(&mut store, &instance)?;
        meter::arm(&mut store, None).map_err(engine_error)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| missing("memory"))?;
        let turn = instance
            .get_typed_func(&mut store, "turn")
            .map_err(|_| missing("turn"))?;
        let alloc: TypedFunc<u32, u32> = instance
            .get_typed_func(&mut store, "host_alloc")
            .map_err(|_| missing("host_alloc"))?;
        let start = instance.get_typed_func(&mut store, "_initialize").ok();
        let python_call = instance
            .get_typed_func(&mut store, codeact_meter::CALL.1)
            .ok();
        let host = store.data_mut();
        host.memory = Some(memory);
        host.alloc = Some(alloc.clone());
        Ok(Self {
            store,
            memory,
            turn,
            alloc,
            python_call,
            start,
            changed: Vec::new(),
            changed_is_stale: true,
            overlay: Pages::default(),
        })
    }

    /// Runs the reactor's start function. Only for a slot without an image.
    pub(crate) async fn initialize(&mut self) -> Result<(), SandboxError> {
        let Some(start) = self.start.clone() else {
            return Err(missing("_initialize"));
        };
        start
            .call_async(&mut self.store, ())
            .await
            .map_err(|e| SandboxError::start(format!("{e:#}")))
    }

    /// Restores the image, and the pages `over` of a checkpoint on top, in a new instance.
    pub(crate) fn restore(
        &mut self,
        image: &Image,
        over: Option<&Pages>,
    ) -> Result<(), SandboxError> {
        let len = over.map_or(image.len(), |pages| pages.memory_len.max(image.len()));
        let has = self.memory.data_size(&self.store);
        if has > image.len() {
            return Err(SandboxError::start(
                "the base image is smaller than the module's first memory",
            ));
        }
        let grow = (len - has).div_ceil(64 << 10) as u64;
        self.memory.grow(&mut self.store, grow).map_err(|_| {
            SandboxError::setting(format!(
                "the session has grown to {} MiB, which is more than the memory limit",
                len.div_ceil(1 << 20)
            ))
        })?;
        let memory = self.memory.data_mut(&mut self.store);
        image
            .map_over(memory)
            .map_err(|e| SandboxError::engine("map the base image", e))?;
        if let Some(pages) = over {
            self.overlay = pages.clone();
            (pages.apply(memory)).map_err(|e| SandboxError::engine("map a checkpoint", e))?;
        }
        Ok(())
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Replaces the store's data.
    pub(crate) fn renew_host(&mut self, new: Host) {
        let host = self.store.data_mut();
        let (memory, alloc) = (host.memory, host.alloc.take());
        let mut meter = new.meter;
        meter.set_counter_of(&host.meter);
        *host = Host {
            memory,
            alloc,
            meter,
            ..new
        };
    }

    pub(crate) fn memory(&self) -> &[u8] {
        self.memory.data(&self.store)
    }

    /// Returns the pages and the state of a checkpoint. Only for an instance at rest.
    pub(crate) fn checkpoint(
        &mut self,
        image: &Image,
    ) -> Result<(Pages, GuestState), SandboxError> {
        let failed = |e| SandboxError::engine("take a checkpoint", e);
        let memory = self.memory.data_mut(&mut self.store);
        if self.changed_is_stale {
            image.changed(memory, &mut self.changed).map_err(failed)?;
            self.changed_is_stale = false;
        }
        let (pages, mapped) = self.overlay.with_changes(memory, &self.changed);
        self.changed_is_stale |= mapped;
        self.overlay = pages.clone();
        Ok((pages, self.store.data().wasi.state.clone()))
    }

    /// Returns a SHA-256 of the memory's size and of the pages that differ from the image. The image is the same on
    /// every machine. Only for an instance at rest.
    pub(crate) fn fingerprint(&mut self, image: &Image) -> Result<String, SandboxError> {
        let failed = |e| SandboxError::engine("read the guest's memory", e);
        let memory = self.memory.data_mut(&mut self.store);
        if self.changed_is_stale {
            image.changed(memory, &mut self.changed).map_err(failed)?;
            self.changed_is_stale = false;
        }
        // `changed` does not have the pages that are mapped from an earlier checkpoint.
        let mut pages: BTreeSet<u32> = self.changed.iter().copied().collect();
        for (first, count) in self.overlay.runs() {
            pages.extend(first..first + count);
        }
        let mut hash = Sha256::new();
        hash.update((memory.len() as u64).to_le_bytes());
        for page in pages {
            let at = page as usize * PAGE;
            let now = memory.get(at..at + PAGE).unwrap_or_default();
            let zero = [0; PAGE];
            let was = image.bytes().get(at..at + PAGE).unwrap_or(&zero);
            if now != was {
                hash.update(page.to_le_bytes());
                hash.update(now);
            }
        }
        Ok(hex(&hash.finalize()))
    }

    /// Restores the image, so that another session can use the slot. Returns false if that is not possible; the slot
    /// must then be dropped. Only for an instance at rest, never after a trap.
    pub(crate) fn reset(&mut self, image: &Image) -> bool {
        let memory = self.memory.data_mut(&mut self.store);
        if memory.len() != image.len() || self.overlay.has_segments() {
            return false;
        }
        self.overlay = Pages::default();
        if self.changed_is_stale {
            if image.changed(memory, &mut self.changed).is_err() {
                return false;
            }
            if self.changed.len() > MAX_RESET_PAGES {
                return image.map_over(memory).is_ok();
            }
            self.changed_is_stale = false;
        }
        image.reset_pages(memory, &self.changed);
        true
    }

    /// Calls `entry` in the guest, until it returns or is stopped. Returns how it ended and the fuel that it used.
    pub(crate) async fn call(
        &mut self,
        entry: EntryPoint,
        host_calls: HostCalls,
        budget: Option<u64>,
        watch: &Watch,
    ) -> Result<(CallEnd, u64), SandboxError> {
        self.host().host_calls = host_calls;
        meter::arm(&mut self.store, budget).map_err(engine_error)?;
        let _running = meter::RunningCall::new();
        let (guarded, faults) = guard(self.enter(entry), watch).await;
        self.changed_is_stale |= faults != Some(0);
        let ended = match guarded {
            Err(stop) => CallEnd::Stopped(stop),
            Ok(Ok(())) => CallEnd::Returned,
            Ok(Err(error)) => classify(&error),
        };
        Ok((ended, meter::spent(&mut self.store)))
    }

    async fn enter(&mut self, entry: EntryPoint) -> wasmtime::Result<()> {
        let source = match (entry, &self.python_call) {
            (EntryPoint::Turn(Some(function)), Some(call)) => {
                call.clone().call_async(&mut self.store, function).await?;
                return Ok(());
            }
            (EntryPoint::Turn(_), _) => codeact_wasm_python::RUN_TURN,
            (EntryPoint::Boot, _) => codeact_wasm_python::BOOT,
        };
        let len = source.len() as u32;
        let at = self.alloc.call_async(&mut self.store, len).await?;
        if at == 0 {
            return Err(wasmtime::Error::msg("no memory is left to start the turn"));
        }
        self.memory
            .write(self.store.as_context_mut(), at as usize, source.as_bytes())?;
        self.turn.call_async(&mut self.store, (at, len)).await?;
        Ok(())
    }
}

fn missing(export: &str) -> SandboxError {
    SandboxError::start(format!("its module has no export `{export}`"))
}

fn classify(error: &wasmtime::Error) -> CallEnd {
    if let Some(ProcessExit(code)) = error.downcast_ref() {
        CallEnd::Exited(*code)
    } else if let Some(stop) = error.downcast_ref::<Stop>() {
        CallEnd::Stopped(*stop)
    } else if error.is::<meter::OutOfFuel>() {
        CallEnd::OutOfFuel
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        CallEnd::Trapped(trap.to_string())
    } else {
        CallEnd::Trapped(format!("{error:#}"))
    }
}

fn engine_error(error: wasmtime::Error) -> SandboxError {
    SandboxError::engine("use the WebAssembly engine", error)
}
