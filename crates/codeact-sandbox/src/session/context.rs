//! Context and grants of sessions.

use std::sync::Arc;

use codeact_pack::SitePackage;

use crate::engine::runtime::Runtime;
use crate::fs::mount::Mount;
use crate::fs::vfs::Tree;
use crate::types::limits::Limits;
use crate::types::toolbox::SharedToolbox;

/// Immutable context shared by a sandbox, its sessions and their forks.
#[derive(Clone)]
pub(crate) struct SessionContext {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) grants: Grants,
    /// Limits of turns without limits of their own.
    pub(crate) limits: Limits,
}

/// Mounts, packages and tools that are granted to sessions.
#[derive(Clone)]
pub(crate) struct Grants {
    pub(crate) mounts: Arc<Vec<Mount>>,
    pub(crate) packages: Arc<[SitePackage]>,
    /// Guest folder of the added packages, if there are any.
    pub(crate) site: Option<Arc<str>>,
    /// File tree at the start of a session.
    pub(crate) layout: Tree,
    pub(crate) toolbox: Option<SharedToolbox>,
}
