//! The wasm engine and the pack's module, compiled once per (pack, engine, CPU, settings).
//!
//! Compiled code is trusted as the host's own, so it is only ever made here, into a folder
//! private to the user, and loaded from there: the one place that maps compiled code.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use wasmtime::{Collector, Config, InstancePre, Linker, Module};

use super::error::SandboxError;
use super::host::Host;
use super::{cache, door, meter, wasi};
use crate::event::{Event, EventSink, Progress, SetupStage};
use crate::pack::{Manifest, Pack, Store, module};

/// Native stack for the guest's code. CPython recurses deeply in C: with this much it meets its
/// own recursion limits before the stack's.
const WASM_STACK: usize = 16 << 20;
/// Native stack on top of it for the host's calls.
const HOST_STACK: usize = 2 << 20;

/// Raised when what is compiled changes in a way the engine's settings do not show.
const FORMAT: u32 = 11;
/// What the names of compiled modules begin with.
const KIND: &str = "module-";

/// How the pack's code is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Metering {
    Points,
    /// Not at all: for `scripts/bench`, to tell what the points cost.
    #[cfg(feature = "bench")]
    None,
    /// By the engine, an instruction at a time: for `scripts/bench`, to compare with.
    #[cfg(feature = "bench")]
    Fuel,
}

#[cfg(not(feature = "bench"))]
fn metering() -> Metering {
    Metering::Points
}

/// What `CODEACT_BENCH_METER` says, in a build that is only for measuring.
#[cfg(feature = "bench")]
fn metering() -> Metering {
    match std::env::var("CODEACT_BENCH_METER").as_deref() {
        Ok("none") => Metering::None,
        Ok("fuel") => Metering::Fuel,
        _ => Metering::Points,
    }
}

/// A compiled pack, ready to be instantiated.
pub(crate) struct Engine {
    engine: wasmtime::Engine,
    pub(crate) pre: InstancePre<Host>,
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_exceptions(true)
        // A meter point's way to the host is the unlikely one.
        .wasm_branch_hinting(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .relaxed_simd_deterministic(true)
        // Else a NaN's bits are the processor's, and a replay elsewhere not the same.
        .cranelift_nan_canonicalization(true)
        .collector(Collector::DeferredReferenceCounting)
        // A base image is mapped at the memory's address, so it must stay.
        .memory_may_move(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        // Frames of the interpreter tell a user nothing, and walking them costs time.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    // Nothing unwinds through the guest's frames but the engine itself.
    #[cfg(not(windows))]
    config.native_unwind_info(false);
    #[cfg(feature = "bench")]
    config.consume_fuel(metering() == Metering::Fuel);
    #[cfg(unix)]
    config.with_host_stack(std::sync::Arc::new(super::stacks::Stacks::default()));
    config
}

impl Engine {
    /// Loads what was compiled of `manifest`'s pack, if it is there and whole.
    pub(crate) fn open(manifest: &Manifest, store: &Store) -> Result<Option<Self>, SandboxError> {
        let engine = wasmtime::Engine::new(&config()).map_err(SandboxError::engine)?;
        let path = compiled_path(&engine, manifest, &store.cache_dir(manifest));
        if !path.exists() {
            return Ok(None);
        }
        // Only from here on is it sure that nobody else has put it there.
        store.prepare_cache(manifest)?;
        Ok(Self::map(&engine, &path).ok())
    }

    /// Loads the compiled pack from `cache`, or compiles it there first.
    ///
    /// The caller holds the pack's lock, so that two processes do not compile at once.
    pub(crate) fn load(
        pack: &Pack,
        cache: &Path,
        events: &EventSink,
    ) -> Result<Self, SandboxError> {
        let engine = wasmtime::Engine::new(&config()).map_err(SandboxError::engine)?;
        let path = compiled_path(&engine, &pack.manifest, cache);
        if path.exists() {
            if let Ok(loaded) = Self::map(&engine, &path) {
                return Ok(loaded);
            }
            // Damaged, e.g. by a full disk: make it anew rather than fail for ever.
            let _ = std::fs::remove_file(&path);
        }
        cache::tidy(cache, KIND);
        compile(&engine, pack, &path, events)?;
        Self::map(&engine, &path).map_err(SandboxError::engine)
    }

    /// Maps what `compile` wrote to `path`, and links it with what the host gives.
    fn map(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Self> {
        // SAFETY: the file was written by `compile` under this name, whole, by rename, into a folder
        // that only this user can write to (`Store::prepare_cache` refuses any other); it is never
        // taken from elsewhere. The engine checks that its own version and settings match.
        let module = unsafe { Module::deserialize_file(engine, path) }?;
        let mut linker = Linker::new(engine);
        wasi::add_to_linker(&mut linker)?;
        door::add_to_linker(&mut linker)?;
        meter::add_to_linker(&mut linker)?;
        Ok(Self {
            engine: engine.clone(),
            pre: linker.instantiate_pre(&module)?,
        })
    }

    /// A store for one instance.
    pub(crate) fn store(&self, host: Host) -> Result<wasmtime::Store<Host>, SandboxError> {
        let mut store = wasmtime::Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limiter);
        #[cfg(feature = "bench")]
        if metering() == Metering::Fuel {
            store
                .set_fuel(u64::MAX)
                .and_then(|()| store.fuel_async_yield_interval(Some(2_000_000)))
                .map_err(SandboxError::engine)?;
        }
        Ok(store)
    }
}

/// The file's name carries all that the code depends on: the engine's version, the CPU's features
/// and the settings are in its compatibility hash.
fn compiled_path(engine: &wasmtime::Engine, manifest: &Manifest, cache: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    FORMAT.hash(&mut hasher);
    metering().hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let pack = manifest.hash();
    cache.join(format!(
        "{KIND}{}-{:016x}.cwasm",
        &pack[..pack.len().min(16)],
        hasher.finish()
    ))
}

fn compile(
    engine: &wasmtime::Engine,
    pack: &Pack,
    to: &Path,
    events: &EventSink,
) -> Result<(), SandboxError> {
    let progress = |progress| {
        events.emit(Event::Setup {
            stage: SetupStage::Compile,
            progress,
        });
    };
    progress(Progress::Started { total: None });
    let path = pack.module_path();
    let wasm = std::fs::read(&path).map_err(|e| SandboxError::io("read", &path, e))?;
    let wasm = module::metered(&wasm, metering() == Metering::Points)
        .map_err(|e| SandboxError::Engine(format!("preparing {}: {e}", path.display())))?;
    let code = engine
        .precompile_module(&wasm)
        .map_err(SandboxError::engine)?;
    cache::write_whole(to, &code)?;
    progress(Progress::Finished);
    Ok(())
}
