//! Folders that only their owner can open.

use std::io;
use std::path::Path;

/// Creates the folder `path` and its missing parents. On Unix their mode is 0700; on Windows access is inherited.
///
/// # Errors
///
/// Returns the error of the file system.
pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes the names in the folder `path` durable. Does nothing on Windows, where folders cannot be synced and the file
/// system's journal orders renames.
///
/// # Errors
///
/// Returns the error of the file system.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(path)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}
