//! Resolution of guest paths. All walks are bounded.

use std::sync::Arc;

use crate::fs::vfs::node::{Ino, Kind, ROOT};
use crate::fs::vfs::paths::MAX_NAME_BYTES;
use crate::fs::vfs::tree::Tree;
use crate::types::errno::{Errno, Result};

/// Maximum number of symbolic links that one walk follows.
const MAX_SYMLINKS: u32 = 32;
/// Maximum number of pending names when a symbolic link is followed.
const MAX_PENDING_NAMES: usize = 4096;

/// Result of resolving a path.
pub(crate) struct ResolvedPath {
    /// The folder that contains the last name.
    pub(crate) dir: Ino,
    /// The last name. It is `.` or `..` if the path ended in that.
    pub(crate) name: Arc<str>,
    /// `None` if the name does not exist.
    pub(crate) node: Option<Ino>,
    /// True if the path ended in a slash, `.` or `..`, so that it can only be a folder.
    pub(crate) must_be_dir: bool,
}

impl Tree {
    /// Resolves `path`, relative to the folder `from`. All folders must exist; the last name need not. Lists folders of
    /// mounts on the way.
    pub(crate) fn resolve(
        &mut self,
        from: Ino,
        path: &str,
        follow_last: bool,
    ) -> Result<ResolvedPath> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        // Pending names in reverse order, so that the target of a link can be pushed.
        let mut todo: Vec<Arc<str>> = Vec::new();
        push_names(&mut todo, path);
        let mut must_be_dir = path.ends_with('/');
        let mut dots = ".";
        let mut here = if path.starts_with('/') { ROOT } else { from };
        let mut links = 0;
        loop {
            let parent = self.dir(here)?.parent;
            let Some(name) = todo.pop() else {
                // The path was `/`, or ended in `.` or `..`.
                return Ok(ResolvedPath {
                    dir: parent,
                    name: Arc::from(dots),
                    node: Some(here),
                    must_be_dir: true,
                });
            };
            if &*name == "." {
                dots = ".";
                continue;
            }
            if &*name == ".." {
                dots = "..";
                here = parent;
                continue;
            }
            if name.len() > MAX_NAME_BYTES {
                return Err(Errno::Nametoolong);
            }
            self.ensure_listed(here)?;
            let found = self.dir(here)?.entries.get(&name).copied();
            let last = todo.is_empty();
            if let Some(ino) = found
                && let Kind::Symlink(target) = &self.node(ino)?.kind
                && (!last || follow_last)
            {
                links += 1;
                if links > MAX_SYMLINKS || todo.len() > MAX_PENDING_NAMES {
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
                return Ok(ResolvedPath {
                    dir: here,
                    name,
                    node: found,
                    must_be_dir,
                });
            }
            here = found.ok_or(Errno::Noent)?;
        }
    }

    /// As [`Tree::resolve`], for a node that must exist.
    pub(crate) fn lookup(&mut self, from: Ino, path: &str, follow_last: bool) -> Result<Ino> {
        // A trailing slash always follows the link.
        let resolved = self.resolve(from, path, follow_last || path.ends_with('/'))?;
        let ino = resolved.node.ok_or(Errno::Noent)?;
        if resolved.must_be_dir && !self.is_dir(ino) {
            return Err(Errno::Notdir);
        }
        Ok(ino)
    }

    /// Returns the number of folders from `dir` to the root, without the root.
    pub(super) fn depth(&self, mut dir: Ino) -> Result<usize> {
        let mut depth = 0;
        while dir != ROOT {
            depth += 1;
            dir = self.dir(dir)?.parent;
        }
        Ok(depth)
    }

    /// Returns the number of nested levels of folders at and below `ino`.
    pub(super) fn height(&self, ino: Ino) -> usize {
        let Ok(dir) = self.dir(ino) else {
            return 0;
        };
        let heights = dir.entries.values().map(|child| self.height(*child));
        1 + heights.max().unwrap_or(0)
    }
}

fn push_names(todo: &mut Vec<Arc<str>>, path: &str) {
    todo.extend(path.rsplit('/').filter(|n| !n.is_empty()).map(Arc::from));
}
