//! Permissions of folders and files on Unix. This file is a security boundary.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::PackError;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Checks that only this user and root can change the content of the folder `path`.
///
/// The folder must belong to this user or root, and only its owner may have write permission. A parent folder must not
/// allow all users to rename its entries. Access control lists are not read.
pub(crate) fn check_dir(path: &Path) -> Result<(), PackError> {
    let real = fs::canonicalize(path).map_err(PackError::io("find", path))?;
    let meta = fs::metadata(&real).map_err(PackError::io("read the metadata of", &real))?;
    let reject = |path: &Path, problem: String, advice: String| {
        Err(PackError::UnsafeFolder {
            path: path.to_owned(),
            problem,
            advice,
        })
    };
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user && meta.uid() != 0 {
        return reject(
            &real,
            format!("it belongs to user {}, not to you ({user})", meta.uid()),
            "delete it".to_owned(),
        );
    }
    let mode = meta.permissions().mode();
    if mode & GROUP_OR_OTHERS_WRITE != 0 {
        return reject(
            &real,
            format!("other users can write to it (mode {:04o})", mode & 0o7777),
            "empty it if you do not trust them, then run `chmod 700` on it".to_owned(),
        );
    }
    for parent in real.ancestors().skip(1) {
        let meta = fs::metadata(parent).map_err(PackError::io("read the metadata of", parent))?;
        let mode = meta.permissions().mode();
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            return reject(
                parent,
                format!("all users can write to it (mode {:04o})", mode & 0o7777),
                "run `chmod o-w` on it".to_owned(),
            );
        }
    }
    Ok(())
}

/// Returns true if `path` is a file with an execute permission.
pub(crate) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
