//! Named sessions on disk: every finished turn is there, whatever happens after it.
//!
//! [`SessionStore`] is the folder of all; [`NamedSession`] one that is open, held by a lock. Each turn
//! leaves two files, written one after the other and each whole or not at all: the snapshot after it,
//! then its record. With the record the turn is committed; a process that is killed at any moment
//! leaves at most a file that nobody asks for. A snapshot holds what has changed since the one before
//! it; every few turns one is whole. `folder` is one session's files, `named` an open session, `record` what is told of a
//! turn, `archive` the one file a session moves in.

mod archive;
mod error;
mod folder;
mod named;
mod record;

pub use error::SessionError;
pub use named::NamedSession;
pub use record::{ChangedFile, TurnRecord};

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::pack::Dirs;
use crate::sandbox::Sandbox;
use folder::{go_back, has_state, lock, numbers, snapshot_path, stand, sync, tidy};

/// A folder of sessions.
#[derive(Debug, Clone)]
pub struct SessionStore {
    root: PathBuf,
}

/// What is known of a session without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its name.
    pub name: String,
    /// Its last turn's number, from 1; 0 when it has none.
    pub turns: u32,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was last changed.
    pub modified: Option<SystemTime>,
}

/// Beginnings of names of folders that are being made or removed.
const TEMPORARY: &str = ".tmp-";

impl SessionStore {
    /// The sessions of the user whose folders are `dirs`.
    pub fn new(dirs: &Dirs) -> Self {
        Self::at(dirs.data.join("sessions"))
    }

    /// The sessions in `root`, which is made when something is first written.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// All sessions, by name.
    ///
    /// # Errors
    ///
    /// [`SessionError::Io`].
    pub fn list(&self) -> Result<Vec<SessionInfo>, SessionError> {
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(SessionError::io("list", &self.root))?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let entry = entry.map_err(SessionError::io("list", &self.root))?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if check_name(&name).is_err() || !entry.path().is_dir() {
                continue;
            }
            let (mut bytes, mut modified) = (0, None);
            for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                if let Ok(meta) = file.metadata() {
                    bytes += meta.len();
                    modified = modified.max(meta.modified().ok());
                }
            }
            all.push(SessionInfo {
                turns: numbers(&entry.path(), "json")?.last().copied().unwrap_or(0),
                name,
                bytes,
                modified,
            });
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Opens `name` to go on with it in `sandbox`; a new one when there is none.
    ///
    /// # Errors
    ///
    /// [`SessionError::Name`]; [`SessionError::InUse`] when another process has it; an error of the
    /// snapshot when that does not fit or is damaged.
    pub fn open(&self, name: &str, sandbox: &Sandbox) -> Result<NamedSession, SessionError> {
        check_name(name)?;
        let folder = self.root.join(name);
        create_private(&folder)?;
        let lock = lock(&folder, name)?;
        Ok(NamedSession::new(stand(&folder, sandbox)?, folder, lock))
    }

    /// What is told of the turns of `name`, in their order.
    ///
    /// # Errors
    ///
    /// [`SessionError::Missing`], [`SessionError::Damaged`] or [`SessionError::Io`].
    pub fn turns(&self, name: &str) -> Result<Vec<TurnRecord>, SessionError> {
        let folder = self.existing(name)?;
        let numbers = numbers(&folder, "json")?;
        (numbers.into_iter())
            .map(|turn| record::read(&folder, turn))
            .collect()
    }

    /// Goes back `count` turns, files and variables. Tells which turn is the last then.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoTurn`] when there are not so many, or the snapshot to go back to is no longer
    /// kept; nothing is changed then.
    pub fn undo(&self, name: &str, count: u32) -> Result<u32, SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        go_back(&folder, name, count)
    }

    /// Makes `new`, a session that is as `name` was after `turn`; after its last one without.
    ///
    /// # Errors
    ///
    /// [`SessionError::Exists`], [`SessionError::NoTurn`], [`SessionError::Io`].
    pub fn fork(&self, name: &str, turn: Option<u32>, new: &str) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        self.copy(&folder, name, turn, new)
    }

    /// As [`SessionStore::fork`], of a session that is open here.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::fork`].
    pub fn fork_open(&self, open: &NamedSession, new: &str) -> Result<(), SessionError> {
        self.copy(open.folder(), &open.name(), None, new)
    }

    fn copy(
        &self,
        folder: &Path,
        name: &str,
        turn: Option<u32>,
        new: &str,
    ) -> Result<(), SessionError> {
        let turns = numbers(folder, "json")?;
        let last = turn.or(turns.last().copied()).unwrap_or(0);
        let known = turns.contains(&last) && has_state(folder, last)?;
        if !known && (last > 0 || turn.is_some()) {
            return Err(SessionError::NoTurn {
                name: name.into(),
                turn: last,
            });
        }
        self.make(new, |into| {
            for turn in turns.iter().filter(|turn| **turn <= last) {
                for path in [record::path(folder, *turn), snapshot_path(folder, *turn)] {
                    let Some(file) = path.file_name().filter(|_| path.exists()) else {
                        continue;
                    };
                    // Files are never changed once they are there, so both may have the same.
                    let to = into.join(file);
                    fs::hard_link(&path, &to)
                        .or_else(|_| fs::copy(&path, &to).map(drop))
                        .map_err(SessionError::io("copy to", &to))?;
                }
            }
            Ok(())
        })
    }

    /// Removes `name` and all its turns.
    ///
    /// # Errors
    ///
    /// [`SessionError::Missing`], [`SessionError::InUse`], [`SessionError::Io`].
    pub fn remove(&self, name: &str) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let held = lock(&folder, name)?;
        let away = self.temporary()?;
        let to = away.path().join("session");
        fs::rename(&folder, &to).map_err(SessionError::io("remove", &folder))?;
        drop(held);
        away.close().map_err(SessionError::io("remove", &folder))
    }

    /// Removes what killed processes left, and all snapshots of `keep` sessions' turns but the newest
    /// `keep`; their records stay. Tells how many bytes that freed.
    ///
    /// # Errors
    ///
    /// [`SessionError::Io`]. Sessions that are in use are passed over.
    pub fn collect(&self, keep: usize) -> Result<u64, SessionError> {
        let mut freed = 0;
        for entry in fs::read_dir(&self.root).into_iter().flatten().flatten() {
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(TEMPORARY) && is_old(&entry.path()) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        for info in self.list()? {
            let folder = self.root.join(&info.name);
            let Ok(_lock) = lock(&folder, &info.name) else {
                continue;
            };
            freed += tidy(&folder, keep, 0)?;
        }
        Ok(freed)
    }

    fn existing(&self, name: &str) -> Result<PathBuf, SessionError> {
        check_name(name)?;
        let folder = self.root.join(name);
        match folder.is_dir() {
            true => Ok(folder),
            false => Err(SessionError::Missing { name: name.into() }),
        }
    }

    fn temporary(&self) -> Result<tempfile::TempDir, SessionError> {
        create_private(&self.root)?;
        tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(&self.root)
            .map_err(SessionError::io("write to", &self.root))
    }

    /// Makes the session `new` in a folder that `fill` fills, there whole or not at all.
    fn make(
        &self,
        new: &str,
        fill: impl FnOnce(&Path) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        check_name(new)?;
        let folder = self.root.join(new);
        let exists = || SessionError::Exists { name: new.into() };
        if folder.exists() {
            return Err(exists());
        }
        let made = self.temporary()?;
        fill(made.path())?;
        sync(made.path());
        // On Unix this would take the place of an empty folder, and of no other.
        match fs::rename(made.path(), &folder) {
            Ok(()) => {
                // It is where it belongs, and no longer temporary.
                let _ = made.keep();
                sync(&self.root);
                Ok(())
            }
            Err(_) if folder.exists() => Err(exists()),
            Err(e) => Err(SessionError::io("make", &folder)(e)),
        }
    }
}

fn check_name(name: &str) -> Result<(), SessionError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = !name.is_empty() && name.len() <= 100 && name.chars().all(plain);
    match good && !name.starts_with(['.', '-']) && !name.ends_with('.') {
        true => Ok(()),
        false => Err(SessionError::Name { name: name.into() }),
    }
}

/// What code printed and holds is nobody else's business.
fn create_private(folder: &Path) -> Result<(), SessionError> {
    crate::pack::create_private_dir(folder).map_err(SessionError::io("make", folder))
}

fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|meta| meta.modified());
    age.is_ok_and(|made| made.elapsed().is_ok_and(|age| age.as_secs() > 3600))
}
