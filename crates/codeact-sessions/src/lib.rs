//! Named sessions on disk: each turn is durable when it has ended.
//!
//! A [`SessionStore`] is a folder of sessions. [`SessionStore::open`] locks one and returns it as a [`NamedSession`],
//! whose [`run`](NamedSession::run) runs a turn and commits it. Sessions can be listed, forked, exported, undone and
//! removed without running code; [`TurnRecord`] describes a committed turn.
//!
//! A turn is two files, written one after the other and each atomically: the snapshot after the turn, then its record.
//! The record commits the turn. A process that is killed at any moment leaves at most a snapshot without a record, which
//! is ignored. A snapshot has the changes since the previous one, and every few turns one is full.
//!
//! A program that serves many clients uses [`manager`]: live sessions in memory, idle ones in a [`SessionBackend`].
//!
//! `named` is an open session, `log` its committed turns; `folder` are the files of a session; `record` describes a turn;
//! `archive` is a session as one file.

mod archive;
mod backend;
mod error;
mod folder;
mod log;
pub mod manager;
mod named;
mod record;

pub use backend::{SessionBackend, SessionLog};
pub use error::SessionError;
pub use log::FinishedTurn;
pub use named::NamedSession;
pub use record::{ChangedFile, TurnRecord};

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use codeact_pack::Dirs;
use codeact_sandbox::Sandbox;
use folder::{
    go_back, has_state, load_current, lock, numbers, remove_temporary, snapshot_path, sync, tidy,
};

/// A folder of sessions.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use codeact_sandbox::Sandbox;
/// use codeact_sessions::SessionStore;
///
/// let sandbox = Sandbox::new().await?;
/// let store = SessionStore::at("sessions");
/// store.open("work", &sandbox)?.run("x = 1").await?;
/// store.fork("work", None, "experiment")?;
/// for session in store.list()? {
///     println!("{}: {} turns", session.name, session.turns);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SessionStore {
    root: PathBuf,
}

/// Description of a session that is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Name.
    pub name: String,
    /// Number of its last turn, from 1; 0 if there is none.
    pub turns: u32,
    /// Size on disk, in bytes.
    pub bytes: u64,
    /// Time of its last change.
    pub modified: Option<SystemTime>,
}

/// Prefix of folders that are being made or removed.
const TEMPORARY: &str = ".tmp-";

impl SessionStore {
    /// Returns the store of the user whose folders are `dirs`.
    pub fn new(dirs: &Dirs) -> Self {
        Self::at(dirs.data.join("sessions"))
    }

    /// Returns the store in the folder `root`, which is created on the first write.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns all sessions, sorted by name.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Io`].
    pub fn list(&self) -> Result<Vec<SessionInfo>, SessionError> {
        let mut all = Vec::new();
        for name in self.names()? {
            let folder = self.root.join(&name);
            let (mut bytes, mut modified) = (0, None);
            for file in fs::read_dir(&folder).into_iter().flatten().flatten() {
                if let Ok(meta) = file.metadata() {
                    bytes += meta.len();
                    modified = modified.max(meta.modified().ok());
                }
            }
            all.push(SessionInfo {
                turns: numbers(&folder, "json")?.last().copied().unwrap_or(0),
                name,
                bytes,
                modified,
            });
        }
        Ok(all)
    }

    /// Returns the names of all sessions, sorted.
    fn names(&self) -> Result<Vec<String>, SessionError> {
        let entries = match fs::read_dir(&self.root) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(SessionError::io("list", &self.root))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(SessionError::io("list", &self.root))?;
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let name = entry.file_name().into_string().ok();
            names.extend(name.filter(|name| is_dir && check_name(name).is_ok()));
        }
        names.sort();
        Ok(names)
    }

    /// Opens the session `name` in `sandbox`, or a new one if there is none.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Name`]; [`SessionError::InUse`] if another process has opened it;
    /// [`SessionError::Sandbox`] if its snapshot is damaged or does not match the sandbox.
    pub fn open(&self, name: &str, sandbox: &Sandbox) -> Result<NamedSession, SessionError> {
        check_name(name)?;
        let folder = self.root.join(name);
        create_private(&folder)?;
        let lock = lock(&folder, name)?;
        remove_temporary(&folder);
        Ok(NamedSession::new(
            load_current(&folder, sandbox)?,
            folder,
            lock,
        ))
    }

    /// Returns the records of the turns of `name`, in order.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`], [`SessionError::Damaged`] or [`SessionError::Io`].
    pub fn turns(&self, name: &str) -> Result<Vec<TurnRecord>, SessionError> {
        let folder = self.existing(name)?;
        let numbers = numbers(&folder, "json")?;
        (numbers.into_iter())
            .map(|turn| record::read(&folder, turn))
            .collect()
    }

    /// Undoes the last `count` turns. Returns the number of the last turn then.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::NoTurn`] if there are fewer turns, or if the snapshot to return to has been removed; then
    /// nothing is changed.
    pub fn undo(&self, name: &str, count: u32) -> Result<u32, SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        go_back(&folder, name, count)
    }

    /// Makes the session `new` with the state of `name` after `turn`; `None`: after its last turn.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Exists`], [`SessionError::NoTurn`] or [`SessionError::Io`].
    pub fn fork(&self, name: &str, turn: Option<u32>, new: &str) -> Result<(), SessionError> {
        self.fork_with(name, turn, new, |_| Ok(()))
    }

    /// As [`SessionStore::fork`]; `fill` writes further files to the new folder.
    fn fork_with(
        &self,
        name: &str,
        turn: Option<u32>,
        new: &str,
        fill: impl FnOnce(&Path) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        self.copy(&folder, name, turn, new, fill)
    }

    /// As [`SessionStore::fork`], for a session that this process has opened.
    ///
    /// # Errors
    ///
    /// As [`SessionStore::fork`].
    pub fn fork_open(&self, open: &NamedSession, new: &str) -> Result<(), SessionError> {
        self.copy(open.folder(), &open.name(), None, new, |_| Ok(()))
    }

    fn copy(
        &self,
        folder: &Path,
        name: &str,
        turn: Option<u32>,
        new: &str,
        fill: impl FnOnce(&Path) -> Result<(), SessionError>,
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
            fill(into)?;
            for turn in turns.iter().filter(|turn| **turn <= last) {
                for path in [record::path(folder, *turn), snapshot_path(folder, *turn)] {
                    let Some(file) = path.file_name().filter(|_| path.exists()) else {
                        continue;
                    };
                    // Files are never changed, so the sessions can share them.
                    let to = into.join(file);
                    fs::hard_link(&path, &to)
                        .or_else(|_| fs::copy(&path, &to).map(drop))
                        .map_err(SessionError::io("copy to", &to))?;
                }
            }
            Ok(())
        })
    }

    /// Removes the session `name`.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`], [`SessionError::InUse`] or [`SessionError::Io`].
    pub fn remove(&self, name: &str) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let lock = lock(&folder, name)?;
        // Renamed first, so that the session disappears atomically.
        let temporary = self.temporary()?;
        let to = temporary.path().join("session");
        fs::rename(&folder, &to).map_err(SessionError::io("remove", &folder))?;
        drop(lock);
        (temporary.close()).map_err(SessionError::io("remove", &folder))
    }

    /// Removes temporary files of killed processes, and in each session the snapshots of all but the newest `keep`
    /// turns; the records stay. Returns the number of bytes of the removed snapshots. Sessions that are in use are
    /// skipped.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Io`].
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
            remove_temporary(&folder);
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

    /// Makes the session `new` atomically: `fill` writes its files to a temporary folder.
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
        // On Unix, a rename replaces an empty folder and no other.
        match fs::rename(made.path(), &folder) {
            Ok(()) => {
                // The folder was renamed, so it must not be removed.
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

/// Creates a folder that only its owner can read, because sessions contain the data of the code.
fn create_private(folder: &Path) -> Result<(), SessionError> {
    codeact_base::private::create_dir(folder).map_err(SessionError::io("make", folder))
}

fn is_old(path: &Path) -> bool {
    let age = fs::metadata(path).and_then(|meta| meta.modified());
    age.is_ok_and(|made| made.elapsed().is_ok_and(|age| age.as_secs() > 3600))
}
