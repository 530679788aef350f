//! Files in the private cache folder: there whole, or not there.

use std::fs;
use std::io::Write;
use std::path::Path;

use super::error::SandboxError;

/// Writes `bytes` to `path` through a temporary file, so that no other process and no later start
/// ever sees a part of it.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), SandboxError> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let fail = |e| SandboxError::io("write", path, e);
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(dir)
        .map_err(fail)?;
    file.write_all(bytes).map_err(fail)?;
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
