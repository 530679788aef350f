//! Attributes of a file of the guest.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fs::vfs::{Kind, Named};

/// A file, folder or symbolic link of the guest; see [`Session::list_dir`](crate::Session::list_dir).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileInfo {
    /// Name, without a folder; `/` of the root folder. The guest chose it, so it is not safe to use on the host without
    /// validation.
    pub name: String,
    /// Absolute guest path. No folder in it is a symbolic link.
    pub path: String,
    /// File type.
    pub kind: FileKind,
    /// Length of a file, in bytes; of a symbolic link the length of its target; otherwise 0.
    pub bytes: u64,
    /// Time of the last change of the content. Files of the pack have the start of 1970.
    pub modified: SystemTime,
    /// Target of a symbolic link, as the guest or the host's folder has it.
    pub link_target: Option<String>,
    /// True if the guest may write to the file, or may change the entries of the folder.
    pub writable: bool,
}

/// Type of a file of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symbolic link.
    Symlink,
    /// `/dev/null`, or a pipe, device or socket in a mount, which cannot be opened.
    Other,
}

impl From<Named> for FileInfo {
    fn from(named: Named) -> Self {
        let (kind, link_target) = match &named.kind {
            Kind::Dir(_) => (FileKind::Dir, None),
            Kind::File(_) | Kind::Pack(_) => (FileKind::File, None),
            Kind::Symlink(target) => (FileKind::Symlink, Some(target.to_string())),
            Kind::Null | Kind::Special(_) => (FileKind::Other, None),
        };
        Self {
            name: named.name.to_string(),
            path: named.path,
            kind,
            bytes: match kind {
                FileKind::Dir => 0,
                _ => named.kind.size(),
            },
            modified: (UNIX_EPOCH.checked_add(Duration::from_nanos(named.modified)))
                .unwrap_or(UNIX_EPOCH),
            link_target,
            writable: named.writable,
        }
    }
}
