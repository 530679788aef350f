//! The guest's files: a tree in the host's memory.
//!
//! A guest path is resolved in this tree and nowhere else, so nothing the guest does opens a path
//! of the host. The pack's archive is shown read-only through a handle that was opened when the
//! sandbox was made. Nodes are shared: a copy of the tree, as a checkpoint takes it, costs one
//! reference until either side writes.
//!
//! `node` holds what a file, folder or link is; `tree` the operations on names; `content` those on
//! what is in files; this file the layout.

mod content;
mod node;
mod tree;

#[cfg(test)]
mod tests;

pub(crate) use node::{Entry, Ino, PackFile, Stat};
pub(crate) use tree::{Quota, Tree};

use std::collections::BTreeMap;
use std::sync::Arc;

use node::Kind;
use tree::ROOT;

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

impl Tree {
    fn place_dir(&mut self, path: &str, writable: bool) {
        let mut here = ROOT;
        for name in path.split('/').filter(|n| !n.is_empty()) {
            let found = self
                .entries(here)
                .ok()
                .and_then(|(e, _)| e.get(name).copied());
            here = found.unwrap_or_else(|| {
                let kind = Kind::Dir {
                    entries: BTreeMap::new(),
                    parent: here,
                };
                let ino = self.insert_node(kind, false, 0);
                // `here` is a folder: it was made or found as one.
                let _ = self.set_entry(here, name.into(), Some(ino), 0);
                ino
            });
        }
        if let Ok(node) = self.node_mut(here) {
            node.writable = writable;
        }
    }

    fn place(&mut self, path: &str, kind: Kind) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.place_dir(dir, false);
        if let Ok(parent) = self.lookup(ROOT, if dir.is_empty() { "/" } else { dir }, true) {
            let ino = self.insert_node(kind, false, 0);
            let _ = self.set_entry(parent, name.into(), Some(ino), 0);
        }
    }

    fn place_pack_file(&mut self, path: &str, file: Arc<PackFile>) {
        self.place(path, Kind::Pack(file));
    }

    fn place_null(&mut self, path: &str) {
        self.place(path, Kind::Null);
    }
}
