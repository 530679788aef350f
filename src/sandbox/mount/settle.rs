//! After a commit: what was written is the host's now, and the tree stands on it.

use super::changes::{Change, Changes};
use crate::sandbox::vfs::Tree;

/// Makes the tree of a session whose `changes` were written show them as the host's.
pub(in crate::sandbox) fn settle(tree: &mut Tree, changes: &Changes) {
    let written = || changes.to_commit().filter_map(|c| Some((c, c.mount?)));
    for (change, mount) in written() {
        let Change { path, folder, .. } = change;
        let now = folder.as_ref().and_then(|folder| {
            let meta = folder.meta(path).ok()?;
            change.new.is_some().then(|| (folder.clone(), meta))
        });
        tree.settle(mount, path, now);
    }
    let mut mounts: Vec<_> = written().map(|(_, mount)| mount).collect();
    mounts.dedup();
    for mount in mounts {
        tree.settled(mount);
    }
}
