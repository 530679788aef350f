//! A session as one file: a zip archive of its records and snapshots.
//!
//! Security boundary: an archive is untrusted. Names and counts are checked, an entry is unpacked only if its name is
//! that of a record or a snapshot, and a snapshot is validated when it is loaded.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use codeact_base::atomic_file;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::folder::{LOCK, lock, number_of, numbers, snapshot_path};
use super::{SessionError, SessionStore, record};

/// Limit of the turns in an archive.
const MAX_TURNS: usize = 100_000;
/// Limit of a file in an archive, in bytes: more than a snapshot of 4 GiB of memory.
const MAX_FILE_BYTES: u64 = 8 << 30;

fn write_archive(
    folder: &Path,
    to: &Path,
    file: &mut atomic_file::Writer,
) -> Result<(), SessionError> {
    let failed = SessionError::io("write", to);
    let mut zip = ZipWriter::new(file);
    // Snapshots are compressed already.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    for turn in numbers(folder, "json")? {
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
    /// Returns [`SessionError::Missing`], [`SessionError::InUse`] or [`SessionError::Io`].
    pub fn export(&self, name: &str, to: &Path) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        let failed = SessionError::io("write", to);
        atomic_file::write_with(to, |file| write_archive(&folder, to, file), failed)
    }

    /// Makes the session `name` from the archive `from`. The archive is untrusted.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::Exists`]; [`SessionError::Damaged`] if it is not an archive of a session;
    /// [`SessionError::Io`].
    pub fn import(&self, from: &Path, name: &str) -> Result<(), SessionError> {
        let damaged = |why: String| SessionError::Damaged {
            path: from.to_owned(),
            why,
        };
        let file = File::open(from).map_err(SessionError::io("open", from))?;
        let mut zip = ZipArchive::new(file).map_err(|e| damaged(e.to_string()))?;
        if zip.len() > 2 * MAX_TURNS {
            return Err(damaged("it has too many turns".into()));
        }
        self.make(name, |into| {
            for i in 0..zip.len() {
                let entry = zip.by_index(i).map_err(|e| damaged(e.to_string()))?;
                let name = entry.name().to_owned();
                let turn = number_of(&name, "json");
                if turn.or(number_of(&name, "snapshot")).is_none() {
                    return Err(damaged(format!("it contains {name:?}")));
                }
                let path = into.join(&name);
                let mut file = File::create_new(&path).map_err(SessionError::io("write", &path))?;
                let written = io::copy(&mut entry.take(MAX_FILE_BYTES + 1), &mut file)
                    .map_err(|e| damaged(e.to_string()))?;
                if written > MAX_FILE_BYTES {
                    return Err(damaged(format!("{name} is too long")));
                }
                file.flush().map_err(SessionError::io("write", &path))?;
                file.sync_all().map_err(SessionError::io("write", &path))?;
            }
            let turns = numbers(into, "json")?;
            for turn in &turns {
                record::read(into, *turn)?;
            }
            let last = turns
                .last()
                .map(|turn| record::read(into, *turn))
                .transpose()?;
            match last {
                Some(last) if last.state > 0 && !snapshot_path(into, last.state).exists() => {
                    Err(damaged("its last state is missing".into()))
                }
                _ => Ok(fs::File::create(into.join(LOCK))
                    .map(drop)
                    .map_err(SessionError::io("write", into))?),
            }
        })
    }
}
