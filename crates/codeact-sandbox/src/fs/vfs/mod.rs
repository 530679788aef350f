//! File tree of the guest, in the host's memory.
//!
//! Guest paths are resolved in this tree only, so no action of the guest opens a path of the host. The pack's files are
//! read-only and read through handles that were opened when the sandbox was made. Mounted host folders are read through
//! a capability handle, which only `host` uses. The tree is persistent: a copy, as a checkpoint takes it, costs one
//! reference until one side writes.
//!
//! `tree` has all nodes and counts, `node` is one node and the table of them, `content` the bytes of a file,
//! `pack_file` and `host_file` files outside the tree. `walk` resolves paths, `names` and `files` are the operations on
//! names and on file content, `whole` those of the caller on whole files and folders, `packages` copies read-only
//! packages into a tree that exists, `mounts` and `mount_point` the mounted folders. `data` is the form of the guest's files
//! in a snapshot. This file has the initial layout.

mod content;
mod data;
mod files;
pub(crate) mod filetype;
mod host;
mod host_file;
mod mount_point;
mod mounts;
mod names;
mod node;
mod pack_file;
mod packages;
mod paths;
mod tree;
mod walk;
mod whole;

#[cfg(test)]
#[cfg(unix)]
mod native_tests;
#[cfg(test)]
mod tests;

pub(crate) use content::{Chunk, Content};
pub(crate) use data::{FdTarget, RestoredInos, TreeData};
pub(crate) use host::{HostFolder, HostKind, HostMeta};
pub(crate) use host_file::HostFile;
pub(crate) use mount_point::MountPoint;
pub(crate) use node::{DirEntry, Ino, Kind, Stat};
pub(crate) use pack_file::PackFile;
pub(crate) use paths::{HOME, join_path};
pub(crate) use tree::{Quota, Tree};
pub(crate) use whole::Named;

use std::sync::Arc;

use node::ROOT;
use paths::TMP;

/// Files of the pack, opened once per process and shared by all sandboxes.
pub(crate) struct PackFiles {
    /// Absolute guest path and content of each file.
    pub(crate) files: Vec<(String, Arc<PackFile>)>,
}

/// Names of the home folder in notebooks and other sandboxes, which code uses out of habit. They are not listed, and a
/// mount can take their place.
const HOME_ALIASES: [&str; 3] = ["/mnt/data", "/content", "/workspace"];

/// Returns the tree that every session starts with.
pub(crate) fn layout(pack: &PackFiles, now: u64) -> Tree {
    let mut tree = Tree::new(now);
    for (path, file) in &pack.files {
        tree.insert_read_only(path, Kind::Pack(file.clone()));
    }
    for dir in ["/mnt", "/dev", "/usr/local/lib"] {
        tree.ensure_dir(dir);
    }
    tree.insert_read_only("/dev/null", Kind::Null);
    for dir in [HOME, TMP] {
        let ino = tree.ensure_dir(dir);
        if let Ok(node) = tree.node_mut(ino) {
            node.writable = true;
        }
    }
    for alias in HOME_ALIASES {
        tree.insert_read_only(alias, Kind::Symlink(HOME.into()));
    }
    tree
}

impl Tree {
    /// Adds a read-only node at `path`, and its parent folders.
    pub(crate) fn insert_read_only(&mut self, path: &str, kind: Kind) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = match dir {
            "" => ROOT,
            dir => self.ensure_dir(dir),
        };
        let ino = self.insert_node(kind, 0, false, 0);
        let _ = self.set_entry(parent, name.into(), Some(ino), 0);
    }
}
