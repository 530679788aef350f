//! What is done to names: creating, linking, removing, renaming.

use std::sync::Arc;

use super::content::Content;
use super::node::{Dir, Ino, Kind};
use super::tree::{Quota, ROOT, Tree};
use super::walk::{MAX_DEPTH, Place};
use crate::sandbox::wasi::{Errno, Result};

impl Tree {
    fn check_new(&self, place: &Place, quota: &Quota) -> Result<()> {
        if place.node.is_some() {
            return Err(Errno::Exist);
        }
        self.check_writable(place.dir)?;
        if self.node(place.dir)?.links == 0 {
            // Removed, but still open.
            return Err(Errno::Noent);
        }
        if self.files >= quota.files {
            return Err(Errno::Nospc);
        }
        Ok(())
    }

    /// What is no folder cannot have a name that ends in a slash.
    fn check_plain(place: &Place) -> Result<()> {
        match (place.must_be_dir, place.node) {
            (true, None) => Err(Errno::Noent),
            _ => Ok(()),
        }
    }

    pub(crate) fn create_file(&mut self, place: &Place, quota: &Quota, now: u64) -> Result<Ino> {
        if place.must_be_dir {
            return Err(Errno::Isdir);
        }
        self.create(place, Kind::File(Content::default()), quota, now)
    }

    pub(crate) fn create_dir(&mut self, place: &Place, quota: &Quota, now: u64) -> Result<Ino> {
        if self.depth(place.dir)? >= MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        self.create(place, Kind::Dir(Dir::empty(place.dir)), quota, now)
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
        Self::check_plain(place)?;
        self.create(place, Kind::Symlink(target.into()), quota, now)
    }

    fn create(&mut self, place: &Place, kind: Kind, quota: &Quota, now: u64) -> Result<Ino> {
        self.check_new(place, quota)?;
        if let Kind::Symlink(target) = &kind {
            self.bytes = self.room(target.len() as u64, quota)?;
        }
        let dev = self.node(place.dir)?.dev;
        let ino = self.insert_node(kind, dev, true, now);
        self.set_entry(place.dir, place.name.clone(), Some(ino), now)?;
        self.files += 1;
        Ok(ino)
    }

    /// A second name for a file.
    pub(crate) fn link(&mut self, ino: Ino, place: &Place, quota: &Quota, now: u64) -> Result<()> {
        let node = self.node(ino)?;
        if node.dev != self.node(place.dir)?.dev {
            return Err(Errno::Xdev);
        }
        // The host's files have the names they have: a second one could not be written back.
        if node.hosted || !node.writable || matches!(node.kind, Kind::Dir(_)) {
            return Err(Errno::Perm);
        }
        Self::check_plain(place)?;
        self.check_new(place, quota)?;
        let node = self.node_mut(ino)?;
        node.links += 1;
        node.changed = now;
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
        // The answers of Linux.
        match &*place.name {
            "." => return Err(Errno::Inval),
            ".." => return Err(Errno::Notempty),
            _ => {}
        }
        self.ensure_listed(ino)?;
        if !self.dir(ino)?.entries.is_empty() {
            return Err(Errno::Notempty);
        }
        self.drop_name(place, ino, now)
    }

    /// Whether the name at `place` may go away.
    fn check_removable(&self, place: &Place, ino: Ino) -> Result<()> {
        self.check_writable(place.dir)?;
        self.check_writable(ino)?;
        if self.node(place.dir)?.dev != self.node(ino)?.dev {
            // Something is mounted there.
            return Err(Errno::Busy);
        }
        Ok(())
    }

    fn drop_name(&mut self, place: &Place, ino: Ino, now: u64) -> Result<()> {
        self.check_removable(place, ino)?;
        self.set_entry(place.dir, place.name.clone(), None, now)?;
        let node = self.node_mut(ino)?;
        node.links = node.links.saturating_sub(1);
        node.changed = now;
        if !node.hosted {
            self.files = self.files.saturating_sub(1);
        }
        self.forget_if_unused(ino);
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &Place, to: &Place, now: u64) -> Result<()> {
        let ino = from.node.ok_or(Errno::Noent)?;
        if [from, to]
            .iter()
            .any(|place| matches!(&*place.name, "." | ".."))
        {
            return Err(Errno::Busy);
        }
        if self.node(from.dir)?.dev != self.node(to.dir)?.dev {
            return Err(Errno::Xdev);
        }
        self.check_writable(to.dir)?;
        self.check_removable(from, ino)?;
        self.check_movable(ino)?;
        let moving_dir = self.is_dir(ino);
        if !moving_dir && (from.must_be_dir || to.must_be_dir) {
            return Err(Errno::Notdir);
        }
        if to.node == Some(ino) {
            return Ok(());
        }
        if moving_dir {
            // A folder cannot move into itself.
            let mut dir = to.dir;
            while dir != ROOT {
                if dir == ino {
                    return Err(Errno::Inval);
                }
                dir = self.dir(dir)?.parent;
            }
            // What moves is told name by name when it is written back.
            self.list_all(ino)?;
            if self.depth(to.dir)? + self.height(ino) > MAX_DEPTH {
                return Err(Errno::Nametoolong);
            }
        }
        if let Some(old) = to.node {
            match (moving_dir, self.is_dir(old)) {
                (true, false) => return Err(Errno::Notdir),
                (false, true) => return Err(Errno::Isdir),
                (true, true) => {
                    self.ensure_listed(old)?;
                    if !self.dir(old)?.entries.is_empty() {
                        return Err(Errno::Notempty);
                    }
                }
                (false, false) => {}
            }
            self.drop_name(to, old, now)?;
        }
        self.set_entry(from.dir, from.name.clone(), None, now)?;
        self.set_entry(to.dir, to.name.clone(), Some(ino), now)?;
        let node = self.node_mut(ino)?;
        node.changed = now;
        if let Kind::Dir(dir) = &mut node.kind {
            dir.parent = to.dir;
        }
        Ok(())
    }

    /// A pipe, device or socket of the host stays where it is: it could not be made anew elsewhere
    /// when the changes are written back.
    fn check_movable(&self, ino: Ino) -> Result<()> {
        match self.node(ino)?.kind {
            Kind::Special(_) => Err(Errno::Perm),
            _ => Ok(()),
        }
    }

    /// Lists every folder of a mount at and below `ino`.
    fn list_all(&mut self, ino: Ino) -> Result<()> {
        let mut todo = vec![(ino, 0)];
        while let Some((ino, depth)) = todo.pop() {
            if depth > MAX_DEPTH {
                return Err(Errno::Nametoolong);
            }
            self.ensure_listed(ino)?;
            let below: Vec<Ino> = self.dir(ino)?.entries.values().copied().collect();
            for ino in &below {
                self.check_movable(*ino)?;
            }
            todo.extend((below.into_iter().filter(|i| self.is_dir(*i))).map(|i| (i, depth + 1)));
        }
        Ok(())
    }
}

/// The path of `name` in the folder `path`, from the top of a mount.
pub(super) fn below(path: &str, name: &str) -> Arc<str> {
    match path {
        "" => name.into(),
        _ => format!("{path}/{name}").into(),
    }
}
