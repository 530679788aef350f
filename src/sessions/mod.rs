//! Named sessions on disk: every finished turn is there, whatever happens after it.
//!
//! [`SessionStore`] is the folder of all; [`NamedSession`] one that is open, held by a lock. Each turn
//! leaves two files, written one after the other and each whole or not at all: the snapshot after it,
//! then its record. With the record the turn is committed; a process that is killed at any moment
//! leaves at most a file that nobody asks for. `named` is an open session, `record` what is told of a
//! turn, `archive` the one file a session moves in.

mod archive;
mod error;
mod named;
mod record;

pub use error::SessionError;
pub use named::NamedSession;
pub use record::{ChangedFile, TurnRecord};

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::pack::Dirs;
use crate::sandbox::{Sandbox, Session, Snapshot};

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

const LOCK: &str = "lock";
/// Beginnings of names of folders that are being made or removed.
const TEMPORARY: &str = ".tmp-";
/// Snapshots of one session, together; the oldest go first.
const MOST_BYTES: u64 = 4 << 30;

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
        let (session, last, state) = stand(&folder, sandbox)?;
        Ok(NamedSession::new(session, folder, last, state, lock))
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

/// Removes the newest `count` turns of the session in `folder`, which is locked. Tells which turn is
/// the last then.
fn go_back(folder: &Path, name: &str, count: u32) -> Result<u32, SessionError> {
    let turns = numbers(folder, "json")?;
    let no_turn = |turn: u32| SessionError::NoTurn {
        name: name.into(),
        turn,
    };
    let Some(left) = turns.len().checked_sub(count as usize) else {
        return Err(no_turn(0));
    };
    let (kept, gone) = turns.split_at(left);
    let last = kept.last().copied().unwrap_or(0);
    if last > 0 && !has_state(folder, last)? {
        return Err(no_turn(last));
    }
    // The newest first: cut off at any moment, this has gone back some turns and no more.
    for turn in gone.iter().rev() {
        for path in [record::path(folder, *turn), snapshot_path(folder, *turn)] {
            match fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(SessionError::io("remove", &path)(e));
                }
                _ => sync(folder),
            }
        }
    }
    Ok(last)
}

/// The session that stands in `folder`, its last turn, and the turn whose snapshot it is.
fn stand(folder: &Path, sandbox: &Sandbox) -> Result<(Session, u32, u32), SessionError> {
    let last = numbers(folder, "json")?.last().copied().unwrap_or(0);
    let state = match last {
        0 => 0,
        last => record::read(folder, last)?.state,
    };
    let session = match state {
        0 => sandbox.session()?,
        state => Snapshot::load(sandbox, snapshot_path(folder, state))?.session(),
    };
    Ok((session, last, state))
}

/// Removes snapshots of turns that are not there, and of all but the newest `keep` turns, or, with
/// `most` bytes, the oldest until no more is left. That which the last turn stands on stays.
fn tidy(folder: &Path, keep: usize, most: u64) -> Result<u64, SessionError> {
    let turns = numbers(folder, "json")?;
    let state = match turns.last() {
        Some(last) => record::read(folder, *last)?.state,
        None => 0,
    };
    let kept = &turns[turns.len().saturating_sub(keep)..];
    let mut freed = 0;
    let mut left = Vec::new();
    for turn in numbers(folder, "snapshot")? {
        let path = snapshot_path(folder, turn);
        let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
        if turn == state || kept.contains(&turn) {
            left.push((turn, path, bytes));
        } else if fs::remove_file(&path).is_ok() {
            freed += bytes;
        }
    }
    let mut total: u64 = left.iter().map(|(_, _, bytes)| bytes).sum();
    for (_, path, bytes) in left.iter().filter(|(turn, ..)| *turn != state) {
        if most > 0 && total > most && fs::remove_file(path).is_ok() {
            total -= bytes;
            freed += bytes;
        }
    }
    Ok(freed)
}

/// The numbers of the files with this ending, ascending.
fn numbers(folder: &Path, ending: &str) -> Result<Vec<u32>, SessionError> {
    let entries = fs::read_dir(folder).map_err(SessionError::io("list", folder))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(SessionError::io("list", folder))?.file_name();
        let number = number_of(&name.to_string_lossy(), ending);
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The turn's number in a file's name.
fn number_of(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_suffix(ending)?.strip_suffix('.')?;
    let plain = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number > 0)
}

fn snapshot_path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.snapshot"))
}

/// Whether the state after `turn` can be gone back to.
fn has_state(folder: &Path, turn: u32) -> Result<bool, SessionError> {
    let state = record::read(folder, turn)?.state;
    Ok(state == 0 || snapshot_path(folder, state).exists())
}

fn check_name(name: &str) -> Result<(), SessionError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let good = !name.is_empty() && name.len() <= 100 && name.chars().all(plain);
    match good && !name.starts_with(['.', '-']) && !name.ends_with('.') {
        true => Ok(()),
        false => Err(SessionError::Name { name: name.into() }),
    }
}

fn lock(folder: &Path, name: &str) -> Result<File, SessionError> {
    let path = folder.join(LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(SessionError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SessionError::InUse { name: name.into() }),
        Err(TryLockError::Error(e)) => Err(SessionError::io("lock", &path)(e)),
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

/// Makes the names in `folder` durable, where the system can.
fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
