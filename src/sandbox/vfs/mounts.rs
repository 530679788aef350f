//! Folders of the host in the tree.
//!
//! A mounted folder's names are asked for when the guest first looks, and its files are read in
//! place. What the guest changes, where it may, lies in the tree alone; what was listed is kept, so
//! that the changes can be told, and written back, later.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::Content;
use super::host::{HostFolder, HostKind, HostMeta, Listing};
use super::host_file::HostFile;
use super::names::below;
use super::node::{Dir, Ino, Kind};
use super::tree::{ROOT, Tree};
use crate::sandbox::wasi::{Errno, Result};

/// Names of the host that the tree shows at once.
const MAX_HOSTED: usize = 200_000;
/// Mounts of one sandbox.
const MAX_MOUNTS: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct MountPoint {
    pub(crate) folder: Arc<HostFolder>,
    /// Where the guest sees it.
    pub(crate) guest: Arc<str>,
    pub(crate) root: Ino,
    writable: bool,
    /// Whether the guest has changed anything in it.
    pub(crate) touched: bool,
    /// The host's folders that were listed, by their path; `""` is the mount's own.
    pub(crate) listings: BTreeMap<Arc<str>, Arc<Listing>>,
}

impl Tree {
    pub(crate) fn mounts(&self) -> &[MountPoint] {
        &self.mounts
    }

    fn mount_of(&self, dev: u16) -> Option<&MountPoint> {
        self.mounts.get(usize::from(dev).checked_sub(1)?)
    }

    fn mount_mut(&mut self, dev: u16) -> Option<&mut MountPoint> {
        let at = usize::from(dev).checked_sub(1)?;
        // Looked at first, so that nothing is copied for the tree's own files.
        self.mounts.get(at)?;
        Arc::make_mut(&mut self.mounts).get_mut(at)
    }

    /// Shows `folder` at `guest`, an absolute path without `.` and `..`. Says why not, if not.
    pub(crate) fn mount(
        &mut self,
        folder: Arc<HostFolder>,
        guest: &str,
        writable: bool,
        now: u64,
    ) -> std::result::Result<(), &'static str> {
        for closed in ["/usr", "/dev"] {
            if guest == closed || guest.starts_with(&format!("{closed}/")) {
                return Err("the sandbox has its own files there");
            }
        }
        if super::HOME.starts_with(&format!("{guest}/")) {
            return Err("the code's home folder lies in it; mount it there, or elsewhere");
        }
        for other in self.mounts.iter().map(|mount| &*mount.guest) {
            let (outer, inner) = match guest.len() < other.len() {
                true => (guest, other),
                false => (other, guest),
            };
            if inner == outer || inner.starts_with(&format!("{outer}/")) {
                return Err("another mount is there; mounts cannot lie in each other");
            }
        }
        if self.mounts.len() >= MAX_MOUNTS {
            return Err("there are too many mounts");
        }
        let Some((parent, name)) = guest.rsplit_once('/').filter(|(_, name)| !name.is_empty())
        else {
            return Err("the root itself cannot be a mount");
        };
        let dev = self.mounts.len() as u16 + 1;
        let (kind, meta) = match folder.only() {
            None => (None, None),
            Some(name) => {
                let meta = (folder.meta(name)).map_err(|_| "the file cannot be read")?;
                let file = HostFile::new(folder.clone(), name.clone(), meta.clone());
                (Some(Kind::File(Content::of(Arc::new(file)))), Some(meta))
            }
        };
        let parent = self.place_dir(parent);
        let kind = kind.unwrap_or_else(|| unlisted("".into(), parent));
        let modified = meta.as_ref().map_or(now, |meta| meta.modified);
        let root = self.insert_node(kind, dev, writable, modified);
        if let Ok(node) = self.node_mut(root) {
            node.hosted = true;
        }
        self.hosted += 1;
        // A folder was made or found there.
        let _ = self.set_entry(parent, name.into(), Some(root), now);
        let listing = folder.only().cloned().zip(meta);
        Arc::make_mut(&mut self.mounts).push(MountPoint {
            listings: listing
                .map(|(name, meta)| ("".into(), Arc::new(BTreeMap::from([(name, meta)]))))
                .into_iter()
                .collect(),
            folder,
            guest: guest.into(),
            root,
            writable,
            touched: false,
        });
        Ok(())
    }

    /// Remembers that the guest has changed something in the mount `dev`, if it is one.
    pub(super) fn touch(&mut self, dev: u16) {
        if self.mount_of(dev).is_some_and(|mount| !mount.touched)
            && let Some(mount) = self.mount_mut(dev)
        {
            mount.touched = true;
        }
    }

    /// Asks the host for the names in the folder `ino`, if it is one of a mount's that has not
    /// been looked at.
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
        let room = MAX_HOSTED.saturating_sub(self.hosted);
        let listing = folder.list(&path, room, &mut self.looked_at)?;
        let mut entries = BTreeMap::new();
        for (name, meta) in &listing {
            let path = below(&path, name);
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
                Kind::File(Content::of(Arc::new(file)))
            }
        };
        // What the host holds counts for nothing, whatever it is.
        let ino = self.insert_node(kind, dev, false, meta.modified);
        if let Ok(node) = self.node_mut(ino) {
            node.hosted = true;
        }
        self.hosted += 1;
        ino
    }

    /// The guest opens `ino`: a file of the host that nobody has open is looked at anew, so that
    /// what is read is what is there now.
    ///
    /// Not so a file that the guest is about to overwrite, or has looked at before and may write to:
    /// what it writes is based on what it has seen, and that nobody has changed it since must show.
    pub(crate) fn reopen(&mut self, ino: Ino, write: bool, truncate: bool) -> Result<()> {
        let node = self.node(ino)?;
        let Kind::File(content) = &node.kind else {
            return Ok(());
        };
        let Some(file) = content.untouched().filter(|_| node.open == 0) else {
            return Ok(());
        };
        if truncate {
            return Ok(());
        }
        let mut opened = file.reopened()?;
        if write && file.looked_at {
            opened.meta = file.meta.clone();
        }
        let file = Arc::new(opened);
        let node = self.node_mut(ino)?;
        node.modified = file.meta.modified;
        node.kind = Kind::File(Content::of(file));
        Ok(())
    }

    /// Between turns: mounts in which nothing was changed and nothing is open are looked at anew
    /// when the guest next does.
    pub(crate) fn refresh_mounts(&mut self) {
        for at in 0..self.mounts.len() {
            let mount = &self.mounts[at];
            let (dev, root) = (at as u16 + 1, mount.root);
            if mount.touched || mount.listings.is_empty() || mount.folder.only().is_some() {
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

    /// What the guest had changed at `path` was written to the host, which has `now` there.
    pub(crate) fn settle(
        &mut self,
        mount: usize,
        path: &Arc<str>,
        now: Option<(Arc<HostFolder>, HostMeta)>,
    ) {
        let Some(point) = self.mounts.get(mount) else {
            return;
        };
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let node = match point.folder.only() {
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
            self.give_to_host(ino, folder, path, meta);
        }
    }

    /// The node `ino` is what the host has at `path` now: it counts for nothing any more.
    fn give_to_host(&mut self, ino: Ino, folder: Arc<HostFolder>, path: &Arc<str>, meta: HostMeta) {
        let Ok(node) = self.node_mut(ino) else {
            return;
        };
        let (charge, links) = (node.charge(), u64::from(node.links));
        let was_hosted = std::mem::replace(&mut node.hosted, true);
        if let (Kind::File(content), HostKind::File) = (&mut node.kind, &meta.kind) {
            *content = Content::of(Arc::new(HostFile::new(folder, path.clone(), meta)));
        }
        let charged_still = node.charge();
        self.bytes = (self.bytes + charged_still).saturating_sub(charge);
        if !was_hosted {
            self.files = self.files.saturating_sub(links);
            self.hosted += 1;
        }
    }

    /// Takes a node away, with all that it counted for.
    fn discard(&mut self, ino: Ino) {
        let Ok(node) = self.node(ino) else {
            return;
        };
        let (hosted, links, charge) = (node.hosted, u64::from(node.links), node.charge());
        // What the guest wrote anew with the bytes that were there is still its own.
        match hosted {
            true => self.hosted = self.hosted.saturating_sub(1),
            false => self.files = self.files.saturating_sub(links),
        }
        self.bytes = self.bytes.saturating_sub(charge);
        self.nodes.remove(ino);
    }

    /// All that the guest had changed in the mount was written.
    pub(crate) fn settled(&mut self, mount: usize) {
        if let Some(point) = self.mount_mut(mount as u16 + 1) {
            point.touched = false;
        }
    }

    /// Makes the folder `path` if it is missing, and what leads there. What is made in a folder of
    /// the guest's is the guest's too.
    pub(super) fn place_dir(&mut self, path: &str) -> Ino {
        let mut here = ROOT;
        for name in path.split('/').filter(|n| !n.is_empty()) {
            let found = (self.dir(here).ok()).and_then(|dir| dir.entries.get(name).copied());
            here = found.unwrap_or_else(|| {
                let guests = self.node(here).is_ok_and(|node| node.writable);
                let kind = Kind::Dir(Dir::empty(here));
                let ino = self.insert_node(kind, 0, guests, 0);
                // `here` is a folder: it was made or found as one.
                let _ = self.set_entry(here, name.into(), Some(ino), 0);
                ino
            });
        }
        here
    }
}

fn unlisted(path: Arc<str>, parent: Ino) -> Kind {
    Kind::Dir(Dir {
        unlisted: Some(path),
        ..Dir::empty(parent)
    })
}
