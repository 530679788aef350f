//! Rebasing a tree after a commit: the written files are the host's now.

use crate::fs::mount::change::Change;
use crate::fs::mount::changes::Changes;
use crate::fs::vfs::Tree;

/// Updates the tree after its `changes` were written, so that they are no longer changes.
pub(crate) fn rebase(tree: &mut Tree, changes: &Changes) {
    let written = || changes.to_commit().filter_map(|c| Some((c, c.mount?)));
    for (change, mount) in written() {
        let Change { path, folder, .. } = change;
        let now = folder.as_ref().and_then(|folder| {
            let meta = folder.meta(path).ok()?;
            change.new.is_some().then(|| (folder.clone(), meta))
        });
        tree.rebase_path(mount, path, now);
    }
    let mut mounts: Vec<_> = written().map(|(_, mount)| mount).collect();
    mounts.dedup();
    for mount in mounts {
        tree.mark_clean(mount);
    }
}
