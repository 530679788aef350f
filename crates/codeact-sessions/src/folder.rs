//! Files of one session: snapshots and the chains that they form, records, the lock.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::{SessionError, record};
use codeact_base::atomic_file::TEMPORARY;
use codeact_sandbox::{Sandbox, SavedSnapshot, Session, Snapshot};

/// Name of the file with the settings.
const SETTINGS: &str = "settings";
/// Limit of the settings, in bytes.
const MAX_SETTINGS_BYTES: u64 = 1 << 20;
/// Name of the lock file.
pub(super) const LOCK: &str = "lock";
/// Limit of all snapshots of one session, in bytes. The oldest are removed first.
pub(super) const MAX_SNAPSHOT_BYTES: u64 = 4 << 30;
/// Number of the last turn that a session can have, because file names have six digits.
pub(super) const MAX_TURN: u32 = 999_999;
/// Limit of the incremental snapshots on top of a full one.
pub(super) const MAX_DEPTH: u32 = 8;

/// Removes the newest `count` turns of the session in `folder`, which is locked. Returns the number of the last turn
/// then.
pub(super) fn go_back(folder: &Path, name: &str, count: u32) -> Result<u32, SessionError> {
    let turns = numbers(folder, "json")?;
    let no_turn = |turn: u32| SessionError::NoTurn {
        name: name.into(),
        turn,
    };
    let Some(left) = turns.len().checked_sub(count as usize) else {
        return Err(no_turn(0));
    };
    let (remaining, removed) = turns.split_at(left);
    let last = remaining.last().copied().unwrap_or(0);
    if last > 0 && !has_state(folder, last)? {
        return Err(no_turn(last));
    }
    // The newest first, so that the session is valid at any moment.
    for turn in removed.iter().rev() {
        for path in [
            record::path(folder, *turn),
            snapshot_path(folder, *turn),
            suspended_path(folder, *turn),
        ] {
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

/// A session, loaded from its folder.
pub(super) struct LoadedSession {
    pub(super) session: Session,
    /// Number of the last turn; 0 if there is none.
    pub(super) last: u32,
    /// Number of the turn whose snapshot was loaded; 0 if there is none.
    pub(super) state: u32,
    /// That snapshot, as the base of the next one.
    pub(super) saved: Option<SavedSnapshot>,
}

/// Loads the session in `folder` after its last turn.
pub(super) fn load_current(
    folder: &Path,
    sandbox: &Sandbox,
) -> Result<LoadedSession, SessionError> {
    let last = numbers(folder, "json")?.last().copied().unwrap_or(0);
    let state = match last {
        0 => 0,
        last => record::read(folder, last)?.state,
    };
    let mut found: Option<(Snapshot, SavedSnapshot)> = None;
    for turn in chain(folder, state)?.into_iter().rev() {
        let below = found.as_ref().map(|(_, saved)| saved);
        let path = snapshot_path(folder, turn);
        found = Some(Snapshot::load_over(sandbox, &path, below)?);
    }
    let (session, saved) = match found {
        None => (sandbox.session()?, None),
        Some((snapshot, saved)) => (snapshot.session(), Some(saved)),
    };
    Ok(LoadedSession {
        session,
        last,
        state,
        saved,
    })
}

/// Returns the turns whose snapshots make up that of `turn`, from `turn` down to a full one. The records are untrusted.
pub(super) fn chain(folder: &Path, turn: u32) -> Result<Vec<u32>, SessionError> {
    let mut chain = Vec::new();
    let mut here = turn;
    while here > 0 {
        chain.push(here);
        let over = record::read(folder, here)?.over;
        if over >= here || chain.len() > MAX_DEPTH as usize + 1 {
            return Err(SessionError::Damaged {
                path: record::path(folder, here),
                why: "its snapshot has an invalid base".into(),
            });
        }
        here = over;
    }
    Ok(chain)
}

/// Removes snapshots of turns that do not exist, those of all but the newest `keep` turns, and, unless `max_bytes` is 0,
/// the oldest until the rest has at most `max_bytes`. Snapshots on which the last turn or a remaining snapshot is based
/// are not removed. Returns the number of bytes that were removed.
pub(super) fn tidy(folder: &Path, keep: usize, max_bytes: u64) -> Result<u64, SessionError> {
    let turns = numbers(folder, "json")?;
    let last = match turns.last() {
        Some(last) => record::read(folder, *last)?.state,
        None => 0,
    };
    let newest = turns.len().saturating_sub(keep);
    let mut needed: BTreeSet<u32> = chain(folder, last)?.into_iter().collect();
    for turn in turns.iter().skip(newest) {
        if snapshot_path(folder, *turn).exists() {
            needed.extend(chain(folder, *turn)?);
        }
    }
    let mut freed = 0;
    let mut left = Vec::new();
    for turn in numbers(folder, "snapshot")? {
        let path = snapshot_path(folder, turn);
        let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
        if needed.contains(&turn) {
            left.push((turn, path, bytes));
        } else if fs::remove_file(&path).is_ok() {
            freed += bytes;
        }
    }
    let mut total: u64 = left.iter().map(|(_, _, bytes)| bytes).sum();
    if max_bytes == 0 || total <= max_bytes {
        return Ok(freed);
    }
    // A full snapshot is removed after all that are based on it, the newest first, so that none is ever without its
    // base. The chain of the last turn stays.
    let full = |turn| -> Result<u32, SessionError> {
        Ok(chain(folder, turn)?.last().copied().unwrap_or(turn))
    };
    let mut oldest: BTreeMap<u32, Vec<(PathBuf, u64)>> = BTreeMap::new();
    for (turn, path, bytes) in left.into_iter().rev() {
        oldest.entry(full(turn)?).or_default().push((path, bytes));
    }
    oldest.remove(&full(last)?);
    for (path, bytes) in oldest.into_values().flatten() {
        if total > max_bytes && fs::remove_file(path).is_ok() {
            total -= bytes;
            freed += bytes;
        }
    }
    Ok(freed)
}

/// Removes temporary files of killed processes. The session is locked, so no process writes one now.
pub(super) fn remove_temporary(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            // Best effort: a file that cannot be removed is ignored.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Returns the turn numbers of the files with this extension, in ascending order.
pub(super) fn numbers(folder: &Path, extension: &str) -> Result<Vec<u32>, SessionError> {
    let entries = fs::read_dir(folder).map_err(SessionError::io("list", folder))?;
    let mut numbers = Vec::new();
    for entry in entries {
        let name = entry.map_err(SessionError::io("list", folder))?.file_name();
        let number = number_of(&name.to_string_lossy(), extension);
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the turn number in a file name with this extension.
pub(super) fn number_of(name: &str, extension: &str) -> Option<u32> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    let plain = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number > 0)
}

/// Returns the path of the snapshot after `turn`.
pub(super) fn snapshot_path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.snapshot"))
}

/// Returns the path of `turn` as a suspended turn.
pub(super) fn suspended_path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.waiting"))
}

/// Returns true if all snapshots of the state after `turn` exist.
pub(super) fn has_state(folder: &Path, turn: u32) -> Result<bool, SessionError> {
    let state = record::read(folder, turn)?.state;
    let chain = chain(folder, state)?;
    Ok((chain.iter()).all(|turn| snapshot_path(folder, *turn).exists()))
}

/// Locks the session `name` in `folder` until the file is dropped.
pub(super) fn lock(folder: &Path, name: &str) -> Result<File, SessionError> {
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

/// Syncs `folder` itself, so that its file names are durable. Best effort: not all systems support it.
pub(super) fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Returns the settings of the session in `folder`; empty if it has none.
pub(super) fn read_settings(folder: &Path) -> Result<Vec<u8>, SessionError> {
    let path = folder.join(SETTINGS);
    match fs::metadata(&path) {
        Ok(meta) if meta.len() > MAX_SETTINGS_BYTES => Err(SessionError::Damaged {
            path,
            why: format!("its settings have more than {MAX_SETTINGS_BYTES} bytes"),
        }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        _ => fs::read(&path).map_err(SessionError::io("read", &path)),
    }
}

/// Writes the settings of the session in `folder`; none if they are empty.
pub(super) fn write_settings(folder: &Path, settings: &[u8]) -> Result<(), SessionError> {
    if settings.is_empty() {
        return Ok(());
    }
    let path = folder.join(SETTINGS);
    if settings.len() as u64 > MAX_SETTINGS_BYTES {
        let name = folder.file_name().unwrap_or_default();
        return Err(SessionError::TooLarge {
            name: name.to_string_lossy().into_owned(),
            what: "settings",
            bytes: settings.len() as u64,
            max: MAX_SETTINGS_BYTES,
        });
    }
    codeact_base::atomic_file::write(&path, settings).map_err(SessionError::io("write", &path))
}
