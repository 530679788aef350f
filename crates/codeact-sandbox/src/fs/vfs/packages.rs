//! Read-only packages in a tree that exists: of another tree, for a session that moves to another sandbox.

use std::sync::Arc;

use crate::fs::vfs::node::{Dir, Ino, Kind};
use crate::fs::vfs::paths::MAX_DEPTH;
use crate::fs::vfs::tree::Tree;

impl Tree {
    /// Makes the read-only folder `path` the same as in `layout`. With `keep_others`, files that only this tree has stay.
    /// Has no effect if `layout` does not have the folder.
    ///
    /// The time of a changed folder becomes `now`, so that Python's importer lists it again.
    pub(crate) fn copy_packages(&mut self, path: &str, layout: &Tree, keep_others: bool, now: u64) {
        let Some(theirs) = layout.lookup_plain(path) else {
            return;
        };
        let ours = self.ensure_dir(path);
        self.copy_folder(ours, layout, theirs, keep_others, now, 0);
    }

    fn copy_folder(
        &mut self,
        ours: Ino,
        layout: &Tree,
        theirs: Ino,
        keep_others: bool,
        now: u64,
        depth: usize,
    ) {
        let (Ok(own), Ok(source)) = (self.dir(ours), layout.dir(theirs)) else {
            return;
        };
        if depth > MAX_DEPTH {
            return;
        }
        let own = own.entries.clone();
        for (name, ino) in source.entries.iter() {
            let Ok(node) = layout.node(*ino) else {
                continue;
            };
            let old = own.get(name).copied();
            match &node.kind {
                Kind::Dir(_) => {
                    let kept = old.filter(|old| self.is_dir(*old));
                    let folder = kept.unwrap_or_else(|| {
                        let kind = Kind::Dir(Dir::empty(ours));
                        self.place(ours, name, Some(kind), old, now)
                    });
                    self.copy_folder(folder, layout, *ino, keep_others, now, depth + 1);
                }
                Kind::Pack(file) => {
                    let is_same = old.and_then(|old| self.node(old).ok()).is_some_and(
                        |old| matches!(&old.kind, Kind::Pack(old) if Arc::ptr_eq(old, file)),
                    );
                    if !is_same {
                        self.place(ours, name, Some(Kind::Pack(file.clone())), old, now);
                    }
                }
                _ => {}
            }
        }
        if !keep_others {
            for (name, ino) in own.iter() {
                if !source.entries.contains_key(name) {
                    self.place(ours, name, None, Some(*ino), now);
                }
            }
        }
    }

    /// Sets or removes an entry, and drops the node `old` that was there. Returns the new node, or the folder.
    fn place(
        &mut self,
        folder: Ino,
        name: &Arc<str>,
        kind: Option<Kind>,
        old: Option<Ino>,
        now: u64,
    ) -> Ino {
        let new = kind.map(|kind| self.insert_node(kind, 0, false, 0));
        // `folder` is a folder, so this does not fail.
        let _ = self.set_entry(folder, name.clone(), new, now);
        let mut todo: Vec<Ino> = old.into_iter().collect();
        while let Some(ino) = todo.pop() {
            if let Ok(dir) = self.dir(ino) {
                todo.extend(dir.entries.values().copied());
            }
            if let Ok(node) = self.node_mut(ino) {
                node.links = 0;
            }
            // A file that is open stays until it is closed.
            self.remove_if_unused(ino);
        }
        new.unwrap_or(folder)
    }

    /// Counts the descriptors on the nodes `open` of `old`, whose place this tree takes. Returns false, without an effect,
    /// if this tree does not have the same nodes.
    pub(crate) fn take_over(&mut self, old: &Tree, open: &[Ino]) -> bool {
        let is_same = |ino: &Ino| match (old.node(*ino), self.node(*ino)) {
            (Ok(old), Ok(new)) => match (&old.kind, &new.kind) {
                (Kind::Pack(old), Kind::Pack(new)) => Arc::ptr_eq(old, new),
                (Kind::Null, Kind::Null) => true,
                _ => false,
            },
            _ => false,
        };
        if !open.iter().all(is_same) {
            return false;
        }
        // The nodes exist, so this does not fail.
        open.iter().all(|ino| self.opened(*ino).is_ok())
    }

    /// Forgets the descriptors on the nodes `open`, for a session that has the tree but not the descriptors.
    pub(crate) fn forget_descriptors(&mut self, open: &[Ino]) {
        for ino in open {
            if let Ok(node) = self.node_mut(*ino) {
                node.open = 0;
            }
            self.remove_if_unused(*ino);
        }
    }
}
