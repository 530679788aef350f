//! Descriptions of files, as envd has them.

use std::time::UNIX_EPOCH;

use codeact::sandbox::{FileInfo, FileKind, Session};
use serde_json::{Value, json};

use crate::e2b::envd::metadata::FileMetadata;
use crate::e2b::envd::paths::USER;
use crate::e2b::timestamp;

/// A file and the kind of what it is, or what it links to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    info: FileInfo,
    /// `None`: a link to nothing.
    kind: Option<FileKind>,
}

impl Entry {
    pub(super) fn new(session: &Session, info: FileInfo) -> Self {
        let kind = match info.kind {
            FileKind::Symlink if session.list_dir(&info.path).is_ok() => Some(FileKind::Dir),
            FileKind::Symlink => session.read_file(&info.path).ok().map(|_| FileKind::File),
            kind => Some(kind),
        };
        Self { info, kind }
    }

    /// Returns the message `EntryInfo`. The sandbox has no permissions: they are those that a file and a folder usually
    /// have, without the right to write if it is read-only.
    pub(super) fn message(&self, metadata: &FileMetadata) -> Value {
        let info = &self.info;
        let kind = match self.kind {
            Some(FileKind::File | FileKind::Other) => "FILE_TYPE_FILE",
            Some(FileKind::Dir) => "FILE_TYPE_DIRECTORY",
            _ => "FILE_TYPE_SYMLINK",
        };
        let is_link = info.kind == FileKind::Symlink;
        let mode = match (info.kind, info.writable) {
            (FileKind::Symlink, _) => 0o777,
            (FileKind::Dir, true) => 0o755,
            (FileKind::Dir, false) => 0o555,
            (_, true) => 0o644,
            (_, false) => 0o444,
        };
        let modified = info.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified = u64::try_from(modified.as_millis()).unwrap_or(u64::MAX);
        let mut message = json!({
            "name": info.name,
            "type": kind,
            "path": info.path,
            // As ProtoJSON has integers of 64 bits.
            "size": info.bytes.to_string(),
            "mode": mode,
            "permissions": permissions(info.kind, mode),
            "owner": USER,
            "group": USER,
            "modifiedTime": timestamp::format(modified),
            "isSymlink": is_link,
        });
        if let Some(target) = &info.link_target {
            message["symlinkTarget"] = json!(target);
        }
        if let Some(metadata) = metadata.of(&info.path) {
            message["metadata"] = json!(metadata);
        }
        message
    }
}

/// Returns the permissions as `ls -l` has them.
fn permissions(kind: FileKind, mode: u32) -> String {
    let first = match kind {
        FileKind::Dir => 'd',
        FileKind::Symlink => 'l',
        _ => '-',
    };
    let bits = (0..9).rev().zip("rwxrwxrwx".chars());
    let bits = bits.map(|(bit, name)| if mode & (1 << bit) == 0 { '-' } else { name });
    std::iter::once(first).chain(bits).collect()
}

#[cfg(test)]
mod tests {
    use codeact::sandbox::FileKind;

    use super::permissions;

    #[test]
    fn permissions_are_as_in_ls() {
        assert_eq!(permissions(FileKind::File, 0o644), "-rw-r--r--");
        assert_eq!(permissions(FileKind::Dir, 0o755), "drwxr-xr-x");
    }
}
