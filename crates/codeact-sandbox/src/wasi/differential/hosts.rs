//! The two implementations, behind one interface.

use std::sync::LazyLock;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, Val, ValType};
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::p1::WasiP1Ctx;

use crate::fs::vfs::{PackFiles, Quota, layout};
use crate::types::cancellation::Watch;
use crate::types::output::Output;
use crate::types::stdin::Stdin;
use crate::wasi::{Clock, Fds, GuestState, WasiCtx, WasiView};
use codeact_base::event::EventSink;

/// The calls that the module forwards, with their parameters: `i` is `i32`, `I` is `i64`. All return an error number.
/// Source: `wasi_snapshot_preview1.witx`.
const SIGNATURES: [(&str, &str); 38] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_shutdown", "ii"),
];

/// Size of the guest memory, in pages of 64 KiB.
const MEMORY_PAGES: u32 = 8;

/// Returns the module in the text format: it exports a memory, and each call as a function.
fn module_text() -> String {
    let (mut imports, mut functions) = (String::new(), String::new());
    for (name, params) in SIGNATURES {
        let types = params.replace('i', " i32").replace('I', " i64");
        let signature = match params {
            "" => "(result i32)".to_owned(),
            _ => format!("(param{types}) (result i32)"),
        };
        let gets: String = (0..params.len())
            .map(|i| format!("local.get {i} "))
            .collect();
        imports +=
            &format!("(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} {signature}))\n");
        functions += &format!("(func (export \"{name}\") {signature} {gets} call ${name})\n");
    }
    format!("(module {imports} (memory (export \"memory\") {MEMORY_PAGES}) {functions})")
}

/// An implementation of preview 1, with a guest that makes the calls.
pub(super) trait Host {
    /// Makes a call and returns its error number. `Err` is a trap.
    fn call(&mut self, name: &str, args: &[u64]) -> wasmtime::Result<u16>;
    /// Returns the guest memory.
    fn memory(&mut self) -> &mut [u8];
}

/// An instance of the module on one of the implementations.
struct Guest<T: Send + 'static> {
    runtime: Runtime,
    store: Store<T>,
    instance: Instance,
    memory: Memory,
    /// The preopened folder of `wasmtime-wasi`.
    _folder: Option<TempDir>,
}

impl<T: Send + 'static> Guest<T> {
    fn new(linker: &Linker<T>, module: &Module, data: T, folder: Option<TempDir>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let mut store = Store::new(linker.engine(), data);
        let instance = runtime
            .block_on(linker.instantiate_async(&mut store, module))
            .unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Self {
            runtime,
            store,
            instance,
            memory,
            _folder: folder,
        }
    }
}

impl<T: Send + 'static> Host for Guest<T> {
    fn call(&mut self, name: &str, args: &[u64]) -> wasmtime::Result<u16> {
        let func = self.instance.get_func(&mut self.store, name).unwrap();
        let params: Vec<Val> = (func.ty(&self.store).params().zip(args))
            .map(|(ty, arg)| match ty {
                ValType::I64 => Val::I64(*arg as i64),
                _ => Val::I32(*arg as i32),
            })
            .collect();
        let mut results = [Val::I32(0)];
        let call = func.call_async(&mut self.store, &params, &mut results);
        self.runtime.block_on(call)?;
        Ok(results[0].unwrap_i32() as u16)
    }

    fn memory(&mut self) -> &mut [u8] {
        self.memory.data_mut(&mut self.store)
    }
}

/// Store data of this implementation.
struct OwnData {
    memory: Option<Memory>,
    wasi: WasiCtx,
}

impl WasiView for OwnData {
    fn memory(&self) -> Option<Memory> {
        self.memory
    }

    fn wasi(&mut self) -> &mut WasiCtx {
        &mut self.wasi
    }
}

/// The compiled module, shared by all tests.
pub(super) static FACTORY: LazyLock<Factory> = LazyLock::new(Factory::new);

/// Both implementations, each with a new folder that has the folders of a session.
pub(super) struct Hosts {
    pub(super) ours: Box<dyn Host>,
    pub(super) theirs: Box<dyn Host>,
}

/// Creates [`Hosts`] from a module that is compiled once.
pub(super) struct Factory {
    engine: Engine,
    module: Module,
}

impl Factory {
    fn new() -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, wat::parse_str(module_text()).unwrap()).unwrap();
        Self { engine, module }
    }

    pub(super) fn hosts(&self) -> Hosts {
        Hosts {
            ours: Box::new(self.ours()),
            theirs: Box::new(self.theirs()),
        }
    }

    fn ours(&self) -> Guest<OwnData> {
        let tree = layout(&PackFiles { files: Vec::new() }, 0);
        let data = OwnData {
            memory: None,
            wasi: WasiCtx {
                state: GuestState {
                    fds: Fds::new(tree.root(), None, 1024),
                    tree,
                    rng: ChaCha20Rng::from_seed([0; 32]),
                    clock: Clock::running(),
                    stdin: Stdin::default(),
                    stdin_read: 0,
                },
                quota: Quota {
                    bytes: 1 << 40,
                    files: 1 << 20,
                },
                output: Output::new(1 << 20, EventSink::none()),
                watch: Watch::endless(),
                unchecked_work: 0,
            },
        };
        let mut linker = Linker::new(&self.engine);
        crate::wasi::add_to_linker(&mut linker).unwrap();
        let mut guest = Guest::new(&linker, &self.module, data, None);
        guest.store.data_mut().memory = Some(guest.memory);
        guest
    }

    fn theirs(&self) -> Guest<WasiP1Ctx> {
        let folder = scratch();
        for name in ["dev", "home/user", "mnt", "tmp", "usr/local/lib"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let environ = crate::wasi::process::ENVIRON.map(|entry| entry.split_once('=').unwrap());
        let data = wasmtime_wasi::WasiCtxBuilder::new()
            .args(&crate::wasi::process::ARGS)
            .envs(&environ)
            .preopened_dir(folder.path(), "/", FsPerms::ReadWrite)
            .unwrap()
            .allow_blocking_current_thread(true)
            .build_p1();
        let mut linker = Linker::new(&self.engine);
        wasmtime_wasi::p1::add_to_linker_async(&mut linker, |ctx| ctx).unwrap();
        Guest::new(&linker, &self.module, data, Some(folder))
    }
}

/// Returns a temporary folder, in memory if the system supports that.
fn scratch() -> TempDir {
    let shm = std::path::Path::new("/dev/shm");
    match shm.is_dir() {
        true => tempfile::tempdir_in(shm).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}
