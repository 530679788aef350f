//! A slot: one store and instance, with a memory that can be restored and reset.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use wasmtime::{AsContextMut, Memory, Store, Trap, TypedFunc};

use super::door::Door;
use super::engine::Engine;
use super::error::SandboxError;
use super::guest;
use super::host::{GuestState, Host, ProcessExit};
use super::memory::{Image, PAGE, Pages};
use super::meter;
use super::stop::{Stop, Watch, guard};
use super::tape::hex;
use crate::pack::module;

/// With more changed pages than this, mapping afresh costs less than copying back and scanning.
const MAX_RESET_PAGES: usize = 4096;

pub(crate) struct Slot {
    // Dropped first, and with it the mappings of what `kept` holds.
    store: Store<Host>,
    memory: Memory,
    turn: TypedFunc<(u32, u32), i32>,
    alloc: TypedFunc<u32, u32>,
    /// Calls a Python object, where the pack can.
    python_call: Option<TypedFunc<u32, u32>>,
    start: Option<TypedFunc<(), ()>>,
    /// The pages that are this slot's own, as of the last look.
    changed: Vec<u32>,
    /// Whether `changed` may lack some: a turn since then has had page faults.
    stale: bool,
    /// What lies over the image as of the last checkpoint; parts of it are mapped.
    kept: Pages,
}

/// What is called in the guest.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    /// What makes the base image.
    Boot,
    /// The runner: its address in the image, or by its name.
    Turn(Option<u32>),
}

/// How a call into the guest ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It returned: the instance is at rest and can go on.
    Returned,
    /// The guest ended its process.
    Exited(i32),
    OutOfFuel,
    Trapped(String),
    Stopped(Stop),
}

impl Slot {
    /// A new instance, holding only what the module's own data segments put there.
    pub(crate) async fn instantiate(engine: &Engine, host: Host) -> Result<Self, SandboxError> {
        let mut store = engine.store(host)?;
        let instance = engine
            .pre
            .instantiate_async(&mut store)
            .await
            .map_err(SandboxError::engine)?;
        meter::attach(&mut store, &instance)?;
        meter::arm(&mut store, None).map_err(SandboxError::engine)?;
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
        let python_call = instance.get_typed_func(&mut store, module::CALL.1).ok();
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
            stale: true,
            kept: Pages::default(),
        })
    }

    /// Runs the reactor's own start: only where no image is restored.
    pub(crate) async fn initialize(&mut self) -> Result<(), SandboxError> {
        let Some(start) = self.start.clone() else {
            return Err(missing("_initialize"));
        };
        start
            .call_async(&mut self.store, ())
            .await
            .map_err(|e| SandboxError::Start(format!("{e:#}")))
    }

    /// Brings a new instance to the image's state and, over it, to that of a checkpoint.
    pub(crate) fn restore(
        &mut self,
        image: &Image,
        over: Option<&Pages>,
    ) -> Result<(), SandboxError> {
        let len = over.map_or(image.len(), |pages| pages.memory_len.max(image.len()));
        let has = self.memory.data_size(&self.store);
        if has > image.len() {
            return Err(SandboxError::Start(
                "the base image is smaller than the module's first memory".into(),
            ));
        }
        let grow = (len - has).div_ceil(64 << 10) as u64;
        self.memory.grow(&mut self.store, grow).map_err(|_| {
            SandboxError::Setting(format!(
                "the session has grown to {} MiB, which is more than the memory limit",
                len.div_ceil(1 << 20)
            ))
        })?;
        let memory = self.memory.data_mut(&mut self.store);
        image
            .lay(memory)
            .map_err(|e| SandboxError::Engine(format!("mapping the base image: {e}")))?;
        if let Some(pages) = over {
            self.kept = pages.clone();
            (pages.apply(memory))
                .map_err(|e| SandboxError::Engine(format!("mapping a checkpoint: {e}")))?;
        }
        Ok(())
    }

    pub(crate) fn host(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    /// Replaces all that the host keeps for the instance.
    pub(crate) fn renew_host(&mut self, new: Host) {
        let host = self.store.data_mut();
        let (memory, alloc) = (host.memory, host.alloc.take());
        let mut meter = new.meter;
        meter.take_over(&host.meter);
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

    /// What a checkpoint keeps. Only at rest.
    pub(crate) fn checkpoint(
        &mut self,
        image: &Image,
    ) -> Result<(Pages, GuestState), SandboxError> {
        let failed = |e| SandboxError::Engine(format!("taking a checkpoint: {e}"));
        let memory = self.memory.data_mut(&mut self.store);
        if self.stale {
            image.changed(memory, &mut self.changed).map_err(failed)?;
            self.stale = false;
        }
        let (pages, mapped) = self.kept.and(memory, &self.changed);
        self.stale |= mapped;
        self.kept = pages.clone();
        Ok((pages, self.store.data().state.clone()))
    }

    /// A SHA-256 of the memory: of the pages in which it differs from the image, as both are the same
    /// everywhere. Only at rest.
    pub(crate) fn fingerprint(&mut self, image: &Image) -> Result<String, SandboxError> {
        let failed = |e| SandboxError::Engine(format!("reading the memory: {e}"));
        let memory = self.memory.data_mut(&mut self.store);
        if self.stale {
            image.changed(memory, &mut self.changed).map_err(failed)?;
            self.stale = false;
        }
        // Pages that are mapped from an earlier checkpoint are not among those that have changed.
        let mut pages: BTreeSet<u32> = self.changed.iter().copied().collect();
        for (first, count) in self.kept.runs() {
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

    /// Puts the image back, so that the slot can serve somebody else. `false`: it cannot, and
    /// must be dropped. Only at rest, never after a trap.
    pub(crate) fn reset(&mut self, image: &Image) -> bool {
        let memory = self.memory.data_mut(&mut self.store);
        if memory.len() != image.len() || self.kept.has_segments() {
            return false;
        }
        self.kept = Pages::default();
        if self.stale {
            if image.changed(memory, &mut self.changed).is_err() {
                return false;
            }
            if self.changed.len() > MAX_RESET_PAGES {
                return image.lay(memory).is_ok();
            }
            self.stale = false;
        }
        image.put_back(memory, &self.changed);
        true
    }

    /// Runs `what` in the guest until it returns or is stopped. Returns how it ended and the fuel it
    /// used.
    pub(crate) async fn call(
        &mut self,
        what: Entry,
        door: Door,
        budget: Option<u64>,
        watch: &Watch,
    ) -> Result<(Ended, u64), SandboxError> {
        self.host().door = door;
        meter::arm(&mut self.store, budget).map_err(SandboxError::engine)?;
        let _under_way = meter::UnderWay::new();
        let (guarded, faults) = guard(self.enter(what), watch).await;
        self.stale |= faults != Some(0);
        let ended = match guarded {
            Err(stop) => Ended::Stopped(stop),
            Ok(Ok(())) => Ended::Returned,
            Ok(Err(error)) => classify(&error),
        };
        Ok((ended, meter::spent(&mut self.store)))
    }

    async fn enter(&mut self, what: Entry) -> wasmtime::Result<()> {
        let source = match (what, &self.python_call) {
            (Entry::Turn(Some(function)), Some(call)) => {
                call.clone().call_async(&mut self.store, function).await?;
                return Ok(());
            }
            (Entry::Turn(_), _) => guest::RUN_TURN,
            (Entry::Boot, _) => guest::BOOT,
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
    SandboxError::Start(format!("its module has no export `{export}`"))
}

fn classify(error: &wasmtime::Error) -> Ended {
    if let Some(ProcessExit(code)) = error.downcast_ref() {
        Ended::Exited(*code)
    } else if let Some(stop) = error.downcast_ref::<Stop>() {
        Ended::Stopped(*stop)
    } else if error.is::<meter::OutOfFuel>() {
        Ended::OutOfFuel
    } else if let Some(trap) = error.downcast_ref::<Trap>() {
        Ended::Trapped(trap.to_string())
    } else {
        Ended::Trapped(format!("{error:#}"))
    }
}
