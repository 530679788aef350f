//! Operations on the folders of a store: temporary names, listing, renaming, deletion and sizes.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::PackError;

/// Attempts to rename a folder after the first one, on Windows only.
const MAX_RENAME_RETRIES: u32 = 10;
const RENAME_DELAY: Duration = Duration::from_millis(200);

/// Returns the prefix of the names of temporary folders of pack `name`. Only the holder of the pack's lock creates or
/// deletes them.
pub(crate) fn temporary_prefix(name: &str) -> String {
    format!(".tmp-{name}-")
}

/// Deletes the temporary folders of pack `name` in `folder`, which a killed process left there.
pub(crate) fn remove_stale(folder: &Path, name: &str) -> Result<(), PackError> {
    for path in entries_with_prefix(folder, &temporary_prefix(name))? {
        remove_all(&path)?;
    }
    Ok(())
}

/// Returns the entries of `folder` with names that start with `prefix`; none if the folder does not exist.
pub(crate) fn entries_with_prefix(folder: &Path, prefix: &str) -> Result<Vec<PathBuf>, PackError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(PackError::io("list", folder)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(PackError::io("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// Deletes a file, a symbolic link, or a folder with its content.
pub(crate) fn remove_all(path: &Path) -> Result<(), PackError> {
    let meta = fs::symlink_metadata(path).map_err(PackError::io("read the metadata of", path))?;
    let removed = if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(PackError::io("delete", path))
}

/// Renames a folder. On Windows a virus scanner can hold a new file open for a moment, so the rename is retried.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), PackError> {
    let mut retries = if cfg!(windows) { MAX_RENAME_RETRIES } else { 0 };
    loop {
        match fs::rename(from, to) {
            Err(e) if retries > 0 && e.kind() == ErrorKind::PermissionDenied => {
                retries -= 1;
                std::thread::sleep(RENAME_DELAY);
            }
            result => return result.map_err(PackError::io("rename", from)),
        }
    }
}

/// Returns the size in bytes of all files below `folder`. Unreadable entries count 0.
pub(crate) fn folder_size(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
