//! The files of a working copy, as the trait of bashkit's files.
//!
//! Security boundary: paths are of an untrusted command. They are only resolved in the session's tree.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bashkit::{DirEntry, FileSystem, FileSystemExt, FileType, Metadata, Result, async_trait};
use codeact::sandbox::{FileError, FileInfo, FileKind};

use crate::shell::working_copy::WorkingCopy;

/// A device that bashkit would end after 1 MiB.
const ENDLESS: &str = "/dev/zero";

/// The files that a command sees below those that bashkit adds (`/usr/bin`, `/proc`, `/etc`).
pub(super) struct ShellFiles(pub(super) Arc<WorkingCopy>);

impl FileSystemExt for ShellFiles {}

#[async_trait]
impl FileSystem for ShellFiles {
    async fn read_file(&self, path: &Path) -> Result<Vec<u8>> {
        match text(path)? {
            ENDLESS => Err(io::Error::other("it is endless; use dd with count=, or Python").into()),
            path => self.0.read(path).map_err(error),
        }
    }

    async fn write_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.0.write(text(path)?, content).map_err(error)
    }

    async fn append_file(&self, path: &Path, content: &[u8]) -> Result<()> {
        self.0.append(text(path)?, content).map_err(error)
    }

    async fn mkdir(&self, path: &Path, recursive: bool) -> Result<()> {
        self.0.make_dir(text(path)?, recursive).map_err(error)
    }

    async fn remove(&self, path: &Path, recursive: bool) -> Result<()> {
        let path = text(path)?;
        match self.0.remove(path, recursive) {
            Err(FileError::Exists(_)) => Err(io::Error::other("directory not empty").into()),
            removed => removed.map_err(error),
        }
    }

    async fn stat(&self, path: &Path) -> Result<Metadata> {
        match text(path)? {
            ENDLESS => Ok(Metadata::default()),
            path => self.0.info(path).map(|info| metadata(&info)).map_err(error),
        }
    }

    async fn read_dir(&self, path: &Path) -> Result<Vec<DirEntry>> {
        let entries = self.0.list(text(path)?).map_err(error)?;
        Ok(entries
            .into_iter()
            .map(|info| DirEntry {
                metadata: metadata(&info),
                name: info.name,
            })
            .collect())
    }

    async fn exists(&self, path: &Path) -> Result<bool> {
        match self.0.info(text(path)?) {
            _ if path.as_os_str() == ENDLESS => Ok(true),
            Ok(_) => Ok(true),
            Err(FileError::NotFound(_) | FileError::NotDir(_)) => Ok(false),
            Err(e) => Err(error(e)),
        }
    }

    async fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.0.rename(text(from)?, text(to)?).map_err(error)
    }

    async fn copy(&self, from: &Path, to: &Path) -> Result<()> {
        let content = self.0.read(text(from)?).map_err(error)?;
        self.0.write(text(to)?, &content).map_err(error)
    }

    async fn symlink(&self, _target: &Path, _link: &Path) -> Result<()> {
        Err(not_supported(
            "this shell cannot make symbolic links; use os.symlink in Python",
        ))
    }

    async fn read_link(&self, path: &Path) -> Result<PathBuf> {
        let info = self.0.info(text(path)?).map_err(error)?;
        match info.link_target {
            Some(target) => Ok(target.into()),
            None => Err(io::Error::from(io::ErrorKind::InvalidInput).into()),
        }
    }

    /// The sandbox has no permissions: every file can be read and run. So there is nothing to change, unless the command
    /// means to take them away.
    async fn chmod(&self, path: &Path, mode: u32) -> Result<()> {
        let info = self.0.info(text(path)?).map_err(error)?;
        match mode & 0o400 != 0 && (mode & 0o200 != 0) == info.writable {
            true => Ok(()),
            false => Err(not_supported(
                "the sandbox has no file permissions that could be taken away",
            )),
        }
    }

    async fn set_modified_time(&self, path: &Path, time: SystemTime) -> Result<()> {
        let path = text(path)?;
        let info = self.0.info(path).map_err(error)?;
        let is_now = SystemTime::now()
            .duration_since(time)
            .is_ok_and(|age| age.as_secs() < 5);
        match (is_now, info.kind) {
            // Writing sets the time.
            (true, FileKind::File) => {
                let content = self.0.read(path).map_err(error)?;
                self.0.write(path, &content).map_err(error)
            }
            (true, _) => Ok(()),
            (false, _) => Err(not_supported(
                "this shell can set the time of a file only to now; use os.utime in Python",
            )),
        }
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path is not UTF-8").into())
}

fn metadata(info: &FileInfo) -> Metadata {
    let (file_type, mode) = match info.kind {
        FileKind::Dir => (FileType::Directory, 0o755),
        FileKind::Symlink => (FileType::Symlink, 0o777),
        _ => (FileType::File, 0o755),
    };
    Metadata {
        file_type,
        size: info.bytes,
        mode: if info.writable { mode } else { mode & !0o222 },
        modified: info.modified,
        created: info.modified,
    }
}

fn not_supported(why: &str) -> bashkit::Error {
    io::Error::new(io::ErrorKind::Unsupported, why).into()
}

/// Returns the error in the words of a shell.
fn error(error: FileError) -> bashkit::Error {
    let new = |kind, text: &str| io::Error::new(kind, text.to_owned());
    let error = match error {
        FileError::NotFound(_) => new(io::ErrorKind::NotFound, "No such file or directory"),
        FileError::Exists(_) => new(io::ErrorKind::AlreadyExists, "File exists"),
        FileError::IsDir(_) => io::Error::other("is a directory"),
        FileError::NotDir(_) => io::Error::other("not a directory"),
        FileError::ReadOnly(_) => new(io::ErrorKind::PermissionDenied, "Read-only file system"),
        FileError::NoSpace(_) => new(io::ErrorKind::StorageFull, "No space left on device"),
        FileError::Loop(_) => io::Error::other("Too many levels of symbolic links"),
        FileError::Invalid(_) => new(io::ErrorKind::InvalidInput, "Invalid file name"),
        FileError::Io(_, source) => source,
        other => io::Error::other(other.to_string()),
    };
    error.into()
}
