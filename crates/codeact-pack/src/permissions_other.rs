//! Permissions of folders and files on systems other than Unix (Windows).
//!
//! A folder in the user's local application data is private by inheritance. Access control lists are neither set nor
//! checked here.

use std::path::Path;

use crate::PackError;

/// Checks that `path` exists.
pub(crate) fn check_dir(path: &Path) -> Result<(), PackError> {
    std::fs::metadata(path)
        .map(drop)
        .map_err(PackError::io("read the metadata of", path))
}

/// Returns true if `path` is a file.
pub(crate) fn is_program(path: &Path) -> bool {
    path.is_file()
}
