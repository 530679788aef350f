//! The wasm engine and the pack's module, compiled once per (pack, engine, CPU, settings).
//!
//! Security boundary: compiled code is trusted like the host's own. It is written here only, into a folder that is
//! private to the user, and this is the only place that maps it.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::{Collector, Config, InstancePre, Linker, Module, WasmFeatures};

use crate::engine::cache;
use crate::error::SandboxError;
use crate::instance::host::Host;
use crate::instance::meter;
use crate::{hostcall, wasi};
use codeact_base::event::{Event, EventSink, Progress, SetupStage};
use codeact_base::text::hex;
use codeact_pack::{Manifest, Pack, Store};

/// Native stack for guest code, in bytes. CPython recurses deeply in C; with this size it reaches its own limits before the
/// end of the stack: those of recursion that it guards (see `stack_depth` of the meter), and, for recursion that it does
/// not guard on any platform, such as hashing nested tuples, a hundred thousand levels. Only pages that are used take
/// memory, and they are returned to the system after the call.
const WASM_STACK: usize = 64 << 20;
/// Additional native stack for host calls, in bytes.
const HOST_STACK: usize = 2 << 20;

/// Version of the compiled code. Incremented if it changes in a way that the engine's settings do not show.
const FORMAT: u32 = 15;
/// Prefix of the names of compiled modules.
const KIND: &str = "module-";

/// How the pack's code is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Metering {
    Points,
    /// Not at all. `scripts/bench` measures the cost of meter points with it.
    #[cfg(codeact_bench)]
    None,
    /// By the engine, per instruction. `scripts/bench` compares with it.
    #[cfg(codeact_bench)]
    Fuel,
}

#[cfg(not(codeact_bench))]
fn metering() -> Metering {
    Metering::Points
}

/// Returns the setting in `CODEACT_BENCH_METER`, in a build for benchmarks only.
#[cfg(codeact_bench)]
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
        // The branch of a meter point to the host is marked as unlikely.
        .wasm_branch_hinting(true)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        // Its default depends on a feature of wasmtime that a test enables. With a fixed value, all builds use the same
        // compiled module.
        .wasm_features(WasmFeatures::COMPONENT_MODEL, false)
        .relaxed_simd_deterministic(true)
        // Otherwise the bits of a NaN depend on the processor, and a replay on another one diverges.
        .cranelift_nan_canonicalization(true)
        .collector(Collector::DeferredReferenceCounting)
        // The base image is mapped at the memory's address.
        .memory_may_move(false)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        // Frames of the interpreter's C code are of no use to a user, and walking them costs time.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    // Only the engine itself unwinds through the guest's frames.
    #[cfg(not(windows))]
    config.native_unwind_info(false);
    #[cfg(codeact_bench)]
    config.consume_fuel(metering() == Metering::Fuel);
    #[cfg(unix)]
    config.with_host_stack(std::sync::Arc::new(super::stacks::Stacks::default()));
    config
}

impl Engine {
    /// Loads the compiled module of `manifest`'s pack. Returns `None` if there is no valid one.
    pub(crate) fn open(manifest: &Manifest, store: &Store) -> Result<Option<Self>, SandboxError> {
        let engine = wasmtime::Engine::new(&config()).map_err(engine_error)?;
        let path = compiled_path(&engine, manifest, &store.cache_dir(manifest));
        if !path.exists() {
            return Ok(None);
        }
        // Verifies that no other user can write to the folder.
        store.prepare_cache(manifest)?;
        Ok(Self::map(&engine, &path).ok())
    }

    /// Loads the compiled module from the folder `cache`. If there is no valid one, compiles it first.
    ///
    /// The caller holds the folder's lock, so that two processes do not compile at the same time.
    pub(crate) fn load(
        pack: &Pack,
        cache: &Path,
        events: &EventSink,
    ) -> Result<Self, SandboxError> {
        let engine = wasmtime::Engine::new(&config()).map_err(engine_error)?;
        let path = compiled_path(&engine, &pack.manifest, cache);
        if path.exists() {
            if let Ok(loaded) = Self::map(&engine, &path) {
                return Ok(loaded);
            }
            // It is damaged, for example because the disk was full. It is compiled again.
            let _ = std::fs::remove_file(&path);
        }
        cache::tidy(cache, KIND);
        compile(&engine, pack, &path, events)?;
        Self::map(&engine, &path).map_err(engine_error)
    }

    /// Maps the module that `compile` wrote to `path`, and links it with the host's functions.
    fn map(engine: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Self> {
        // SAFETY: `compile` wrote the file under this name, atomically by rename, into a folder that only this user can
        // write to (`Store::prepare_cache` refuses any other). A file from elsewhere is never mapped. The engine checks
        // that its version and settings match.
        let module = unsafe { Module::deserialize_file(engine, path) }?;
        let mut linker = Linker::new(engine);
        wasi::add_to_linker(&mut linker)?;
        hostcall::add_to_linker(&mut linker)?;
        meter::add_to_linker(&mut linker)?;
        Ok(Self {
            engine: engine.clone(),
            pre: linker.instantiate_pre(&module)?,
        })
    }

    /// Returns a store for one instance.
    pub(crate) fn store(&self, host: Host) -> Result<wasmtime::Store<Host>, SandboxError> {
        let mut store = wasmtime::Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limiter);
        #[cfg(codeact_bench)]
        if metering() == Metering::Fuel {
            store
                .set_fuel(u64::MAX)
                .and_then(|()| store.fuel_async_yield_interval(Some(2_000_000)))
                .map_err(engine_error)?;
        }
        Ok(store)
    }
}

/// Returns the path of the compiled module. Its name is a hash of all inputs of the compilation. The engine's
/// compatibility hash covers the engine's version, the CPU's features and the settings.
fn compiled_path(engine: &wasmtime::Engine, manifest: &Manifest, cache: &Path) -> PathBuf {
    let mut hash = Sha256Hasher(Sha256::new());
    FORMAT.hash(&mut hash);
    metering().hash(&mut hash);
    engine.precompile_compatibility_hash().hash(&mut hash);
    let pack = manifest.hash();
    cache.join(format!(
        "{KIND}{}-{}.cwasm",
        &pack[..pack.len().min(16)],
        hex(&hash.0.finalize()[..8])
    ))
}

/// Feeds `Hash` values to SHA-256. The algorithm of the standard library's hasher may change between releases, and the
/// file is used by later builds.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        0
    }
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
    let wasm = pack.module()?;
    let wasm = codeact_meter::metered(&wasm, metering() == Metering::Points)
        .map_err(|e| SandboxError::engine(format!("prepare {}", path.display()), e))?;
    let code = engine.precompile_module(&wasm).map_err(engine_error)?;
    codeact_base::atomic_file::write(to, &code).map_err(|e| SandboxError::io("write", to, e))?;
    progress(Progress::Finished);
    Ok(())
}

fn engine_error(error: wasmtime::Error) -> SandboxError {
    SandboxError::engine("use the WebAssembly engine", error)
}
