//! Files in the private cache folder: there whole, or not there.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::SandboxError;

const TEMPORARY: &str = ".tmp-";
/// How many compiled modules, and images, are kept.
const NEWEST: usize = 3;

/// Writes `bytes` to `path` through a temporary file, so that no other process and no later start
/// ever sees a part of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    write_with(path, &mut |to| {
        to.write_all(bytes)
            .map_err(|e| SandboxError::io("write", path, e))
    })
}

/// As [`write_whole`], with what `write` writes.
pub(crate) fn write_with(
    path: &Path,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<(), SandboxError>,
) -> Result<(), SandboxError> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new("."));
    let fail = |e| SandboxError::io("write", path, e);
    let file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(dir)
        .map_err(fail)?;
    let mut buffered = BufWriter::with_capacity(1 << 16, file);
    write(&mut buffered)?;
    let file = buffered.into_inner().map_err(|e| fail(e.into_error()))?;
    file.as_file().sync_all().map_err(fail)?;
    file.persist(path).map_err(|e| fail(e.error))?;
    #[cfg(unix)]
    if let Ok(dir) = fs::File::open(dir) {
        let _ = dir.sync_all();
    }
    #[cfg(not(unix))]
    let _ = fs::metadata(dir);
    Ok(())
}

/// Held while something is made in the cache folder; released when dropped, or by the system
/// when the process dies.
pub(crate) struct CacheLock(#[allow(dead_code, reason = "held, not used")] fs::File);

/// Waits until no other process makes something in `dir`.
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

/// What precedes one more file of `kind`, the first part of its name: removes what a killed process
/// left half-written, and all but the newest few of that kind, with what lies beside them. One for
/// another version of this program is worth keeping, one for each that ever ran is not; one of
/// another kind may be in use. The caller holds the lock. Failures are left alone: nothing depends
/// on this.
pub(crate) fn tidy(dir: &Path, kind: &str) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let mut kept: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        } else if name.starts_with(kind) {
            let made = entry.metadata().and_then(|m| m.modified());
            kept.push((made.unwrap_or(UNIX_EPOCH), entry.path()));
        }
    }
    kept.sort();
    for suffix in ["bin", "sha256", "runner", "cwasm"] {
        let of_kind = |path: &Path| path.extension().is_some_and(|e| e == suffix);
        let paths = kept.iter().filter(|(_, path)| of_kind(path));
        for (_, path) in paths.rev().skip(NEWEST) {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidying_removes_leftovers_and_keeps_the_newest_and_other_kinds() {
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

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image-1.bin");
        write_whole(&path, b"bytes").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"bytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_whole(&dir.path().join("no/such"), b"x").is_err());
    }
}
