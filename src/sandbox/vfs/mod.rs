//! The guest's files: a tree in the host's memory.
//!
//! A guest path is resolved in this tree and nowhere else, so nothing the guest does opens a path
//! of the host. The pack's archive is shown read-only through a handle that was opened when the
//! sandbox was made; host folders are shown through a capability handle, and `host` is the one
//! file that uses it. Everything is shared: a copy of the tree, as a checkpoint takes it, costs one
//! reference until either side writes.
//!
//! `node` holds what a file, folder or link is; `content` the bytes of one file; `tree` all nodes
//! and counts; `walk` follows paths; `names` and `files` are the operations on names and on what is
//! in files; `mounts` brings in the host's folders; `data` is the guest's files at rest; this file the layout.

mod content;
mod data;
mod files;
mod host;
mod host_file;
mod mounts;
mod names;
mod node;
mod pack_file;
mod tree;
mod walk;

#[cfg(all(test, unix))]
mod native_tests;
#[cfg(test)]
mod tests;

pub(crate) use content::Chunk;
pub(crate) use content::Content;
pub(crate) use data::{Numbers, Target, TreeData};
pub(crate) use host::{HostFolder, HostKind, HostMeta};
pub(crate) use host_file::HostFile;
pub(crate) use mounts::MountPoint;
pub(crate) use node::{Entry, Ino, Kind, Stat};
pub(crate) use pack_file::PackFile;
pub(crate) use tree::{Quota, Tree};

use std::sync::Arc;

use tree::ROOT;

/// The guest's current folder and home.
pub(crate) const HOME: &str = "/home/user";
/// The other folder that it may write to.
const TMP: &str = "/tmp";

/// The pack's files, opened once per process and shared by every sandbox.
pub(crate) struct PackFiles {
    /// Guest path (absolute) and content of each read-only file.
    pub(crate) files: Vec<(String, Arc<PackFile>)>,
}

/// The tree every fresh sandbox starts with.
pub(crate) fn layout(pack: &PackFiles, now: u64) -> Tree {
    let mut tree = Tree::new(now);
    for (path, file) in &pack.files {
        tree.place(path, Kind::Pack(file.clone()));
    }
    for dir in ["/mnt", "/dev", "/usr/local/lib"] {
        tree.place_dir(dir);
    }
    tree.place("/dev/null", Kind::Null);
    for dir in [HOME, TMP] {
        let ino = tree.place_dir(dir);
        if let Ok(node) = tree.node_mut(ino) {
            node.writable = true;
        }
    }
    tree
}

impl Tree {
    /// Shows a read-only file at `path`.
    pub(crate) fn place(&mut self, path: &str, kind: Kind) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = match dir {
            "" => ROOT,
            dir => self.place_dir(dir),
        };
        let ino = self.insert_node(kind, 0, false, 0);
        let _ = self.set_entry(parent, name.into(), Some(ino), 0);
    }
}
