//! Folders that only their user can change, where permissions are inherited (Windows).
//!
//! A folder under the user's local application data is private by inheritance; access control
//! lists are neither set nor checked here.

use std::io;
use std::path::Path;

use super::PackError;

/// Creates `path` and its parents where they are missing.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Accepts any folder that exists.
pub(super) fn check_dir(path: &Path) -> Result<(), PackError> {
    std::fs::metadata(path)
        .map(drop)
        .map_err(PackError::io("look at", path))
}

/// Does nothing: a folder cannot be synced, and the file system's journal orders renames.
pub(super) fn sync_dir(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether `path` is a file.
pub(super) fn is_program(path: &Path) -> bool {
    path.is_file()
}
