//! Walking paths. Every walk is bounded here.

use std::sync::Arc;

use super::node::{Ino, Kind};
use super::tree::{ROOT, Tree};
use crate::sandbox::wasi::{Errno, Result};

const MAX_SYMLINKS: u32 = 32;
const MAX_NAME: usize = 255;
/// Folders within folders; keeps every walk short.
pub(super) const MAX_DEPTH: usize = 128;
/// Names still to walk, when links have put theirs in front.
const MAX_NAMES: usize = 4096;

/// Where a path leads: the folder of its last name, that name, and the node if it is there.
pub(crate) struct Place {
    pub(crate) dir: Ino,
    pub(crate) name: Arc<str>,
    pub(crate) node: Option<Ino>,
    /// The path ended in a slash, so only a folder will do. Where it ended in `.` or `..`, that is
    /// the name.
    pub(crate) must_be_dir: bool,
}

impl Tree {
    /// Walks `path` from `from`. The last name need not exist; the folders before it must. Folders
    /// of a mount are listed as they are met.
    pub(crate) fn resolve(&mut self, from: Ino, path: &str, follow_last: bool) -> Result<Place> {
        if path.is_empty() {
            return Err(Errno::Noent);
        }
        // Names still to walk, last first, so that a link's target can be pushed in front.
        let mut todo: Vec<Arc<str>> = Vec::new();
        push_names(&mut todo, path);
        let mut must_be_dir = path.ends_with('/');
        let mut dots = ".";
        let mut here = if path.starts_with('/') { ROOT } else { from };
        let mut links = 0;
        loop {
            let parent = self.dir(here)?.parent;
            let Some(name) = todo.pop() else {
                // The path was `/` or ended in `.` or `..`: the folder itself.
                return Ok(Place {
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
            if name.len() > MAX_NAME {
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
                if links > MAX_SYMLINKS || todo.len() > MAX_NAMES {
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
    pub(crate) fn lookup(&mut self, from: Ino, path: &str, follow_last: bool) -> Result<Ino> {
        // `link/` is the folder behind the link, whatever was asked.
        let place = self.resolve(from, path, follow_last || path.ends_with('/'))?;
        let ino = place.node.ok_or(Errno::Noent)?;
        if place.must_be_dir && !self.is_dir(ino) {
            return Err(Errno::Notdir);
        }
        Ok(ino)
    }

    /// How many folders lie between `dir` and the root.
    pub(super) fn depth(&self, mut dir: Ino) -> Result<usize> {
        let mut depth = 0;
        while dir != ROOT {
            depth += 1;
            dir = self.dir(dir)?.parent;
        }
        Ok(depth)
    }

    /// How many levels of folders lie below `ino`, itself included.
    pub(super) fn height(&self, ino: Ino) -> usize {
        let Ok(dir) = self.dir(ino) else {
            return 0;
        };
        let below = dir.entries.values().map(|child| self.height(*child));
        1 + below.max().unwrap_or(0)
    }
}

fn push_names(todo: &mut Vec<Arc<str>>, path: &str) {
    todo.extend(path.rsplit('/').filter(|n| !n.is_empty()).map(Arc::from));
}
