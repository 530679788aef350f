//! Mounted folders of the host in the tree.
//!
//! A mounted folder is listed when the guest first accesses it, and its files are read from the host. Changes of the
//! guest are in the tree only. The listings are retained, so that the changes can be found and written back later.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fs::vfs::content::Content;
use crate::fs::vfs::host::{HostFolder, HostKind, HostMeta};
use crate::fs::vfs::host_file::HostFile;
use crate::fs::vfs::mount_point::MountPoint;
use crate::fs::vfs::node::{Dir, Ino, Kind, ROOT};
use crate::fs::vfs::paths::{HOME, join_path};
use crate::fs::vfs::tree::Tree;
use crate::types::errno::{Errno, Result};

/// Maximum number of nodes that show files of the host.
const MAX_HOSTED_NODES: usize = 200_000;
/// Maximum number of mounts of a sandbox.
const MAX_MOUNTS: usize = 64;

impl Tree {
    pub(crate) fn mounts(&self) -> &[MountPoint] {
        &self.mounts
    }

    fn mount_of(&self, dev: u16) -> Option<&MountPoint> {
        self.mounts.get(usize::from(dev).checked_sub(1)?)
    }

    fn mount_mut(&mut self, dev: u16) -> Option<&mut MountPoint> {
        let at = usize::from(dev).checked_sub(1)?;
        // Check first, so that nothing is copied for files that are not in a mount.
        self.mounts.get(at)?;
        Arc::make_mut(&mut self.mounts).get_mut(at)
    }

    /// Mounts `folder` at `guest`, an absolute path without `.` and `..`.
    ///
    /// # Errors
    ///
    /// Returns the reason if it cannot be mounted there.
    pub(crate) fn mount(
        &mut self,
        folder: Arc<HostFolder>,
        guest: &str,
        writable: bool,
        now: u64,
    ) -> std::result::Result<(), &'static str> {
        for reserved in ["/usr", "/dev"] {
            if guest == reserved || guest.starts_with(&format!("{reserved}/")) {
                return Err("the sandbox has its own files there");
            }
        }
        if HOME.starts_with(&format!("{guest}/")) {
            return Err(
                "the path contains the home folder; choose a path in the home folder or elsewhere",
            );
        }
        for other in self.mounts.iter().map(|mount| &*mount.guest) {
            let (outer, inner) = match guest.len() < other.len() {
                true => (guest, other),
                false => (other, guest),
            };
            if inner == outer || inner.starts_with(&format!("{outer}/")) {
                return Err("it overlaps another mount; mounts cannot be nested");
            }
        }
        if self.mounts.len() >= MAX_MOUNTS {
            return Err("there are too many mounts");
        }
        let Some((parent, name)) = guest.rsplit_once('/').filter(|(_, name)| !name.is_empty())
        else {
            return Err("the root folder cannot be a mount");
        };
        let dev = self.mounts.len() as u16 + 1;
        let (kind, meta) = match folder.single_file() {
            None => (None, None),
            Some(name) => {
                let meta = (folder.meta(name)).map_err(|_| "the file cannot be read")?;
                let file = HostFile::new(folder.clone(), name.clone(), meta.clone());
                (
                    Some(Kind::File(Content::from_host_file(Arc::new(file)))),
                    Some(meta),
                )
            }
        };
        let parent = self.ensure_dir(parent);
        let kind = kind.unwrap_or_else(|| unlisted("".into(), parent));
        let modified = meta.as_ref().map_or(now, |meta| meta.modified);
        let root = self.insert_node(kind, dev, writable, modified);
        if let Ok(node) = self.node_mut(root) {
            node.hosted = true;
        }
        self.hosted += 1;
        // `parent` is a folder, so this does not fail.
        let _ = self.set_entry(parent, name.into(), Some(root), now);
        let listing = folder.single_file().cloned().zip(meta);
        Arc::make_mut(&mut self.mounts).push(MountPoint {
            listings: listing
                .map(|(name, meta)| ("".into(), Arc::new(BTreeMap::from([(name, meta)]))))
                .into_iter()
                .collect(),
            folder,
            guest: guest.into(),
            root,
            writable,
            dirty: false,
        });
        Ok(())
    }

    /// Records that the guest has changed something in the file system `dev`, if that is a mount.
    pub(super) fn mark_dirty(&mut self, dev: u16) {
        if self.mount_of(dev).is_some_and(|mount| !mount.dirty)
            && let Some(mount) = self.mount_mut(dev)
        {
            mount.dirty = true;
        }
    }

    /// Lists the folder `ino` on the host, if it is a folder of a mount that is not listed yet.
    pub(super) fn ensure_listed(&mut self, ino: Ino) -> Result<()> {
        let node = self.node(ino)?;
        let dev = node.dev;
        let Kind::Dir(Dir {
            unlisted: Some(path),
            ..
        }) = &node.kind
        else {
            return Ok(());
        };
        let path = path.clone();
        let Some(mount) = self.mount_of(dev) else {
            return Err(Errno::Io);
        };
        let (folder, writable) = (mount.folder.clone(), mount.writable);
        let room = MAX_HOSTED_NODES.saturating_sub(self.hosted);
        let listing = folder.list(&path, room, &mut self.host_lookups)?;
        let mut entries = BTreeMap::new();
        for (name, meta) in &listing {
            let path = join_path(&path, name);
            let child = self.insert_hosted(&folder, path, meta, ino, dev);
            if let Ok(node) = self.node_mut(child) {
                node.writable = writable;
            }
            entries.insert(name.clone(), child);
        }
        let dir = self.dir_mut(ino)?;
        dir.entries = Arc::new(entries);
        dir.unlisted = None;
        if let Some(mount) = self.mount_mut(dev) {
            mount.listings.insert(path, Arc::new(listing));
        }
        Ok(())
    }

    /// Inserts a node that shows the file `path` of the host.
    fn insert_hosted(
        &mut self,
        folder: &Arc<HostFolder>,
        path: Arc<str>,
        meta: &HostMeta,
        parent: Ino,
        dev: u16,
    ) -> Ino {
        let kind = match &meta.kind {
            HostKind::Dir => unlisted(path, parent),
            HostKind::Symlink(target) => Kind::Symlink(target.clone()),
            HostKind::Special(filetype) => Kind::Special(*filetype),
            HostKind::File => {
                let file = HostFile::new(folder.clone(), path, meta.clone());
                Kind::File(Content::from_host_file(Arc::new(file)))
            }
        };
        // Content of the host does not count against the quota.
        let ino = self.insert_node(kind, dev, false, meta.modified);
        if let Ok(node) = self.node_mut(ino) {
            node.hosted = true;
        }
        self.hosted += 1;
        ino
    }

    /// Prepares `ino` for a new descriptor. A file of the host that is not open is opened again, so that the guest
    /// reads its current content.
    ///
    /// A file that is truncated is not read. A file that the guest has opened before, and now opens for writing, keeps
    /// its known attributes: a write is based on the content that the guest has read, so a change on the host in
    /// between must be detected as a conflict.
    pub(crate) fn reopen(&mut self, ino: Ino, write: bool, truncate: bool) -> Result<()> {
        let node = self.node(ino)?;
        let Kind::File(content) = &node.kind else {
            return Ok(());
        };
        let Some(file) = content.as_host_file().filter(|_| node.open == 0) else {
            return Ok(());
        };
        if truncate {
            return Ok(());
        }
        let mut opened = file.reopen()?;
        if write && file.was_opened {
            opened.meta = file.meta.clone();
        }
        let file = Arc::new(opened);
        let node = self.node_mut(ino)?;
        node.modified = file.meta.modified;
        node.kind = Kind::File(Content::from_host_file(file));
        Ok(())
    }

    /// Discards the listings of mounts in which nothing was changed and nothing is open, so that the next turn lists
    /// them again.
    pub(crate) fn refresh_mounts(&mut self) {
        for at in 0..self.mounts.len() {
            let mount = &self.mounts[at];
            let (dev, root) = (at as u16 + 1, mount.root);
            if mount.dirty || mount.listings.is_empty() || mount.folder.single_file().is_some() {
                continue;
            }
            let hosted: Vec<(Ino, bool)> = (self.nodes.iter())
                .filter(|(ino, node)| node.dev == dev && *ino != root)
                .map(|(ino, node)| (ino, node.open > 0))
                .collect();
            let parent = match self.node(root).map(|node| (&node.kind, node.open)) {
                Ok((Kind::Dir(dir), 0)) => dir.parent,
                _ => continue,
            };
            if hosted.iter().any(|(_, open)| *open) {
                continue;
            }
            for (ino, _) in &hosted {
                self.discard(*ino);
            }
            if let Ok(node) = self.node_mut(root) {
                node.kind = unlisted("".into(), parent);
            }
            if let Some(mount) = self.mount_mut(dev) {
                mount.listings.clear();
            }
        }
    }

    /// Updates the tree after the change at `path` of a mount was written. `now` is the host's file there.
    pub(crate) fn rebase_path(
        &mut self,
        mount: usize,
        path: &Arc<str>,
        now: Option<(Arc<HostFolder>, HostMeta)>,
    ) {
        let Some(point) = self.mounts.get(mount) else {
            return;
        };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let node = match point.folder.single_file() {
            Some(_) => Some(point.root),
            None => self.lookup(point.root, path, false).ok(),
        };
        if let Some(point) = self.mount_mut(mount as u16 + 1) {
            let listing = Arc::make_mut(point.listings.entry(folder.into()).or_default());
            match &now {
                Some((_, meta)) => listing.insert(name.into(), meta.clone()),
                None => listing.remove(name),
            };
            match &now {
                Some((_, meta)) if meta.kind == HostKind::Dir => {
                    point.listings.entry(path.clone()).or_default();
                }
                Some(_) => {}
                None => drop(point.listings.remove(path)),
            }
        }
        if let (Some(ino), Some((folder, meta))) = (node, now) {
            self.rebase_node(ino, folder, path, meta);
        }
    }

    /// Makes `ino` show the host's file `path`. It does not count against the quota any more.
    fn rebase_node(&mut self, ino: Ino, folder: Arc<HostFolder>, path: &Arc<str>, meta: HostMeta) {
        let Ok(node) = self.node_mut(ino) else {
            return;
        };
        let (charge, links) = (node.charge(), u64::from(node.links));
        let was_hosted = std::mem::replace(&mut node.hosted, true);
        if let (Kind::File(content), HostKind::File) = (&mut node.kind, &meta.kind) {
            *content = Content::from_host_file(Arc::new(HostFile::new(folder, path.clone(), meta)));
        }
        let new_charge = node.charge();
        self.bytes = (self.bytes + new_charge).saturating_sub(charge);
        if !was_hosted {
            self.files = self.files.saturating_sub(links);
            self.hosted += 1;
        }
    }

    /// Removes a node and subtracts its counts.
    fn discard(&mut self, ino: Ino) {
        let Ok(node) = self.node(ino) else {
            return;
        };
        let (hosted, links, charge) = (node.hosted, u64::from(node.links), node.charge());
        // A file that the guest has rewritten with the same bytes is not marked as the host's.
        match hosted {
            true => self.hosted = self.hosted.saturating_sub(1),
            false => self.files = self.files.saturating_sub(links),
        }
        self.bytes = self.bytes.saturating_sub(charge);
        self.nodes.remove(ino);
    }

    /// Records that all changes in a mount were written.
    pub(crate) fn mark_clean(&mut self, mount: usize) {
        if let Some(point) = self.mount_mut(mount as u16 + 1) {
            point.dirty = false;
        }
    }

    /// Returns the folder `path`. Creates it and its parent folders if they do not exist; they are writable if the
    /// folder that contains them is.
    pub(super) fn ensure_dir(&mut self, path: &str) -> Ino {
        let mut here = ROOT;
        for name in path.split('/').filter(|n| !n.is_empty()) {
            let found = (self.dir(here).ok()).and_then(|dir| dir.entries.get(name).copied());
            // A mount takes the place of an alias of the home folder.
            here = found.filter(|ino| !self.is_alias(*ino)).unwrap_or_else(|| {
                let writable = self.node(here).is_ok_and(|node| node.writable);
                let kind = Kind::Dir(Dir::empty(here));
                let ino = self.insert_node(kind, 0, writable, 0);
                // `here` is a folder, so this does not fail.
                let _ = self.set_entry(here, name.into(), Some(ino), 0);
                ino
            });
        }
        here
    }
}

/// Returns a folder of the host that is not listed yet.
fn unlisted(path: Arc<str>, parent: Ino) -> Kind {
    Kind::Dir(Dir {
        unlisted: Some(path),
        ..Dir::empty(parent)
    })
}
