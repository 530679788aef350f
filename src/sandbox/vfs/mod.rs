//! The guest's files: a tree in the host's memory.
//!
//! A guest path is resolved in this tree and nowhere else, so nothing the guest does opens a path
//! of the host. The pack's archive is shown read-only through a handle that was opened when the
//! sandbox was made. Nodes are shared: a copy of the tree, as a checkpoint takes it, costs one
//! reference until either side writes.
//!
//! `node` holds what a file, folder or link is; `tree` the operations on names; this file the
//! layout.

mod node;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use node::{Ino, PackFile, Stat};
pub(crate) use tree::{Quota, Tree};

use std::sync::Arc;

/// The guest's current folder and home.
pub(crate) const HOME: &str = "/home/user";

/// The pack's files, opened once per process and shared by every sandbox.
pub(crate) struct PackFiles {
    /// Guest path (absolute) and content of each read-only file.
    pub(crate) files: Vec<(String, Arc<PackFile>)>,
}

/// The tree every fresh sandbox starts with.
pub(crate) fn layout(pack: &PackFiles, now: u64) -> Tree {
    let mut tree = Tree::new(now);
    for (path, file) in &pack.files {
        tree.place_pack_file(path, file.clone());
    }
    for dir in ["/mnt", "/dev", "/usr/local/lib"] {
        tree.place_dir(dir, false);
    }
    tree.place_null("/dev/null");
    for dir in [HOME, "/tmp"] {
        tree.place_dir(dir, true);
    }
    tree
}
