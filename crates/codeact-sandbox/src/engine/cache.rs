//! Files in the private cache folder: their lock, and the removal of old ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use codeact_base::atomic_file::TEMPORARY;

use crate::error::SandboxError;

/// Number of files of one kind and extension that are retained, the newest ones.
const MAX_FILES: usize = 3;

/// Lock on the cache folder while something is made in it. Released when dropped, or by the system when the process
/// dies.
pub(crate) struct CacheLock(#[allow(dead_code, reason = "held, not used")] fs::File);

/// Waits until no other process writes in `dir`, and locks it.
pub(crate) fn lock(dir: &Path) -> Result<CacheLock, SandboxError> {
    let path = dir.join(".lock");
    let file = fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|e| SandboxError::io("open", &path, e))?;
    file.lock()
        .map_err(|e| SandboxError::io("lock", &path, e))?;
    Ok(CacheLock(file))
}

/// Removes temporary files of killed processes, and all but the newest [`MAX_FILES`] files whose names begin with
/// `kind`. Called before a file of this kind is written; the caller holds the lock.
///
/// A few files are retained for other versions of this program. Failures are ignored, because nothing depends on the
/// removal.
pub(crate) fn tidy(dir: &Path, kind: &str) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        } else if name.starts_with(kind) {
            let made = entry.metadata().and_then(|m| m.modified());
            found.push((made.unwrap_or(UNIX_EPOCH), entry.path()));
        }
    }
    found.sort();
    for extension in ["bin", "sha256", "runner", "cwasm"] {
        let matches = |path: &Path| path.extension().is_some_and(|e| e == extension);
        let paths = found.iter().filter(|(_, path)| matches(path));
        for (_, path) in paths.rev().skip(MAX_FILES) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidying_removes_temporary_and_old_files_but_no_other_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at(".tmp-x"), "half").unwrap();
        for i in 0..5 {
            let file = fs::File::create(at(&format!("image-{i}.bin"))).unwrap();
            let made = UNIX_EPOCH + std::time::Duration::from_secs(i);
            file.set_modified(made).unwrap();
        }
        for i in 0..5 {
            fs::write(at(&format!("module-{i}.cwasm")), "code").unwrap();
        }
        tidy(dir.path(), "image-");
        let mut left: Vec<_> = (fs::read_dir(dir.path()).unwrap())
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(
            left,
            [
                "image-2.bin",
                "image-3.bin",
                "image-4.bin",
                "module-0.cwasm",
                "module-1.cwasm",
                "module-2.cwasm",
                "module-3.cwasm",
                "module-4.cwasm",
            ]
        );
    }
}
