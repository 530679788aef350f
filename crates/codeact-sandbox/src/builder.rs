//! Builds a sandbox.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use codeact_base::event::EventSink;
use codeact_pack::{Clients, Dirs, InstallOptions, Manifest, Requirement, Store};

use crate::bytecode;
use crate::engine::compiled::Engine;
use crate::engine::runtime::Runtime;
use crate::error::SandboxError;
use crate::fs::mount::Mount;
use crate::fs::site_packages;
use crate::sandbox::Sandbox;
use crate::session::context::{Grants, SessionContext};
use crate::types::limits::Limits;
use crate::types::toolbox::{SharedToolbox, Toolbox};

/// Builds a [`Sandbox`]; see [`Sandbox::builder`].
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{Limits, Mount, Sandbox};
/// use std::time::Duration;
///
/// let sandbox = Sandbox::builder()
///     .package("humanize".parse().expect("a package's name"))
///     .mount(Mount::open("data")?)
///     .limits(Limits::new().with_wall(Duration::from_secs(10)))
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SandboxBuilder {
    pack: String,
    packages: Vec<Requirement>,
    fetch_packages: bool,
    dirs: Option<Dirs>,
    install: InstallOptions,
    limits: Limits,
    mounts: Vec<Mount>,
    toolbox: Option<SharedToolbox>,
    events: EventSink,
}

impl SandboxBuilder {
    pub(crate) fn new() -> Self {
        Self {
            pack: "science".into(),
            packages: Vec::new(),
            fetch_packages: true,
            dirs: None,
            install: InstallOptions::default(),
            limits: Limits::default(),
            mounts: Vec::new(),
            toolbox: None,
            events: EventSink::none(),
        }
    }

    /// Sets the pack. Default: `science`.
    #[must_use]
    pub fn pack(mut self, name: impl Into<String>) -> Self {
        self.pack = name.into();
        self
    }

    /// Adds a pure-Python package and its dependencies to those of the pack. A wheel that is not in the cache is fetched
    /// with the user's package client. Default: none.
    #[must_use]
    pub fn package(mut self, package: Requirement) -> Self {
        self.packages.push(package);
        self
    }

    /// Sets the folders of packs and compiled code. Default: the user's folders.
    #[must_use]
    pub fn dirs(mut self, dirs: Dirs) -> Self {
        self.dirs = Some(dirs);
        self
    }

    /// If true, a missing pack or package is an error. Default: false; it is fetched with the user's package client.
    #[must_use]
    pub fn offline(mut self, offline: bool) -> Self {
        self.install.offline = offline;
        self
    }

    /// If false, a package that is not in the cache is an error, and a missing pack is fetched all the same: its files are
    /// pinned by hash. Default: true.
    #[must_use]
    pub fn fetch_packages(mut self, fetch: bool) -> Self {
        self.fetch_packages = fetch;
        self
    }

    /// Sets the wheel from which a missing pack is installed. Default: none.
    #[must_use]
    pub fn wheel(mut self, path: Option<PathBuf>) -> Self {
        self.install.from = path;
        self
    }

    /// Adds a folder or file of the host. Default: none.
    #[must_use]
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Sets the functions that the code can call. Default: none. Calls run in the tokio runtime of the caller that
    /// runs a turn, which must have its timer and I/O enabled.
    #[must_use]
    pub fn tools(mut self, tools: impl Toolbox) -> Self {
        self.toolbox = Some(SharedToolbox(Arc::new(tools)));
        self
    }

    /// Sets the limits of turns that have none of their own. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the sink of progress events of a first start. Default: none.
    #[must_use]
    pub fn events(mut self, events: EventSink) -> Self {
        self.events = events;
        self
    }

    /// Loads the pack's compiled module and base image. The first time on a machine it installs the pack and makes
    /// them, which takes a minute or two. If the future is dropped, a running package client is stopped.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError`] if a pack, a package or a mount cannot be used, or if CPython does not start.
    pub async fn build(self) -> Result<Sandbox, SandboxError> {
        let cancelled = CancelOnDrop::default();
        let flag = cancelled.0.clone();
        tokio::task::spawn_blocking(move || self.build_with(flag))
            .await
            .map_err(|e| SandboxError::engine("load the pack", e))?
    }

    /// As [`SandboxBuilder::build`], on the calling thread, which must not run async tasks.
    ///
    /// # Errors
    ///
    /// As [`SandboxBuilder::build`].
    pub fn build_blocking(self) -> Result<Sandbox, SandboxError> {
        self.build_with(Arc::default())
    }

    fn build_with(self, cancelled: Arc<AtomicBool>) -> Result<Sandbox, SandboxError> {
        let manifest = Manifest::known(&self.pack)?;
        let dirs = match self.dirs {
            Some(dirs) => dirs,
            None => Dirs::from_env(&|name| std::env::var_os(name))?,
        };
        let clients = Clients::from_env(&|name| std::env::var_os(name)).cancelled_by(cancelled);
        let store = Store::new(dirs, self.events.clone()).with_clients(clients);
        let panicked = |_| SandboxError::engine("load the pack", "a thread panicked");
        let (site, runtime) = std::thread::scope(|scope| {
            // Started first, because it takes longest.
            let engine = scope.spawn(|| Engine::open(manifest, &store));
            let pack = store.ensure(manifest, &self.install)?;
            let offline = self.install.offline || !self.fetch_packages;
            let mut site = store.packages(manifest, &self.packages, offline)?;
            // On a thread of its own: making the image blocks on guest code, which a thread inside an async context
            // must not do.
            let open = || {
                let engine = || engine.join().map_err(panicked)?;
                Runtime::open(pack, &store, engine, &self.events)
            };
            let open = || {
                let runtime = Arc::new(open()?);
                bytecode::add(&mut site, &store, manifest, &runtime, &self.events)?;
                Ok::<_, SandboxError>((site, runtime))
            };
            scope.spawn(open).join().map_err(panicked)?
        })?;
        let mut layout = runtime.layout.clone();
        let grants = Grants {
            mounts: Arc::default(),
            site: site_packages::insert(&site, manifest, &mut layout),
            packages: site.packages.into(),
            layout,
            toolbox: self.toolbox,
            offline: self.install.offline,
        };
        let mut derived = Sandbox::from_context(SessionContext {
            runtime,
            grants,
            limits: self.limits,
        })
        .derive();
        for mount in self.mounts {
            derived = derived.mount(mount);
        }
        derived.build()
    }
}

/// Cancels a build on another thread when its future is dropped.
#[derive(Default)]
pub(crate) struct CancelOnDrop(pub(crate) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
