//! Errors of the files of a session.

use std::io;

use crate::types::errno::Errno;

/// Maximum length of a path in an error, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// A file of a session could not be read or changed. The session is unchanged. Each error has the path, as the caller
/// wrote it, shortened if it is very long.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file, or a folder of its path, does not exist.
    #[error("there is no file or folder {0:?}")]
    NotFound(String),
    /// The path exists already, or is a folder that is not empty.
    #[error(
        "{0:?} exists already, or is a folder with files; choose another path, or remove it first"
    )]
    Exists(String),
    /// The path is a folder, and a file was expected.
    #[error("{0:?} is a folder; expected a file")]
    IsDir(String),
    /// The path, or a part of it, is not a folder.
    #[error("{0:?} is not a folder, or a part of the path is not one")]
    NotDir(String),
    /// The guest may not write there either: a file of the pack, a read-only mount, or the root of a mount.
    #[error(
        "{0:?} cannot be changed: it is read-only in the sandbox; write below /home/user, /tmp or a writable mount"
    )]
    ReadOnly(String),
    /// The limit of bytes or of files is reached; see [`Limits::file_bytes`](crate::Limits::file_bytes) and
    /// [`Limits::files`](crate::Limits::files).
    #[error(
        "there is no room for {0:?}: the limit of the session's files is reached; remove files, or raise the limit"
    )]
    NoSpace(String),
    /// The path is empty, contains a NUL byte, or is longer than 4096 bytes; a name in it is longer than 255 bytes; the
    /// folders are nested deeper than 128; or a folder is moved into itself.
    #[error(
        "{0:?} is not a valid path: expected at most 4096 bytes without NUL, names of at most 255 bytes, and at most 128 \
         nested folders"
    )]
    Invalid(String),
    /// The path has too many symbolic links, or they form a cycle.
    #[error("{0:?} has too many symbolic links, or they form a cycle")]
    Loop(String),
    /// The session is recorded or replayed, so its files cannot be changed between turns.
    #[error("{0:?} cannot be changed between the turns of a recorded session; change it in a turn")]
    Journaled(String),
    /// The path, and the error of the host: a file of a mount could not be read, or the two paths of
    /// [`Session::rename_path`](crate::Session::rename_path) are not in the same mount.
    #[error("cannot use {0:?}: {1}")]
    Io(String, #[source] io::Error),
}

impl FileError {
    /// Returns the error `errno` of an operation on `path`. `writes` is true if the operation changes the tree.
    pub(super) fn of(errno: Errno, path: &str, writes: bool) -> Self {
        let path = shown(path);
        match errno {
            Errno::Noent => Self::NotFound(path),
            Errno::Exist | Errno::Notempty => Self::Exists(path),
            Errno::Isdir => Self::IsDir(path),
            Errno::Notdir => Self::NotDir(path),
            Errno::Rofs | Errno::Perm | Errno::Busy => Self::ReadOnly(path),
            Errno::Access if writes => Self::ReadOnly(path),
            Errno::Nospc | Errno::Fbig => Self::NoSpace(path),
            Errno::Inval | Errno::Nametoolong | Errno::Ilseq => Self::Invalid(path),
            Errno::Loop => Self::Loop(path),
            Errno::Access => Self::Io(path, io::ErrorKind::PermissionDenied.into()),
            Errno::Xdev => {
                let why = "the two paths are not in the same mount; copy the file instead";
                Self::Io(path, io::Error::other(why))
            }
            Errno::Overflow => {
                let why = "the mounts list more than 200,000 names";
                Self::Io(path, io::Error::other(why))
            }
            Errno::Stale => {
                let why = "the host's file was changed meanwhile";
                Self::Io(path, io::Error::other(why))
            }
            _ => Self::Io(path, io::Error::other("the host cannot read it")),
        }
    }

    pub(super) fn journaled(path: &str) -> Self {
        Self::Journaled(shown(path))
    }
}

/// Returns `path` with a bounded length.
fn shown(path: &str) -> String {
    match path.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None => path.to_owned(),
    }
}
