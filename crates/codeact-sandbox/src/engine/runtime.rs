//! Resources that all sessions of one sandbox share: the engine, the base image, the files of the pack, the threads
//! that run guests, and pooled slots.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::engine::compiled::Engine;
use crate::engine::guest_threads::GuestThreads;
use crate::engine::{cache, image};
use crate::error::SandboxError;
use crate::fs::vfs;
use crate::fs::vfs::{PackFile, PackFiles, Quota, Tree};
use crate::hostcall::HostCalls;
use crate::instance::host::Host;
use crate::instance::memory::{Image, Pages};
use crate::instance::memory_limiter::MemoryLimiter;
use crate::instance::meter::Meter;
use crate::instance::slot::Slot;
use crate::remote_traceback;
use crate::remote_traceback::Offsets;
use crate::types::cancellation::Watch;
use crate::types::limits::Limits;
use crate::types::output::Output;
use crate::types::stdin::Stdin;
use crate::types::traceback::Traceback;
use crate::wasi::{Clock, WasiCtx};
use crate::wasi::{Fds, GuestState};
use codeact_base::event::EventSink;
use codeact_pack::{Pack, Store};

/// Folder of matplotlib's data in the tree. The guest reaches it through a preopened descriptor, at a path of the pack's
/// manifest inside the archive of the standard library. A plain folder at that path would hide the archive's package
/// `matplotlib` from Python's importer.
const DATA_DIR: &str = "/usr/local/share/pack-data";

/// Limit of the pooled slots.
const MAX_IDLE_SLOTS: usize = 16;

/// Resources of one sandbox, shared by its sessions.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) image: Image,
    /// Address of the runner's function in the image, if it is known.
    pub(crate) runner: Option<u32>,
    pub(crate) pack: Pack,
    /// The folders of the pack, for packages that are added later.
    pub(crate) store: Store,
    pub(crate) guest: GuestThreads,
    /// The tree without mounts and added packages.
    pub(crate) layout: Tree,
    /// Guest path of the pack's data folder.
    data_path: Option<Arc<str>>,
    idle: Mutex<Vec<Slot>>,
    image_path: PathBuf,
    image_id: OnceLock<String>,
    /// Set when the first turn is stopped.
    offsets: OnceLock<Option<Offsets>>,
}

impl Runtime {
    /// Returns the name of the base image: a hash, in hexadecimal, of all its inputs.
    pub(crate) fn image_name(&self) -> String {
        let name = image::file_name(&self.pack);
        name.chars().filter(char::is_ascii_alphanumeric).collect()
    }

    /// Loads the resources of a sandbox of `pack`, and makes those that are missing. `engine` returns the result of
    /// [`Engine::open`]. Blocks; on the first start for a minute or two.
    pub(crate) fn open(
        pack: Pack,
        store: &Store,
        engine: impl FnOnce() -> Result<Option<Engine>, SandboxError>,
        events: &EventSink,
    ) -> Result<Self, SandboxError> {
        let guest = GuestThreads::start()?;
        let cache = store.prepare_cache(&pack.manifest)?;
        let layout = layout(&pack)?;
        let data_path = pack.unpacked().next().map(|(_, guest)| Arc::from(guest));
        let image_path = cache.join(image::file_name(&pack));
        let engine = engine()?;
        let complete = image_path.exists() && engine.is_some();
        // Of two processes that start at the same time, one makes the files. If they exist, no process waits.
        let _lock = (!complete).then(|| cache::lock(&cache)).transpose()?;
        let engine = match engine {
            Some(engine) => engine,
            None => Engine::load(&pack, &cache, events)?,
        };
        let (image, runner) = open_image(
            &engine,
            &pack,
            &cache,
            &layout,
            data_path.as_ref(),
            &guest,
            events,
        )?;
        Ok(Self {
            engine,
            image,
            runner,
            pack,
            store: store.clone(),
            guest,
            layout,
            data_path,
            idle: Mutex::new(Vec::new()),
            image_path,
            image_id: OnceLock::new(),
            offsets: OnceLock::new(),
        })
    }

    /// Returns the SHA-256 of the base image.
    pub(crate) fn image_id(&self) -> Result<String, SandboxError> {
        if let Some(id) = self.image_id.get() {
            return Ok(id.clone());
        }
        let id = image::id(&self.image, &self.image_path)?;
        Ok(self.image_id.get_or_init(|| id).clone())
    }

    /// Returns the host state of a new session that starts with the tree `layout`.
    pub(crate) fn fresh_state(
        &self,
        layout: &Tree,
        limits: &Limits,
        seed: Option<u64>,
    ) -> Result<GuestState, SandboxError> {
        fresh_state(
            layout,
            self.data_path.as_ref(),
            limits,
            Clock::running(),
            seed,
        )
    }

    /// Returns a slot at the base image, from the pool if it has one.
    pub(crate) async fn fresh_slot(
        &self,
        limits: &Limits,
        state: GuestState,
    ) -> Result<Slot, SandboxError> {
        self.check_memory(limits)?;
        let pooled = self.idle().pop();
        match pooled {
            Some(mut slot) => {
                slot.renew_host(new_host(limits, state));
                Ok(slot)
            }
            None => self.new_slot(limits, state, None).await,
        }
    }

    /// Returns a new slot at the base image with the pages `over` on top.
    pub(crate) async fn new_slot(
        &self,
        limits: &Limits,
        state: GuestState,
        over: Option<&Pages>,
    ) -> Result<Slot, SandboxError> {
        self.check_memory(limits)?;
        let mut host = new_host(limits, state);
        // A session that has grown under a larger limit can run, but cannot grow further.
        let grown = over.map_or(0, |pages| pages.memory_len as u64);
        host.limiter.max = limits.memory.max(grown);
        let mut slot = Slot::instantiate(&self.engine, host).await?;
        slot.restore(&self.image, over)?;
        Ok(slot)
    }

    /// Returns the traceback of a stopped guest from its `memory`; `source` is the code of its turn.
    pub(crate) fn traceback(&self, memory: &[u8], source: &str) -> Option<Traceback> {
        let find = || Offsets::find(self.image.bytes());
        let offsets = self.offsets.get_or_init(find).as_ref()?;
        remote_traceback::traceback(offsets, memory, source)
    }

    fn check_memory(&self, limits: &Limits) -> Result<(), SandboxError> {
        let needed = self.image.len() as u64;
        if limits.memory >= needed {
            return Ok(());
        }
        Err(SandboxError::setting(format!(
            "the memory limit of {} MiB is less than the {} MiB of the interpreter with its preloaded packages; raise \
             it, for example to 256 MiB",
            limits.memory >> 20,
            needed.div_ceil(1 << 20)
        )))
    }

    /// Resets a slot that is at rest, and returns it to the pool.
    pub(crate) fn recycle(&self, mut slot: Slot) {
        if slot.reset(&self.image) {
            // The host state also has files, stdin and randomness of the last session.
            let limits = Limits::default();
            match fresh_state(&self.layout, None, &limits, Clock::Frozen, Some(0)) {
                Ok(state) => slot.renew_host(new_host(&limits, state)),
                Err(_) => return,
            }
            let mut idle = self.idle();
            if idle.len() < MAX_IDLE_SLOTS {
                idle.push(slot);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Slot>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_image(
    engine: &Engine,
    pack: &Pack,
    cache: &Path,
    layout: &Tree,
    data_path: Option<&Arc<str>>,
    guest: &GuestThreads,
    events: &EventSink,
) -> Result<(Image, Option<u32>), SandboxError> {
    let limits = Limits::default();
    let state = fresh_state(layout, data_path, &limits, Clock::Frozen, Some(0))?;
    let host = || new_host(&limits, state);
    guest.block_on(image::open(engine, pack, cache, host, events))?
}

fn new_host(limits: &Limits, state: GuestState) -> Host {
    Host {
        limiter: MemoryLimiter {
            max: limits.memory,
            peak: 0,
        },
        meter: Meter::new(),
        memory: None,
        alloc: None,
        wasi: WasiCtx {
            state,
            quota: Quota::from_limits(limits),
            output: Output::new(limits.output, EventSink::none()),
            watch: Watch::endless(),
            unchecked_work: 0,
        },
        host_calls: HostCalls::default(),
    }
}

fn fresh_state(
    layout: &Tree,
    data_path: Option<&Arc<str>>,
    limits: &Limits,
    clock: Clock,
    seed: Option<u64>,
) -> Result<GuestState, SandboxError> {
    let mut tree = layout.clone();
    let data = data_path
        .zip(tree.lookup(tree.root(), DATA_DIR, true).ok())
        .map(|(path, ino)| (ino, path.clone()));
    Ok(GuestState {
        fds: Fds::new(tree.root(), data, limits.open_files),
        tree,
        rng: match seed {
            Some(seed) => ChaCha20Rng::seed_from_u64(seed),
            None => ChaCha20Rng::from_seed(os_seed()?),
        },
        clock,
        stdin: Stdin::default(),
        stdin_read: 0,
    })
}

fn os_seed() -> Result<[u8; 32], SandboxError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|e| SandboxError::engine("read randomness from the system", e.to_string()))?;
    Ok(seed)
}

/// Opens the pack's files and returns the tree with which every session starts.
fn layout(pack: &Pack) -> Result<Tree, SandboxError> {
    let stdlib = pack.stdlib_path();
    let archive = PackFile::open(&stdlib).map_err(|e| SandboxError::io("open", &stdlib, e))?;
    let mut files = vec![(pack.manifest.guest.stdlib.clone(), Arc::new(archive))];
    for (dir, _) in pack.unpacked() {
        list_files(&dir, DATA_DIR, &mut files).map_err(|e| SandboxError::io("list", &dir, e))?;
    }
    let now = Clock::Frozen.realtime();
    Ok(vfs::layout(&PackFiles { files }, now))
}

fn list_files(
    dir: &Path,
    guest: &str,
    into: &mut Vec<(String, Arc<PackFile>)>,
) -> std::io::Result<()> {
    // The order of a folder differs between file systems, and that of the tree is part of the base image.
    let mut entries: Vec<_> = std::fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let path = format!("{guest}/{}", name.to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list_files(&entry.path(), &path, into)?;
        } else if kind.is_file() {
            let len = entry.metadata()?.len();
            into.push((path, Arc::new(PackFile::lazy(entry.path(), len))));
        }
    }
    Ok(())
}
