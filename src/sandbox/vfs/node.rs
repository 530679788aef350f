//! One node of the tree: a file, a folder, a link, or a read-only file of the pack.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// A node's number, never reused within one tree.
pub(crate) type Ino = u64;

/// One entry of a folder's listing: name, number, WASI file type.
pub(crate) type Entry = (Arc<str>, Ino, u8);

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Names that lead here.
    pub(crate) links: u32,
    /// Descriptors open on it: an unlinked file lives on until the last one closes.
    pub(crate) open: u32,
    /// Whether the guest may change it (for a folder: its entries).
    pub(crate) writable: bool,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Dir {
        entries: BTreeMap<Arc<str>, Ino>,
        parent: Ino,
    },
    File(Arc<Vec<u8>>),
    Pack(Arc<PackFile>),
    Symlink(Arc<str>),
    /// `/dev/null`.
    Null,
}

/// What `stat` tells. Times are nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) ino: Ino,
    pub(crate) filetype: u8,
    pub(crate) links: u32,
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
}

/// WASI's `filetype` numbers.
pub(crate) mod filetype {
    pub(crate) const CHARACTER_DEVICE: u8 = 2;
    pub(crate) const DIRECTORY: u8 = 3;
    pub(crate) const REGULAR_FILE: u8 = 4;
    pub(crate) const SYMBOLIC_LINK: u8 = 7;
}

impl Kind {
    pub(crate) fn filetype(&self) -> u8 {
        match self {
            Kind::Dir { .. } => filetype::DIRECTORY,
            Kind::File(_) | Kind::Pack(_) => filetype::REGULAR_FILE,
            Kind::Symlink(_) => filetype::SYMBOLIC_LINK,
            Kind::Null => filetype::CHARACTER_DEVICE,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        match self {
            Kind::Dir { entries, .. } => entries.len() as u64,
            Kind::File(data) => data.len() as u64,
            Kind::Pack(file) => file.len(),
            Kind::Symlink(target) => target.len() as u64,
            Kind::Null => 0,
        }
    }
}

/// A file of the installed pack, shown read-only and shared by all sandboxes.
#[derive(Debug)]
pub(crate) enum PackFile {
    /// Read in place through a handle opened when the sandbox was made.
    Handle { file: File, len: u64 },
    /// A small file, read whole when first used and kept. The path comes from the pack's own
    /// listing, never from the guest.
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

    /// Reads at `offset` into `buf`; 0 at the end. `None` when the host cannot read its own file.
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

/// Copies what lies at `offset` in `from` to `buf` and tells how much that was.
pub(crate) fn copy_at(from: &[u8], buf: &mut [u8], offset: u64) -> usize {
    let start = usize::try_from(offset).map_or(from.len(), |o| o.min(from.len()));
    let n = buf.len().min(from.len() - start);
    buf[..n].copy_from_slice(&from[start..start + n]);
    n
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}
