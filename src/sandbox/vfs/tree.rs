//! Operations on names. Every path walk and count is bounded here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Entry, Ino, Kind, Node, Stat};
use crate::sandbox::limits::Limits;
use crate::sandbox::wasi::{Errno, Result};

pub(super) const ROOT: Ino = 1;
const MAX_SYMLINKS: u32 = 32;
const MAX_NAME: usize = 255;
/// Folders within folders; keeps every walk short.
const MAX_DEPTH: usize = 128;

/// How much the guest may store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
}

impl Quota {
    pub(crate) fn of(limits: &Limits) -> Self {
        Self {
            bytes: limits.file_bytes,
            files: limits.files,
        }
    }
}

/// The tree. Cloning it is cheap: both copies share every node until one changes it.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    nodes: Arc<BTreeMap<Ino, Arc<Node>>>,
    next: Ino,
    /// Bytes in files the guest wrote.
    pub(super) bytes: u64,
    /// Names the guest made.
    files: u64,
}

/// Where a path leads: the folder of its last name, that name, and the node if it is there.
pub(crate) struct Place {
    pub(crate) dir: Ino,
    pub(crate) name: Arc<str>,
    pub(crate) node: Option<Ino>,
    /// The path ended in a slash (or `.`), so only a folder will do.
    pub(crate) must_be_dir: bool,
}

impl Tree {
    pub(super) fn new(now: u64) -> Self {
        let root = Node {
            kind: Kind::Dir {
                entries: BTreeMap::new(),
                parent: ROOT,
            },
            links: 1,
            open: 0,
            writable: false,
            accessed: now,
            modified: now,
            changed: now,
        };
        Self {
            nodes: Arc::new(BTreeMap::from([(ROOT, Arc::new(root))])),
            next: ROOT + 1,
            bytes: 0,
            files: 0,
        }
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

    pub(super) fn node(&self, ino: Ino) -> Result<&Node> {
        self.nodes.get(&ino).map(|n| &**n).ok_or(Errno::Badf)
    }

    pub(super) fn node_mut(&mut self, ino: Ino) -> Result<&mut Node> {
        Arc::make_mut(&mut self.nodes)
            .get_mut(&ino)
            .map(Arc::make_mut)
            .ok_or(Errno::Badf)
    }

    pub(super) fn entries(&self, dir: Ino) -> Result<(&BTreeMap<Arc<str>, Ino>, Ino)> {
        match &self.node(dir)?.kind {
            Kind::Dir { entries, parent } => Ok((entries, *parent)),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn insert_node(&mut self, kind: Kind, writable: bool, now: u64) -> Ino {
        let ino = self.next;
        self.next += 1;
        let node = Node {
            kind,
            links: 1,
            open: 0,
            writable,
            accessed: now,
            modified: now,
            changed: now,
        };
        Arc::make_mut(&mut self.nodes).insert(ino, Arc::new(node));
        ino
    }

    pub(super) fn set_entry(
        &mut self,
        dir: Ino,
        name: Arc<str>,
        ino: Option<Ino>,
        now: u64,
    ) -> Result<()> {
        let node = self.node_mut(dir)?;
        let Kind::Dir { entries, .. } = &mut node.kind else {
            return Err(Errno::Notdir);
        };
        match ino {
            Some(ino) => entries.insert(name, ino),
            None => entries.remove(&name),
        };
        node.modified = now;
        node.changed = now;
        Ok(())
    }

    /// Walks `path` from `from`. The last name need not exist; the folders before it must.
    pub(crate) fn resolve(&self, from: Ino, path: &str, follow_last: bool) -> Result<Place> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        // Names still to walk, last first, so that a link's target can be pushed in front.
        let mut todo: Vec<Arc<str>> = Vec::new();
        push_names(&mut todo, path);
        let mut must_be_dir = path.ends_with('/') || path.ends_with("/.");
        let mut here = if path.starts_with('/') { ROOT } else { from };
        let mut links = 0;
        loop {
            let (entries, parent) = self.entries(here)?;
            let Some(name) = todo.pop() else {
                // The path was `.`, `/` or ended in `..`: the folder itself.
                return Ok(Place {
                    dir: parent,
                    name: Arc::from("."),
                    node: Some(here),
                    must_be_dir: true,
                });
            };
            if &*name == ".." {
                here = parent;
                continue;
            }
            if name.len() > MAX_NAME {
                return Err(Errno::Nametoolong);
            }
            let found = entries.get(&name).copied();
            let last = todo.is_empty();
            if let Some(ino) = found
                && let Kind::Symlink(target) = &self.node(ino)?.kind
                && (!last || follow_last)
            {
                links += 1;
                if links > MAX_SYMLINKS || todo.len() > MAX_DEPTH * 4 {
                    return Err(Errno::Loop);
                }
                if last && target.ends_with('/') {
                    must_be_dir = true;
                }
                if target.starts_with('/') {
                    here = ROOT;
                }
                push_names(&mut todo, target);
                continue;
            }
            if last {
                return Ok(Place {
                    dir: here,
                    name,
                    node: found,
                    must_be_dir,
                });
            }
            here = found.ok_or(Errno::Noent)?;
        }
    }

    /// As [`Tree::resolve`], for a node that must be there.
    pub(crate) fn lookup(&self, from: Ino, path: &str, follow_last: bool) -> Result<Ino> {
        // `link/` is the folder behind the link, whatever was asked.
        let place = self.resolve(from, path, follow_last || path.ends_with('/'))?;
        let ino = place.node.ok_or(Errno::Noent)?;
        if place.must_be_dir && !self.is_dir(ino) {
            return Err(Errno::Notdir);
        }
        Ok(ino)
    }

    pub(crate) fn is_dir(&self, ino: Ino) -> bool {
        self.node(ino)
            .is_ok_and(|n| matches!(n.kind, Kind::Dir { .. }))
    }

    pub(crate) fn is_symlink(&self, ino: Ino) -> bool {
        self.node(ino)
            .is_ok_and(|n| matches!(n.kind, Kind::Symlink(_)))
    }

    pub(crate) fn is_writable(&self, ino: Ino) -> bool {
        self.node(ino).is_ok_and(|n| n.writable)
    }

    pub(crate) fn stat(&self, ino: Ino) -> Result<Stat> {
        let node = self.node(ino)?;
        Ok(Stat {
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
        if !self.node(ino)?.writable {
            return Err(Errno::Access);
        }
        let node = self.node_mut(ino)?;
        node.accessed = accessed.unwrap_or(node.accessed);
        node.modified = modified.unwrap_or(node.modified);
        node.changed = now;
        Ok(())
    }

    /// The folder's entries with `.` and `..`, in a fixed order.
    pub(crate) fn list(&self, dir: Ino) -> Result<Vec<Entry>> {
        let (entries, parent) = self.entries(dir)?;
        let dots = [(Arc::from("."), dir), (Arc::from(".."), parent)];
        dots.into_iter()
            .chain(entries.iter().map(|(name, ino)| (name.clone(), *ino)))
            .map(|(name, ino)| Ok((name, ino, self.node(ino)?.kind.filetype())))
            .collect()
    }

    /// How many folders lie between `dir` and the root.
    fn depth(&self, mut dir: Ino) -> Result<usize> {
        let mut depth = 0;
        while dir != ROOT {
            depth += 1;
            dir = self.entries(dir)?.1;
        }
        Ok(depth)
    }

    /// How many levels of folders lie below `ino`, itself included.
    fn height(&self, ino: Ino) -> usize {
        let Ok((entries, _)) = self.entries(ino) else {
            return 0;
        };
        let below = entries.values().map(|child| self.height(*child));
        1 + below.max().unwrap_or(0)
    }

    fn check_new(&self, place: &Place, quota: &Quota) -> Result<()> {
        if place.node.is_some() {
            return Err(Errno::Exist);
        }
        let dir = self.node(place.dir)?;
        if !dir.writable {
            return Err(Errno::Access);
        }
        if dir.links == 0 {
            // Removed, but still open.
            return Err(Errno::Noent);
        }
        if self.files >= quota.files {
            return Err(Errno::Nospc);
        }
        Ok(())
    }

    pub(crate) fn create_file(&mut self, place: &Place, quota: &Quota, now: u64) -> Result<Ino> {
        if place.must_be_dir {
            return Err(Errno::Isdir);
        }
        self.create(place, Kind::File(Arc::default()), quota, now)
    }

    pub(crate) fn create_dir(&mut self, place: &Place, quota: &Quota, now: u64) -> Result<Ino> {
        if self.depth(place.dir)? >= MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        let kind = Kind::Dir {
            entries: BTreeMap::new(),
            parent: place.dir,
        };
        self.create(place, kind, quota, now)
    }

    pub(crate) fn create_symlink(
        &mut self,
        place: &Place,
        target: &str,
        quota: &Quota,
        now: u64,
    ) -> Result<Ino> {
        if target.is_empty() {
            return Err(Errno::Noent);
        }
        self.create(place, Kind::Symlink(target.into()), quota, now)
    }

    fn create(&mut self, place: &Place, kind: Kind, quota: &Quota, now: u64) -> Result<Ino> {
        self.check_new(place, quota)?;
        if let Kind::Symlink(target) = &kind {
            self.bytes = self.room(target.len() as u64, quota)?;
        }
        let ino = self.insert_node(kind, true, now);
        self.set_entry(place.dir, place.name.clone(), Some(ino), now)?;
        self.files += 1;
        Ok(ino)
    }

    /// A second name for a file.
    pub(crate) fn link(&mut self, ino: Ino, place: &Place, quota: &Quota, now: u64) -> Result<()> {
        self.check_new(place, quota)?;
        let node = self.node(ino)?;
        if !node.writable || matches!(node.kind, Kind::Dir { .. }) {
            return Err(Errno::Perm);
        }
        self.node_mut(ino)?.links += 1;
        self.files += 1;
        self.set_entry(place.dir, place.name.clone(), Some(ino), now)
    }

    pub(crate) fn unlink(&mut self, place: &Place, now: u64) -> Result<()> {
        let ino = place.node.ok_or(Errno::Noent)?;
        if self.is_dir(ino) {
            return Err(Errno::Isdir);
        }
        if place.must_be_dir {
            return Err(Errno::Notdir);
        }
        self.drop_name(place, ino, now)
    }

    pub(crate) fn remove_dir(&mut self, place: &Place, now: u64) -> Result<()> {
        let ino = place.node.ok_or(Errno::Noent)?;
        if !self.entries(ino)?.0.is_empty() {
            return Err(Errno::Notempty);
        }
        if &*place.name == "." {
            return Err(Errno::Inval);
        }
        self.drop_name(place, ino, now)
    }

    fn drop_name(&mut self, place: &Place, ino: Ino, now: u64) -> Result<()> {
        if !self.node(place.dir)?.writable || !self.node(ino)?.writable {
            return Err(Errno::Access);
        }
        self.set_entry(place.dir, place.name.clone(), None, now)?;
        let node = self.node_mut(ino)?;
        node.links = node.links.saturating_sub(1);
        node.changed = now;
        self.files = self.files.saturating_sub(1);
        self.forget_if_unused(ino);
        Ok(())
    }

    fn forget_if_unused(&mut self, ino: Ino) {
        let Some(node) = self.nodes.get(&ino) else {
            return;
        };
        if node.links == 0 && node.open == 0 {
            let freed = match &node.kind {
                Kind::File(data) => data.len() as u64,
                Kind::Symlink(target) => target.len() as u64,
                _ => 0,
            };
            self.bytes = self.bytes.saturating_sub(freed);
            Arc::make_mut(&mut self.nodes).remove(&ino);
        }
    }

    pub(crate) fn rename(&mut self, from: &Place, to: &Place, now: u64) -> Result<()> {
        let ino = from.node.ok_or(Errno::Noent)?;
        if &*from.name == "." || &*to.name == "." {
            return Err(Errno::Inval);
        }
        for dir in [from.dir, to.dir] {
            if !self.node(dir)?.writable {
                return Err(Errno::Access);
            }
        }
        if !self.node(ino)?.writable {
            return Err(Errno::Access);
        }
        if to.node == Some(ino) {
            return Ok(());
        }
        let moving_dir = self.is_dir(ino);
        if !moving_dir && (from.must_be_dir || to.must_be_dir) {
            return Err(Errno::Notdir);
        }
        if moving_dir {
            // A folder cannot move into itself.
            let mut dir = to.dir;
            while dir != ROOT {
                if dir == ino {
                    return Err(Errno::Inval);
                }
                dir = self.entries(dir)?.1;
            }
            if self.depth(to.dir)? + self.height(ino) > MAX_DEPTH {
                return Err(Errno::Nametoolong);
            }
        }
        if let Some(old) = to.node {
            match (moving_dir, self.is_dir(old)) {
                (true, false) => return Err(Errno::Notdir),
                (false, true) => return Err(Errno::Isdir),
                (true, true) if !self.entries(old)?.0.is_empty() => return Err(Errno::Notempty),
                _ => {}
            }
            self.drop_name(to, old, now)?;
        }
        self.set_entry(from.dir, from.name.clone(), None, now)?;
        self.set_entry(to.dir, to.name.clone(), Some(ino), now)?;
        if let Kind::Dir { parent, .. } = &mut self.node_mut(ino)?.kind {
            *parent = to.dir;
        }
        Ok(())
    }

    pub(crate) fn read_link(&self, ino: Ino) -> Result<Arc<str>> {
        match &self.node(ino)?.kind {
            Kind::Symlink(target) => Ok(target.clone()),
            _ => Err(Errno::Inval),
        }
    }

    pub(crate) fn opened(&mut self, ino: Ino) -> Result<()> {
        self.node_mut(ino)?.open += 1;
        Ok(())
    }

    pub(crate) fn closed(&mut self, ino: Ino) {
        if let Ok(node) = self.node_mut(ino) {
            node.open = node.open.saturating_sub(1);
            self.forget_if_unused(ino);
        }
    }
}

fn push_names(todo: &mut Vec<Arc<str>>, path: &str) {
    todo.extend(
        path.rsplit('/')
            .filter(|n| !n.is_empty() && *n != ".")
            .map(Arc::from),
    );
}
