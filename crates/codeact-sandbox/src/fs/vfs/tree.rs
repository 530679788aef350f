//! The tree: nodes, counts, and operations on one node.

use std::sync::Arc;

use crate::fs::vfs::mount_point::MountPoint;
use crate::fs::vfs::node::{Dir, DirEntry, Ino, Kind, Node, Nodes, ROOT, Stat};
use crate::types::errno::{Errno, Result};
use crate::types::limits::Limits;

/// Limits of the guest's files.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

impl Quota {
    pub(crate) fn from_limits(limits: &Limits) -> Self {
        Self {
            bytes: limits.file_bytes,
            files: limits.files,
        }
    }
}

/// The tree. Cheap to clone: both copies share all nodes until one changes them.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(super) nodes: Nodes,
    next: Ino,
    pub(super) mounts: Arc<Vec<MountPoint>>,
    /// Bytes that count against the quota.
    pub(super) bytes: u64,
    /// Number of names that count against the quota.
    pub(super) files: u64,
    /// Number of nodes that show files of the host.
    pub(super) hosted: usize,
    /// Number of lookups on the host since the last WASI call, which resets it.
    pub(crate) host_lookups: u64,
}

impl Tree {
    pub(super) fn new(now: u64) -> Self {
        let mut tree = Self {
            nodes: Nodes::default(),
            next: ROOT,
            mounts: Arc::default(),
            bytes: 0,
            files: 0,
            hosted: 0,
            host_lookups: 0,
        };
        tree.insert_node(Kind::Dir(Dir::empty(ROOT)), 0, false, now);
        tree
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn files(&self) -> u64 {
        self.files
    }

    pub(crate) fn root(&self) -> Ino {
        ROOT
    }

    /// # Errors
    ///
    /// Returns [`Errno::Badf`] if the node does not exist.
    pub(crate) fn node(&self, ino: Ino) -> Result<&Node> {
        self.nodes.get(ino).ok_or(Errno::Badf)
    }

    pub(super) fn node_mut(&mut self, ino: Ino) -> Result<&mut Node> {
        self.nodes.get_mut(ino).ok_or(Errno::Badf)
    }

    pub(super) fn dir(&self, ino: Ino) -> Result<&Dir> {
        match &self.node(ino)?.kind {
            Kind::Dir(dir) => Ok(dir),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn dir_mut(&mut self, ino: Ino) -> Result<&mut Dir> {
        match &mut self.node_mut(ino)?.kind {
            Kind::Dir(dir) => Ok(dir),
            _ => Err(Errno::Notdir),
        }
    }

    /// Inserts a node with one name. Its entry in a folder is set by [`Tree::set_entry`].
    pub(super) fn insert_node(&mut self, kind: Kind, dev: u16, writable: bool, now: u64) -> Ino {
        let ino = self.next;
        self.next += 1;
        let node = Node {
            kind,
            links: 1,
            open: 0,
            writable,
            dev,
            hosted: false,
            accessed: now,
            modified: now,
            changed: now,
        };
        self.nodes.insert(ino, node);
        ino
    }

    /// Sets or removes an entry of a folder.
    pub(super) fn set_entry(
        &mut self,
        dir: Ino,
        name: Arc<str>,
        ino: Option<Ino>,
        now: u64,
    ) -> Result<()> {
        let node = self.node_mut(dir)?;
        let Kind::Dir(dir) = &mut node.kind else {
            return Err(Errno::Notdir);
        };
        let entries = Arc::make_mut(&mut dir.entries);
        match ino {
            Some(ino) => entries.insert(name, ino),
            None => entries.remove(&name),
        };
        node.modified = now;
        node.changed = now;
        let dev = node.dev;
        self.mark_dirty(dev);
        Ok(())
    }

    pub(crate) fn is_dir(&self, ino: Ino) -> bool {
        self.dir(ino).is_ok()
    }

    pub(crate) fn is_symlink(&self, ino: Ino) -> bool {
        self.node(ino)
            .is_ok_and(|n| matches!(n.kind, Kind::Symlink(_)))
    }

    /// Checks that the guest may change `ino`.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Rofs`] in a mount, and otherwise [`Errno::Access`].
    pub(crate) fn check_writable(&self, ino: Ino) -> Result<()> {
        let node = self.node(ino)?;
        match (node.writable, node.dev) {
            (true, _) => Ok(()),
            (false, 0) => Err(Errno::Access),
            (false, _) => Err(Errno::Rofs),
        }
    }

    pub(crate) fn stat(&self, ino: Ino) -> Result<Stat> {
        let node = self.node(ino)?;
        Ok(Stat {
            dev: u64::from(node.dev) + 1,
            ino,
            filetype: node.kind.filetype(),
            links: node.links,
            size: node.kind.size(),
            accessed: node.accessed,
            modified: node.modified,
            changed: node.changed,
        })
    }

    pub(crate) fn set_times(
        &mut self,
        ino: Ino,
        accessed: Option<u64>,
        modified: Option<u64>,
        now: u64,
    ) -> Result<()> {
        self.check_writable(ino)?;
        let node = self.node_mut(ino)?;
        node.accessed = accessed.unwrap_or(node.accessed);
        node.modified = modified.unwrap_or(node.modified);
        node.changed = now;
        let dev = node.dev;
        self.mark_dirty(dev);
        Ok(())
    }

    /// Returns true if the folder `ino` is empty for the guest.
    pub(super) fn is_empty(&self, ino: Ino) -> Result<bool> {
        let entries = &self.dir(ino)?.entries;
        Ok(entries.values().all(|ino| self.is_alias(*ino)))
    }

    /// Returns true for a symbolic link of the layout. It is followed but not listed, and cannot be changed.
    pub(super) fn is_alias(&self, ino: Ino) -> bool {
        let node = self.node(ino);
        node.is_ok_and(|n| n.dev == 0 && !n.writable && matches!(n.kind, Kind::Symlink(_)))
    }

    /// Returns the entries of a folder with `.` and `..`, in a fixed order.
    pub(crate) fn list(&mut self, ino: Ino) -> Result<Vec<DirEntry>> {
        self.ensure_listed(ino)?;
        let dir = self.dir(ino)?;
        let dots = [(Arc::from("."), ino), (Arc::from(".."), dir.parent)];
        dots.into_iter()
            .chain(dir.entries.iter().map(|(name, ino)| (name.clone(), *ino)))
            .filter(|(_, ino)| !self.is_alias(*ino))
            .map(|(name, ino)| Ok((name, ino, self.node(ino)?.kind.filetype())))
            .collect()
    }

    pub(crate) fn read_link(&self, ino: Ino) -> Result<Arc<str>> {
        match &self.node(ino)?.kind {
            Kind::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Inval),
        }
    }

    /// Counts a new descriptor on `ino`.
    pub(crate) fn opened(&mut self, ino: Ino) -> Result<()> {
        let node = self.node_mut(ino)?;
        node.open += 1;
        Ok(())
    }

    /// Counts a closed descriptor on `ino`.
    pub(crate) fn closed(&mut self, ino: Ino) {
        if let Ok(node) = self.node_mut(ino) {
            node.open = node.open.saturating_sub(1);
            if node.open == 0
                && let Kind::File(content) = &node.kind
                && let Some(base) = content.base()
            {
                base.close();
            }
            self.remove_if_unused(ino);
        }
    }

    /// Removes a node without names and descriptors.
    pub(super) fn remove_if_unused(&mut self, ino: Ino) {
        let Some(node) = self.nodes.get(ino) else {
            return;
        };
        if node.links == 0 && node.open == 0 {
            self.bytes = self.bytes.saturating_sub(node.charge());
            self.hosted = self.hosted.saturating_sub(usize::from(node.hosted));
            self.nodes.remove(ino);
        }
    }

    /// Returns the byte count after adding `more`.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Nospc`] if that exceeds the quota.
    pub(super) fn check_bytes(&self, more: u64, quota: &Quota) -> Result<u64> {
        let total = self.bytes.saturating_add(more);
        if total > quota.bytes {
            return Err(Errno::Nospc);
        }
        Ok(total)
    }
}
