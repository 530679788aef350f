//! The sandbox, from which callers make sessions.

use codeact_pack::{Pack, SitePackage};

use crate::builder::SandboxBuilder;
use crate::error::SandboxError;
use crate::fs::mount::Mount;
use crate::session::context::SessionContext;
use crate::session::execution::Execution;
use crate::session::handle::{Session, SessionOptions};
use crate::session::turn::Turn;
use crate::snapshot::{SavedSnapshot, Snapshot};
use crate::types::limits::Limits;
use crate::types::toolbox::{SharedToolbox, Toolbox};
use crate::wasi::Clock;

use std::path::Path;
use std::sync::Arc;

/// Runs Python in CPython compiled to WebAssembly. Cheap to clone; clones share the engine, the base image and the
/// guest threads.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::Sandbox;
///
/// let sandbox = Sandbox::new().await?;
/// let execution = sandbox.run("print('hello'); 6 * 7").await?;
/// assert_eq!(execution.stdout.text, "hello\n");
/// assert_eq!(execution.result.as_deref(), Some("42"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sandbox {
    context: SessionContext,
}

impl Sandbox {
    /// Returns a sandbox with every default.
    ///
    /// # Errors
    ///
    /// As [`SandboxBuilder::build`].
    pub async fn new() -> Result<Self, SandboxError> {
        Self::builder().build().await
    }

    /// Returns a builder with the defaults: the pack `science`, installed if it is missing, in the user's data and
    /// cache folders (or below `CODEACT_HOME`); [`Limits::default`]; no events. A session can reach nothing of the
    /// host: no environment, no files, no network, no stdin, no tools, and clocks of 20 µs.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::new()
    }

    pub(crate) fn from_context(context: SessionContext) -> Self {
        Self { context }
    }

    pub(crate) fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Returns a builder of a sandbox that shares engine and base image with this one and has further grants or other
    /// limits. This one stays as it is, so that each piece of work can have grants of its own. Costs microseconds.
    pub fn derive(&self) -> DerivedBuilder {
        DerivedBuilder {
            context: self.context.clone(),
            mounts: Vec::new(),
        }
    }

    /// Runs `turn` in a fresh session that ends with it.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError`] if the host cannot run it. A failure of the code is an [`Execution`], not an error.
    pub async fn run(&self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        let job = self.session()?.into_single(turn.into());
        self.context.runtime.guest.spawn(job).await
    }

    /// As [`Sandbox::run`], on the calling thread.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::run`], and [`SandboxError::BlockingInAsync`] if the thread runs async tasks.
    pub fn run_blocking(&self, turn: impl Into<Turn>) -> Result<Execution, SandboxError> {
        let job = self.session()?.into_single(turn.into());
        self.context.runtime.guest.block_on(job)?
    }

    /// Returns a session: its variables and files last from turn to turn. It costs nothing until it runs.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError`] if the operating system provides no randomness.
    pub fn session(&self) -> Result<Session, SandboxError> {
        self.session_with(&SessionOptions::default())
    }

    /// As [`Sandbox::session`], with `options`.
    ///
    /// # Errors
    ///
    /// As [`Sandbox::session`].
    pub fn session_with(&self, options: &SessionOptions) -> Result<Session, SandboxError> {
        Session::new(self.context.clone(), options)
    }

    /// Returns the tools that its sessions can call, if any were granted.
    pub fn toolbox(&self) -> Option<&dyn Toolbox> {
        (self.context.grants.toolbox.as_ref()).map(|toolbox| &*toolbox.0)
    }

    /// Returns the packages that were added to those of the pack, with their dependencies.
    pub fn packages(&self) -> &[SitePackage] {
        &self.context.grants.packages
    }

    /// Returns the granted folders and files of the host.
    pub fn mounts(&self) -> &[Mount] {
        &self.context.grants.mounts
    }

    /// Returns the pack: its Python version and packages.
    pub fn pack(&self) -> &Pack {
        &self.context.runtime.pack
    }

    /// Returns the size of the memory with which each session starts, in bytes. Sessions share it until they change it.
    pub fn base_memory(&self) -> u64 {
        self.context.runtime.image.len() as u64
    }

    /// Returns the limits of turns that have none of their own.
    pub fn limits(&self) -> &Limits {
        &self.context.limits
    }
}

/// Builds a sandbox from another one; see [`Sandbox::derive`].
#[derive(Clone)]
#[must_use]
pub struct DerivedBuilder {
    context: SessionContext,
    mounts: Vec<Mount>,
}

impl DerivedBuilder {
    /// Adds a folder or file of the host.
    pub fn mount(mut self, mount: Mount) -> Self {
        self.mounts.push(mount);
        self
    }

    /// Sets the functions that the code can call, in place of earlier ones. Calls run in the tokio runtime of the
    /// caller that runs a turn, which must have its timer and I/O enabled.
    pub fn tools(mut self, tools: impl Toolbox) -> Self {
        self.context.grants.toolbox = Some(SharedToolbox(Arc::new(tools)));
        self
    }

    /// Sets the limits of turns that have none of their own.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.context.limits = limits;
        self
    }

    /// Returns the sandbox.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Mount`] if the guest path of a mount is in use.
    pub fn build(self) -> Result<Sandbox, SandboxError> {
        let Self {
            mut context,
            mounts,
        } = self;
        for mount in mounts {
            mount.attach(&mut context.grants.layout, Clock::Frozen.realtime())?;
            Arc::make_mut(&mut context.grants.mounts).push(mount);
        }
        Ok(Sandbox { context })
    }
}

impl Session {
    /// Moves the session to `sandbox`, for example to one with more packages or other tools: its limits and tools become
    /// those of `sandbox`, and the code can import its packages. Variables, files and modules that were imported stay.
    /// Packages that only the earlier sandbox had stay too. Snapshots that were taken before belong to the earlier
    /// sandbox.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Setting`] if the sandboxes do not share an engine (see [`Sandbox::derive`] and
    /// [`Sandbox::with_packages`]) or have different mounts, if the session has packages that `sandbox` lacks and another
    /// version of one that it has, or if the session is recorded or replayed.
    pub fn use_sandbox(&mut self, sandbox: &Sandbox) -> Result<(), SandboxError> {
        self.move_to(sandbox.context())
    }
}

impl Snapshot {
    /// Reads a file that [`Snapshot::save`] has written, to go on in `sandbox`, with its limits, mounts and packages.
    /// The file is untrusted.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Snapshot`] if it is not a snapshot, is damaged, was made with another pack or version,
    /// or exceeds the sandbox's limits; [`SandboxError::Io`].
    pub fn load(sandbox: &Sandbox, path: impl AsRef<Path>) -> Result<Self, SandboxError> {
        Ok(Self::load_in(sandbox.context(), path.as_ref(), None)?.0)
    }

    /// Reads a file that [`Snapshot::save_over`] has written on top of `below`. For `codeact-sessions`.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`].
    #[doc(hidden)]
    pub fn load_over(
        sandbox: &Sandbox,
        path: &Path,
        below: Option<&SavedSnapshot>,
    ) -> Result<(Self, SavedSnapshot), SandboxError> {
        Self::load_in(sandbox.context(), path, below)
    }
}
