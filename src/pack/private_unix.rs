//! Folders that only their user can change, on Unix.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use super::PackError;

const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Creates `path` and its parents with mode 0700 where they are missing.
pub(super) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Refuses a folder whose content somebody else than this user and root could change.
///
/// The folder itself must belong to the user or root and be writable by nobody else; a folder
/// above it must not let everybody rename what is in it. Access control lists are not read.
pub(super) fn check_dir(path: &Path) -> Result<(), PackError> {
    let real = fs::canonicalize(path).map_err(PackError::io("find", path))?;
    let meta = fs::metadata(&real).map_err(PackError::io("look at", &real))?;
    let refuse = |path: &Path, problem: String, advice: String| {
        Err(PackError::UnsafeFolder {
            path: path.to_owned(),
            problem,
            advice,
        })
    };
    // SAFETY: geteuid takes no argument, touches no memory and cannot fail.
    let user = unsafe { libc::geteuid() };
    if meta.uid() != user && meta.uid() != 0 {
        return refuse(
            &real,
            format!("it belongs to user {}, not to you ({user})", meta.uid()),
            "delete it".to_owned(),
        );
    }
    let mode = meta.permissions().mode();
    if mode & GROUP_OR_OTHERS_WRITE != 0 {
        return refuse(
            &real,
            format!("others can write it (mode {:04o})", mode & 0o7777),
            "empty it if you do not trust them, then run `chmod 700` on it".to_owned(),
        );
    }
    for parent in real.ancestors().skip(1) {
        let meta = fs::metadata(parent).map_err(PackError::io("look at", parent))?;
        let mode = meta.permissions().mode();
        if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
            return refuse(
                parent,
                format!("everybody can write it (mode {:04o})", mode & 0o7777),
                "run `chmod o-w` on it".to_owned(),
            );
        }
    }
    Ok(())
}

/// Makes the names in folder `path` durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Whether `path` is a file that may be executed by somebody.
pub(super) fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
