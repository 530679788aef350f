//! A read-only file of the installed pack, or of an installed package, shared by all sandboxes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

#[derive(Debug)]
pub(crate) enum PackFile {
    /// Read through a handle that was opened when the sandbox was made.
    Handle { file: File, len: u64 },
    /// A small file, read into memory at its first use. The path comes from the list of installed files, never from the
    /// guest.
    Lazy {
        path: PathBuf,
        len: u64,
        bytes: OnceLock<Option<Vec<u8>>>,
    },
}

impl PackFile {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self::Handle { file, len })
    }

    pub(crate) fn lazy(path: PathBuf, len: u64) -> Self {
        Self::Lazy {
            path,
            len,
            bytes: OnceLock::new(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Handle { len, .. } | Self::Lazy { len, .. } => *len,
        }
    }

    /// Writes all bytes to `to`, in chunks.
    pub(crate) fn copy_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        let mut buf = vec![0; 64 << 10];
        let mut at = 0;
        while at < self.len() {
            match self.read_at(&mut buf, at) {
                Some(n) if n > 0 => {
                    to.write_all(&buf[..n])?;
                    at += n as u64;
                }
                _ => return Err(io::Error::other("the host cannot read the pack's file")),
            }
        }
        Ok(())
    }

    /// Reads at `offset` into `buf`. Returns 0 at the end, and `None` if the host cannot read the file.
    pub(crate) fn read_at(&self, buf: &mut [u8], offset: u64) -> Option<usize> {
        match self {
            Self::Handle { file, .. } => read_at(file, buf, offset).ok(),
            Self::Lazy { path, len, bytes } => {
                let bytes = bytes
                    .get_or_init(|| std::fs::read(path).ok().filter(|b| b.len() as u64 == *len))
                    .as_deref()?;
                Some(copy_at(bytes, buf, offset))
            }
        }
    }
}

/// Copies bytes of `from` at `offset` to `buf`. Returns how many.
pub(super) fn copy_at(from: &[u8], buf: &mut [u8], offset: u64) -> usize {
    let start = usize::try_from(offset).map_or(from.len(), |o| o.min(from.len()));
    let n = buf.len().min(from.len() - start);
    buf[..n].copy_from_slice(&from[start..start + n]);
    n
}

#[cfg(unix)]
pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
pub(super) fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}
