//! Files that are complete or absent, whatever happens to the process that writes them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::private;

/// Prefix of the names of temporary files. A file with it was left by a process that was killed.
pub const TEMPORARY: &str = ".tmp-";

/// A buffered writer to the temporary file; it can also seek.
pub type Writer = BufWriter<NamedTempFile>;

/// Writes `bytes` to `path`. Replaces an existing file.
///
/// # Errors
///
/// Returns the first error of the file system; `path` is then as it was before.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_with(path, |file| file.write_all(bytes), |error| error)
}

/// Writes to `path` what `write` writes. Replaces an existing file.
///
/// The bytes go to a temporary file in the same folder, which is synced and renamed. On Unix only its owner can read
/// it. The folder is synced as well, so that the file is still there after a power failure.
///
/// # Errors
///
/// Returns the error of `write`, or an error of the file system as `convert` makes it; `path` is then as it was before.
pub fn write_with<T, E>(
    path: &Path,
    write: impl FnOnce(&mut Writer) -> Result<T, E>,
    convert: impl Fn(io::Error) -> E,
) -> Result<T, E> {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    let dir = parent.unwrap_or(Path::new("."));
    let file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(dir)
        .map_err(&convert)?;
    let mut buffered = BufWriter::with_capacity(1 << 16, file);
    let value = write(&mut buffered)?;
    let file = (buffered.into_inner()).map_err(|e| convert(e.into_error()))?;
    file.as_file().sync_all().map_err(&convert)?;
    file.persist(path).map_err(|e| convert(e.error))?;
    // The rename has happened: an error here must not say that it has not.
    let _ = private::sync_dir(dir);
    Ok(value)
}

/// As [`write()`], but an existing `path` is not replaced: of several writers, one succeeds.
///
/// # Errors
///
/// Returns [`io::ErrorKind::AlreadyExists`] if `path` exists, or the first error of the file system.
pub fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY)
        .tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|e| e.error)?;
    let _ = private::sync_dir(dir);
    Ok(())
}

/// Creates the file `path`, which must not exist, writes `bytes` and syncs it. For folders that are renamed into place
/// as a whole.
///
/// # Errors
///
/// Returns the first error of the file system.
pub fn create_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_complete_or_absent() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("image-1.bin");
        write(&path, b"bytes").expect("written");
        assert_eq!(std::fs::read(&path).expect("read"), b"bytes");
        let failed = write_with(
            &path,
            |file| {
                file.write_all(b"other")?;
                Err::<(), _>(io::Error::other("full"))
            },
            |error| error,
        );
        assert_eq!(failed.expect_err("fails").to_string(), "full");
        assert_eq!(std::fs::read(&path).expect("read"), b"bytes");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 1);
        assert!(write(&dir.path().join("no/such"), b"x").is_err());
        let again = write_new(&path, b"other").expect_err("the file exists");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).expect("read"), b"bytes");
        write_new(&dir.path().join("new"), b"x").expect("written");
        assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 2);
    }
}
