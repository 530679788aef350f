//! Operations on names: creating, linking, removing, renaming.

use crate::fs::vfs::content::Content;
use crate::fs::vfs::node::{Dir, Ino, Kind, ROOT};
use crate::fs::vfs::paths::MAX_DEPTH;
use crate::fs::vfs::tree::{Quota, Tree};
use crate::fs::vfs::walk::ResolvedPath;
use crate::types::errno::{Errno, Result};

impl Tree {
    /// Checks that a name can be created at `path`.
    fn check_new(&self, path: &ResolvedPath, quota: &Quota) -> Result<()> {
        if path.node.is_some() {
            return Err(Errno::Exist);
        }
        self.check_writable(path.dir)?;
        if self.node(path.dir)?.links == 0 {
            // The folder is removed but still open.
            return Err(Errno::Noent);
        }
        if self.files >= quota.files {
            return Err(Errno::Nospc);
        }
        Ok(())
    }

    /// Rejects a new name with a trailing slash, which only a folder can have.
    fn check_no_trailing_slash(path: &ResolvedPath) -> Result<()> {
        match (path.must_be_dir, path.node) {
            (true, None) => Err(Errno::Noent),
            _ => Ok(()),
        }
    }

    pub(crate) fn create_file(
        &mut self,
        path: &ResolvedPath,
        quota: &Quota,
        now: u64,
    ) -> Result<Ino> {
        if path.must_be_dir {
            return Err(Errno::Isdir);
        }
        self.create(path, Kind::File(Content::default()), quota, now)
    }

    pub(crate) fn create_dir(
        &mut self,
        path: &ResolvedPath,
        quota: &Quota,
        now: u64,
    ) -> Result<Ino> {
        if self.depth(path.dir)? >= MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        self.create(path, Kind::Dir(Dir::empty(path.dir)), quota, now)
    }

    pub(crate) fn create_symlink(
        &mut self,
        path: &ResolvedPath,
        target: &str,
        quota: &Quota,
        now: u64,
    ) -> Result<Ino> {
        if target.is_empty() {
            return Err(Errno::Noent);
        }
        Self::check_no_trailing_slash(path)?;
        self.create(path, Kind::Symlink(target.into()), quota, now)
    }

    fn create(&mut self, path: &ResolvedPath, kind: Kind, quota: &Quota, now: u64) -> Result<Ino> {
        self.check_new(path, quota)?;
        if let Kind::Symlink(target) = &kind {
            self.bytes = self.check_bytes(target.len() as u64, quota)?;
        }
        let dev = self.node(path.dir)?.dev;
        let ino = self.insert_node(kind, dev, true, now);
        self.set_entry(path.dir, path.name.clone(), Some(ino), now)?;
        self.files += 1;
        Ok(ino)
    }

    /// Adds a name to the file `ino`.
    pub(crate) fn link(
        &mut self,
        ino: Ino,
        path: &ResolvedPath,
        quota: &Quota,
        now: u64,
    ) -> Result<()> {
        let node = self.node(ino)?;
        if node.dev != self.node(path.dir)?.dev {
            return Err(Errno::Xdev);
        }
        // A second name for a file of the host could not be written back.
        if node.hosted || !node.writable || matches!(node.kind, Kind::Dir(_)) {
            return Err(Errno::Perm);
        }
        Self::check_no_trailing_slash(path)?;
        self.check_new(path, quota)?;
        let node = self.node_mut(ino)?;
        node.links += 1;
        node.changed = now;
        self.files += 1;
        self.set_entry(path.dir, path.name.clone(), Some(ino), now)
    }

    pub(crate) fn unlink(&mut self, path: &ResolvedPath, now: u64) -> Result<()> {
        let ino = path.node.ok_or(Errno::Noent)?;
        if self.is_dir(ino) {
            return Err(Errno::Isdir);
        }
        if path.must_be_dir {
            return Err(Errno::Notdir);
        }
        self.remove_name(path, ino, now)
    }

    pub(crate) fn remove_dir(&mut self, path: &ResolvedPath, now: u64) -> Result<()> {
        let ino = path.node.ok_or(Errno::Noent)?;
        // As Linux.
        match &*path.name {
            "." => return Err(Errno::Inval),
            ".." => return Err(Errno::Notempty),
            _ => {}
        }
        self.ensure_listed(ino)?;
        if !self.is_empty(ino)? {
            return Err(Errno::Notempty);
        }
        self.remove_name(path, ino, now)
    }

    /// Checks that the name at `path` may be removed.
    fn check_removable(&self, path: &ResolvedPath, ino: Ino) -> Result<()> {
        self.check_writable(path.dir)?;
        self.check_writable(ino)?;
        if self.node(path.dir)?.dev != self.node(ino)?.dev {
            // It is a mount point.
            return Err(Errno::Busy);
        }
        Ok(())
    }

    fn remove_name(&mut self, path: &ResolvedPath, ino: Ino, now: u64) -> Result<()> {
        self.check_removable(path, ino)?;
        self.set_entry(path.dir, path.name.clone(), None, now)?;
        let node = self.node_mut(ino)?;
        node.links = node.links.saturating_sub(1);
        node.changed = now;
        if !node.hosted {
            self.files = self.files.saturating_sub(1);
        }
        self.remove_if_unused(ino);
        Ok(())
    }

    pub(crate) fn rename(
        &mut self,
        from: &ResolvedPath,
        to: &ResolvedPath,
        now: u64,
    ) -> Result<()> {
        let ino = from.node.ok_or(Errno::Noent)?;
        if [from, to]
            .iter()
            .any(|path| matches!(&*path.name, "." | ".."))
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
            // A commit writes each moved name, so all of them must be listed.
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
                    if !self.is_empty(old)? {
                        return Err(Errno::Notempty);
                    }
                }
                (false, false) => {}
            }
            self.remove_name(to, old, now)?;
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

    /// Rejects moving a pipe, device or socket of the host, because a commit cannot create it at another path.
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
            let children: Vec<Ino> = self.dir(ino)?.entries.values().copied().collect();
            for ino in &children {
                self.check_movable(*ino)?;
            }
            todo.extend((children.into_iter().filter(|i| self.is_dir(*i))).map(|i| (i, depth + 1)));
        }
        Ok(())
    }
}
