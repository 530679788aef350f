//! A session as one file: a zip archive of its records and snapshots.
//!
//! An archive may come from anybody: names and counts are checked, nothing is unpacked under a name of
//! its own choosing, and snapshots are checked again when they are opened.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::folder::{LOCK, lock, number_of, numbers, snapshot_path, sync};
use super::{SessionError, SessionStore, record};

const MOST_TURNS: usize = 100_000;
/// No file of an archive is longer: a snapshot of all the memory there can be.
const LARGEST: u64 = 8 << 30;

impl SessionStore {
    /// Writes `name` to the file `to`, through a temporary one. A file that is there is replaced.
    ///
    /// # Errors
    ///
    /// [`SessionError::Missing`], [`SessionError::InUse`], [`SessionError::Io`].
    pub fn export(&self, name: &str, to: &Path) -> Result<(), SessionError> {
        let folder = self.existing(name)?;
        let _lock = lock(&folder, name)?;
        let parent = to.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = parent.unwrap_or(Path::new("."));
        let failed = || SessionError::io("write", to);
        let file = tempfile::NamedTempFile::new_in(dir).map_err(failed())?;
        let mut zip = ZipWriter::new(file);
        // Snapshots are compressed already.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        for turn in numbers(&folder, "json")? {
            for path in [record::path(&folder, turn), snapshot_path(&folder, turn)] {
                let Some(name) = path.file_name().filter(|_| path.exists()) else {
                    continue;
                };
                let mut from = File::open(&path).map_err(SessionError::io("read", &path))?;
                zip.start_file(name.to_string_lossy(), options)
                    .map_err(|e| failed()(e.into()))?;
                io::copy(&mut from, &mut zip).map_err(failed())?;
            }
        }
        let file = zip.finish().map_err(|e| failed()(e.into()))?;
        file.as_file().sync_all().map_err(failed())?;
        file.persist(to).map_err(|e| failed()(e.error))?;
        sync(dir);
        Ok(())
    }

    /// Makes the session `name` of the archive `from`.
    ///
    /// # Errors
    ///
    /// [`SessionError::Exists`], [`SessionError::Damaged`] when it is no archive of a session,
    /// [`SessionError::Io`].
    pub fn import(&self, from: &Path, name: &str) -> Result<(), SessionError> {
        let damaged = |why: String| SessionError::Damaged {
            path: from.to_owned(),
            why,
        };
        let file = File::open(from).map_err(SessionError::io("open", from))?;
        let mut zip = ZipArchive::new(file).map_err(|e| damaged(e.to_string()))?;
        if zip.len() > 2 * MOST_TURNS {
            return Err(damaged("it has too many turns".into()));
        }
        self.make(name, |into| {
            for i in 0..zip.len() {
                let entry = zip.by_index(i).map_err(|e| damaged(e.to_string()))?;
                let name = entry.name().to_owned();
                let turn = number_of(&name, "json");
                if turn.or(number_of(&name, "snapshot")).is_none() {
                    return Err(damaged(format!("it holds {name:?}")));
                }
                let path = into.join(&name);
                let mut file = File::create_new(&path).map_err(SessionError::io("write", &path))?;
                let written = io::copy(&mut entry.take(LARGEST + 1), &mut file)
                    .map_err(|e| damaged(e.to_string()))?;
                if written > LARGEST {
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
