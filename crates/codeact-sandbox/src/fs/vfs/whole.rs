//! Operations of the caller on the tree between turns: whole files and whole folders by path.
//!
//! Paths are resolved as the guest's are, in the tree only, and the same checks and quota apply.

use std::sync::Arc;

use crate::fs::vfs::node::{Ino, Kind, ROOT};
use crate::fs::vfs::paths::{HOME, MAX_DEPTH};
use crate::fs::vfs::tree::{Quota, Tree};
use crate::fs::vfs::walk::ResolvedPath;
use crate::types::errno::{Errno, Result};

/// A name in the tree, with the attributes of its node.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) name: Arc<str>,
    /// Absolute path without symbolic links.
    pub(crate) path: String,
    pub(crate) kind: Kind,
    /// Nanoseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) writable: bool,
}

impl Tree {
    /// Returns the folder from which `path` is resolved.
    fn start(&mut self, path: &str) -> Result<Ino> {
        match path.starts_with('/') {
            true => Ok(ROOT),
            false => self.lookup(ROOT, HOME, true),
        }
    }

    /// Resolves `path`, absolute or relative to the home folder.
    fn locate(&mut self, path: &str, follow_last: bool) -> Result<ResolvedPath> {
        let from = self.start(path)?;
        self.resolve(from, path, follow_last || path.ends_with('/'))
    }

    /// As [`Tree::locate`], for a node that must exist.
    fn locate_node(&mut self, path: &str, follow_last: bool) -> Result<Ino> {
        let from = self.start(path)?;
        self.lookup(from, path, follow_last)
    }

    /// Returns the absolute path and the content of a file. A file of a mount is opened again.
    pub(crate) fn whole_file(&mut self, path: &str) -> Result<(String, Kind)> {
        let ino = self.locate_node(path, true)?;
        match &self.node(ino)?.kind {
            Kind::Dir(_) => return Err(Errno::Isdir),
            Kind::Special(_) => return Err(Errno::Access),
            Kind::Symlink(_) => return Err(Errno::Loop),
            Kind::File(_) | Kind::Pack(_) | Kind::Null => {}
        }
        self.reopen(ino, false, false)?;
        let kind = self.node(ino)?.kind.clone();
        if let Kind::File(content) = &kind
            && let Some(file) = content.base()
        {
            // The handle that a reader needs is opened again, and not held until then.
            file.close();
        }
        let resolved = self.locate(path, true)?;
        Ok((self.path_of_name(resolved.dir, &resolved.name)?, kind))
    }

    /// Makes `bytes` the content of the file at `path`, and creates it and its parent folders if they do not exist.
    pub(crate) fn replace_file(
        &mut self,
        path: &str,
        bytes: &[u8],
        quota: &Quota,
        now: u64,
    ) -> Result<()> {
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        if matches!(name, "" | "." | "..") {
            return Err(Errno::Isdir);
        }
        let start = self.start(path)?;
        let dir = self.ensure_folders(start, parents, quota, now)?;
        let target = self.resolve(dir, name, true)?;
        let ino = match target.node {
            Some(ino) => ino,
            None => self.create_file(&target, quota, now)?,
        };
        match &self.node(ino)?.kind {
            Kind::Null => return Ok(()),
            Kind::Dir(_) => return Err(Errno::Isdir),
            Kind::Special(_) => return Err(Errno::Access),
            _ => self.check_writable(ino)?,
        }
        if target.must_be_dir {
            return Err(Errno::Notdir);
        }
        self.reopen(ino, true, true)?;
        self.resize(ino, 0, quota, now)?;
        self.write_at(ino, bytes, 0, quota, now).map(drop)
    }

    /// Returns the folder `folders` below `here`, and creates those that do not exist.
    fn ensure_folders(
        &mut self,
        mut here: Ino,
        folders: &str,
        quota: &Quota,
        now: u64,
    ) -> Result<Ino> {
        for name in folders.split('/').filter(|name| !name.is_empty()) {
            let found = self.resolve(here, name, false)?;
            here = match found.node {
                Some(_) => self.lookup(here, name, true)?,
                None => self.create_dir(&found, quota, now)?,
            };
        }
        self.dir(here)?;
        Ok(here)
    }

    /// Creates the folder `path` and its parent folders.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Exist`] if `path` exists.
    pub(crate) fn make_folder(&mut self, path: &str, quota: &Quota, now: u64) -> Result<()> {
        let path = path.trim_end_matches('/');
        if path.is_empty() {
            return Err(Errno::Exist);
        }
        let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
        let start = self.start(path)?;
        let dir = self.ensure_folders(start, parents, quota, now)?;
        let target = self.resolve(dir, name, false)?;
        self.create_dir(&target, quota, now).map(drop)
    }

    /// Returns the entries of the folder `path` by name, without `.` and `..`.
    pub(crate) fn names_in(&mut self, path: &str) -> Result<Vec<Named>> {
        let dir = self.locate_node(path, true)?;
        if !self.is_dir(dir) {
            return Err(Errno::Notdir);
        }
        let folder = self.path_of_folder(dir)?;
        let entries = self.list(dir)?.into_iter();
        entries
            .filter(|(name, ..)| !matches!(&**name, "." | ".."))
            .map(|(name, ino, _)| self.named(&folder, name, ino))
            .collect()
    }

    /// Returns the attributes of `path`. A symbolic link at its end is not followed.
    pub(crate) fn name_at(&mut self, path: &str) -> Result<Named> {
        let found = self.locate(path, false)?;
        let ino = found.node.ok_or(Errno::Noent)?;
        if self.is_dir(ino) {
            let path = self.path_of_folder(ino)?;
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", ""));
            let name = if name.is_empty() { "/" } else { name };
            let mut named = self.named(folder, name.into(), ino)?;
            named.path = path;
            return Ok(named);
        }
        if found.must_be_dir {
            return Err(Errno::Notdir);
        }
        let folder = self.path_of_folder(found.dir)?;
        self.named(&folder, found.name, ino)
    }

    fn named(&self, folder: &str, name: Arc<str>, ino: Ino) -> Result<Named> {
        let node = self.node(ino)?;
        Ok(Named {
            path: below(folder, &name),
            name,
            kind: node.kind.clone(),
            modified: node.modified,
            writable: node.writable || matches!(node.kind, Kind::Null),
        })
    }

    /// Removes `path`, and everything below it if it is a folder. Symbolic links are removed and not followed.
    pub(crate) fn remove_all(&mut self, path: &str, now: u64) -> Result<()> {
        let found = self.locate(path.trim_end_matches('/'), false);
        let found = match found {
            // The path was the root folder.
            Err(_) if !path.is_empty() && path.trim_end_matches('/').is_empty() => {
                return Err(Errno::Busy);
            }
            found => found?,
        };
        if matches!(&*found.name, "." | "..") {
            return Err(Errno::Inval);
        }
        found.node.ok_or(Errno::Noent)?;
        self.remove_below(&found, 0, now)
    }

    fn remove_below(&mut self, path: &ResolvedPath, depth: usize, now: u64) -> Result<()> {
        let ino = path.node.ok_or(Errno::Noent)?;
        if !self.is_dir(ino) {
            return self.unlink(path, now);
        }
        if depth > MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        // Before anything below it is listed.
        self.check_writable(path.dir)?;
        self.check_writable(ino)?;
        for (name, child, _) in self.list(ino)? {
            if !matches!(&*name, "." | "..") {
                let child = ResolvedPath {
                    dir: ino,
                    name,
                    node: Some(child),
                    must_be_dir: false,
                };
                self.remove_below(&child, depth + 1, now)?;
            }
        }
        self.remove_dir(path, now)
    }

    /// Renames `from` to `to`. As `rename` of POSIX it replaces a file, and an empty folder by a folder.
    pub(crate) fn rename_paths(&mut self, from: &str, to: &str, now: u64) -> Result<()> {
        let from = self.locate(from, false)?;
        from.node.ok_or(Errno::Noent)?;
        let to = self.locate(to, false)?;
        self.rename(&from, &to, now)
    }

    fn path_of_name(&self, folder: Ino, name: &str) -> Result<String> {
        Ok(below(&self.path_of_folder(folder)?, name))
    }

    /// Returns the absolute path of a folder.
    fn path_of_folder(&self, folder: Ino) -> Result<String> {
        let mut names = Vec::new();
        let mut here = folder;
        while here != ROOT {
            let parent = self.dir(here)?.parent;
            let mut entries = self.dir(parent)?.entries.iter();
            let (name, _) = entries.find(|(_, ino)| **ino == here).ok_or(Errno::Noent)?;
            names.push(name.clone());
            here = parent;
            if names.len() > 2 * MAX_DEPTH {
                return Err(Errno::Nametoolong);
            }
        }
        names.reverse();
        Ok(format!("/{}", names.join("/")))
    }
}

/// Returns the path of `name` in `folder`.
fn below(folder: &str, name: &str) -> String {
    match name {
        "/" => name.to_owned(),
        _ => format!("{}/{name}", folder.trim_end_matches('/')),
    }
}
