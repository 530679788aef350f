//! Context and grants of sessions.

use std::sync::Arc;

use codeact_pack::SitePackage;

use crate::engine::runtime::Runtime;
use crate::error::SandboxError;
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
    /// True if nothing may be fetched for it.
    pub(crate) offline: bool,
}

impl Grants {
    /// Returns the grants of `new`, with the packages of these that `new` does not have.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Setting`] if both have a package in different versions and `new` lacks another one: the
    /// versions of a package are not mixed.
    pub(crate) fn moved_to(&self, new: &Self) -> Result<Self, SandboxError> {
        let find = |name: &str| new.packages.iter().find(|package| package.name == name);
        let lacking: Vec<_> = (self.packages.iter())
            .filter(|package| find(&package.name).is_none())
            .cloned()
            .collect();
        if lacking.is_empty() {
            return Ok(new.clone());
        }
        for old in self.packages.iter() {
            if let Some(package) = find(&old.name)
                && package.sha256 != old.sha256
            {
                return Err(SandboxError::setting(format!(
                    "the session has {} {} and other packages, the sandbox has {} of it and lacks {}; expected a \
                     sandbox with all packages of the session",
                    old.name, old.version, package.version, lacking[0].name
                )));
            }
        }
        let mut grants = new.clone();
        let mut packages = [&new.packages[..], &lacking].concat();
        packages.sort_by(|one, other| one.name.cmp(&other.name));
        grants.packages = packages.into();
        grants.site = self.site.clone().or(grants.site);
        if let Some(site) = &grants.site {
            grants.layout.copy_packages(site, &self.layout, true, 0);
        }
        Ok(grants)
    }
}
