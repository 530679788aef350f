//! A mounted folder or file of the host in the tree.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fs::vfs::host::{HostFolder, Listing};
use crate::fs::vfs::node::Ino;

#[derive(Debug, Clone)]
pub(crate) struct MountPoint {
    pub(crate) folder: Arc<HostFolder>,
    /// Guest path of the mount.
    pub(crate) guest: Arc<str>,
    pub(crate) root: Ino,
    pub(super) writable: bool,
    /// True if the guest has changed anything in the mount.
    pub(crate) dirty: bool,
    /// Listings of the host's folders, by their path relative to the mount. Changes are relative to them.
    pub(crate) listings: BTreeMap<Arc<str>, Arc<Listing>>,
}
