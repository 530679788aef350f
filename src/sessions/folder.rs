//! The files of one session.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::{SessionError, record};
use crate::sandbox::{Sandbox, Saved, Session, Snapshot};

pub(super) const LOCK: &str = "lock";
/// Snapshots of one session, together; the oldest go first.
pub(super) const MOST_BYTES: u64 = 4 << 30;
/// So many snapshots lie over a whole one.
pub(super) const MOST_DEPTH: u32 = 8;

/// Removes the newest `count` turns of the session in `folder`, which is locked. Tells which turn is
/// the last then.
pub(super) fn go_back(folder: &Path, name: &str, count: u32) -> Result<u32, SessionError> {
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
        for path in [
            record::path(folder, *turn),
            snapshot_path(folder, *turn),
            waiting_path(folder, *turn),
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

/// A session as it stands in its folder.
pub(super) struct Standing {
    pub(super) session: Session,
    /// Its last turn; 0 for none.
    pub(super) last: u32,
    /// The turn whose snapshot it is.
    pub(super) state: u32,
    /// That snapshot, for the next one to lie over.
    pub(super) saved: Option<Saved>,
}

/// The session that stands in `folder`.
pub(super) fn stand(folder: &Path, sandbox: &Sandbox) -> Result<Standing, SessionError> {
    let last = numbers(folder, "json")?.last().copied().unwrap_or(0);
    let state = match last {
        0 => 0,
        last => record::read(folder, last)?.state,
    };
    let mut found: Option<(Snapshot, Saved)> = None;
    for turn in chain(folder, state)?.into_iter().rev() {
        let below = found.as_ref().map(|(_, saved)| saved);
        let path = snapshot_path(folder, turn);
        found = Some(Snapshot::load_over(sandbox, &path, below)?);
    }
    let (session, saved) = match found {
        None => (sandbox.session()?, None),
        Some((snapshot, saved)) => (snapshot.session(), Some(saved)),
    };
    Ok(Standing {
        session,
        last,
        state,
        saved,
    })
}

/// The turns whose snapshots make up that of `turn`, from it down to a whole one. The records may come
/// from anybody.
pub(super) fn chain(folder: &Path, turn: u32) -> Result<Vec<u32>, SessionError> {
    let mut chain = Vec::new();
    let mut here = turn;
    while here > 0 {
        chain.push(here);
        let over = record::read(folder, here)?.over;
        if over >= here || chain.len() > MOST_DEPTH as usize + 1 {
            return Err(SessionError::Damaged {
                path: record::path(folder, here),
                why: "its snapshot lies over none that can be".into(),
            });
        }
        here = over;
    }
    Ok(chain)
}

/// Removes snapshots of turns that are not there, and of all but the newest `keep` turns, or, with
/// `most` bytes, the oldest until no more is left. What the last turn stands on stays, and what those
/// that stay lie over.
pub(super) fn tidy(folder: &Path, keep: usize, most: u64) -> Result<u64, SessionError> {
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
    if most == 0 || total <= most {
        return Ok(freed);
    }
    // A whole snapshot goes with all that lie over it, the newest of them first, so that none is ever
    // left without what it needs; the one that is gone on from, last.
    let whole = |turn| -> Result<u32, SessionError> {
        Ok(chain(folder, turn)?.last().copied().unwrap_or(turn))
    };
    let mut oldest: BTreeMap<u32, Vec<(PathBuf, u64)>> = BTreeMap::new();
    for (turn, path, bytes) in left.into_iter().rev() {
        oldest.entry(whole(turn)?).or_default().push((path, bytes));
    }
    oldest.remove(&whole(last)?);
    for (path, bytes) in oldest.into_values().flatten() {
        if total > most && fs::remove_file(path).is_ok() {
            total -= bytes;
            freed += bytes;
        }
    }
    Ok(freed)
}

/// The numbers of the files with this ending, ascending.
pub(super) fn numbers(folder: &Path, ending: &str) -> Result<Vec<u32>, SessionError> {
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
pub(super) fn number_of(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_suffix(ending)?.strip_suffix('.')?;
    let plain = digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && *number > 0)
}

pub(super) fn snapshot_path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.snapshot"))
}

/// Where a turn is that waits for an answer.
pub(super) fn waiting_path(folder: &Path, turn: u32) -> PathBuf {
    folder.join(format!("{turn:06}.waiting"))
}

/// Whether the state after `turn` can be gone back to.
pub(super) fn has_state(folder: &Path, turn: u32) -> Result<bool, SessionError> {
    let state = record::read(folder, turn)?.state;
    let chain = chain(folder, state)?;
    Ok((chain.iter()).all(|turn| snapshot_path(folder, *turn).exists()))
}

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

/// Makes the names in `folder` durable, where the system can.
pub(super) fn sync(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}
