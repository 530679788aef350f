//! A session as one file: a zip archive of its records and snapshots.
//!
//! Security boundary: an archive is untrusted. Names, counts and sizes are checked before anything is unpacked, and
//! sizes again while it is unpacked, because an archive can state wrong ones. A snapshot is validated when it is loaded.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use codeact_base::atomic_file;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::folder::{LOCK, MAX_SNAPSHOT_BYTES, has_state, lock, number_of, numbers, snapshot_path};
use super::{SessionError, SessionStore, record};

/// Limit of the turns in an archive.
const MAX_TURNS: usize = 20_000;
/// Limit of the unpacked files of an archive, in bytes: that of the snapshots of a session in the store.
const MAX_TOTAL_BYTES: u64 = MAX_SNAPSHOT_BYTES;
/// Size up to which an archive may be compressed by any ratio, in bytes.
const SMALL_BYTES: u64 = 64 << 20;
/// Maximum ratio of a larger archive's unpacked size to its size. Exported archives are not compressed, and what takes
/// space in them, the snapshots, is compressed already.
const MAX_RATIO: u64 = 100;
/// Space that a small file takes on disk, in bytes.
const BLOCK_BYTES: u64 = 4096;

fn write_archive(
    folder: &Path,
    name: &str,
    to: &Path,
    file: &mut atomic_file::Writer,
) -> Result<(), SessionError> {
    let failed = SessionError::io("write", to);
    let mut zip = ZipWriter::new(file);
    let turns = numbers(folder, "json")?;
    if turns.len() > MAX_TURNS {
        return Err(SessionError::TooManyTurns {
            name: name.into(),
            max: MAX_TURNS as u32,
        });
    }
    // Snapshots are compressed already.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    for turn in turns {
        for path in [record::path(folder, turn), snapshot_path(folder, turn)] {
            let Some(name) = path.file_name().filter(|_| path.exists()) else {
                continue;
            };
            let mut from = File::open(&path).map_err(SessionError::io("read", &path))?;
            zip.start_file(name.to_string_lossy(), options)
                .map_err(|e| failed(e.into()))?;
            io::copy(&mut from, &mut zip).map_err(&failed)?;
        }
    }
    zip.finish().map_err(|e| failed(e.into()))?;
    Ok(())
}

impl SessionStore {
    /// Writes the session `name` to the file `to`, atomically. An existing file is replaced.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Missing`], [`SessionError::InUse`], [`SessionError::TooManyTurns`] if it has more than
    /// 20,000, or [`SessionError::Io`].
    pub fn export(&self, name: &str, to: &Path) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        let failed = SessionError::io("write", to);
        atomic_file::write_with(to, |file| write_archive(&folder, name, to, file), failed)
    }

    /// Makes the session `name` from the archive `from`. The archive is untrusted: it can have 20,000 turns, and 4 GiB
    /// when it is unpacked, as much as a session can have.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Exists`]; [`SessionError::Damaged`] if it is not an archive of a session, or too large;
    /// [`SessionError::Io`]. Then nothing is left of it.
    pub fn import(&self, from: &Path, name: &str) -> Result<(), SessionError> {
        self.import_with(from, name, |_| Ok(()))
    }

    /// As [`SessionStore::import`]; `fill` writes further files to the new folder.
    pub(crate) fn import_with(
        &self,
        from: &Path,
        name: &str,
        fill: impl FnOnce(&Path) -> Result<(), SessionError>,
    ) -> Result<(), SessionError> {
        let damaged = |why: String| SessionError::Damaged {
            path: from.to_owned(),
            why,
        };
        let file = File::open(from).map_err(SessionError::io("open", from))?;
        let packed = file
            .metadata()
            .map_err(SessionError::io("open", from))?
            .len();
        let mut zip = ZipArchive::new(file).map_err(|e| damaged(e.to_string()))?;
        let turns = check_names(&zip).map_err(damaged)?;
        let mut budget = Budget::of(packed);
        for i in 0..zip.len() {
            let entry = zip.by_index_raw(i).map_err(|e| damaged(e.to_string()))?;
            budget.take(entry.size()).map_err(damaged)?;
        }
        self.make(name, |into| {
            fill(into)?;
            let mut budget = Budget::of(packed);
            for i in 0..zip.len() {
                let entry = zip.by_index(i).map_err(|e| damaged(e.to_string()))?;
                let path = into.join(entry.name());
                let max = match number_of(entry.name(), "json") {
                    Some(_) => record::MAX_BYTES.min(budget.left),
                    None => budget.left,
                };
                let written = unpack(entry, &path, max + 1).map_err(|e| match e {
                    Unpack::Archive(e) => damaged(e.to_string()),
                    Unpack::Disk(e) => SessionError::io("write", &path)(e),
                })?;
                if written > max && max < budget.left {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    return Err(damaged(format!("{name} is too long")));
                }
                budget.take(written).map_err(damaged)?;
            }
            for turn in 1..=turns {
                record::read(into, turn)?;
            }
            if turns > 0 && !has_state(into, turns)? {
                return Err(damaged("its last state is missing".into()));
            }
            let lock = into.join(LOCK);
            (File::create(&lock).map(drop)).map_err(SessionError::io("write", &lock))
        })
    }
}

/// Checks the names in an archive: records of the turns from 1 on without a gap, and snapshots of these turns. Returns
/// the number of turns.
fn check_names<R: Read + io::Seek>(zip: &ZipArchive<R>) -> Result<u32, String> {
    if zip.len() > 2 * MAX_TURNS {
        return Err(format!("it has more than {MAX_TURNS} turns"));
    }
    let (mut records, mut snapshots) = (BTreeSet::new(), BTreeSet::new());
    for name in zip.file_names() {
        let is_new = match (number_of(name, "json"), number_of(name, "snapshot")) {
            (Some(turn), _) => records.insert(turn),
            (None, Some(turn)) => snapshots.insert(turn),
            (None, None) => return Err(format!("it contains {name:?}")),
        };
        if !is_new {
            return Err(format!("it contains {name:?} twice"));
        }
    }
    let missing = (1..)
        .zip(&records)
        .find(|(expected, turn)| expected != *turn);
    if let Some((missing, turn)) = missing {
        return Err(format!("it has turn {turn} and no turn {missing}"));
    }
    if let Some(turn) = snapshots.difference(&records).next() {
        return Err(format!(
            "it has a snapshot of turn {turn}, and no such turn"
        ));
    }
    Ok(records.len() as u32)
}

/// Bytes that may be unpacked.
struct Budget {
    max: u64,
    left: u64,
}

impl Budget {
    /// Returns the budget of an archive of `packed` bytes.
    fn of(packed: u64) -> Self {
        let max = packed.saturating_mul(MAX_RATIO).max(SMALL_BYTES);
        let max = max.min(MAX_TOTAL_BYTES);
        Self { max, left: max }
    }

    /// Takes the space of a file of `bytes` bytes.
    fn take(&mut self, bytes: u64) -> Result<(), String> {
        let left = self.left.checked_sub(bytes.max(BLOCK_BYTES));
        self.left = left.ok_or_else(|| {
            let max = self.max >> 20;
            format!("its files are larger than {max} MiB, which a session of this size cannot be")
        })?;
        Ok(())
    }
}

enum Unpack {
    Archive(io::Error),
    Disk(io::Error),
}

/// Writes at most `max` bytes of `from` to the new file `path`. Returns their number.
fn unpack(from: impl Read, path: &Path, max: u64) -> Result<u64, Unpack> {
    let mut file = File::create_new(path).map_err(Unpack::Disk)?;
    let mut from = from.take(max);
    let mut buffer = vec![0; 1 << 16];
    let mut written = 0;
    loop {
        let n = from.read(&mut buffer).map_err(Unpack::Archive)?;
        if n == 0 {
            break;
        }
        file.write_all(&buffer[..n]).map_err(Unpack::Disk)?;
        written += n as u64;
    }
    file.sync_all().map_err(Unpack::Disk)?;
    Ok(written)
}
