//! Access of a mount to the host, through a capability handle on its folder.
//!
//! This file is a security boundary: it is the only one that opens host files for the guest. `host_file` reads the
//! opened files.
//!
//! Guest paths are resolved in the tree. The paths here consist of names that the host has listed. Each folder on the
//! way is opened by itself and without following a symbolic link, so that nothing outside the mounted folder is
//! reached, even if another process replaces files at the same time. Pipes, devices and sockets are refused, also if
//! one has replaced a file since it was listed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};
use serde::{Deserialize, Serialize};

use crate::fs::vfs::filetype;
use crate::fs::vfs::paths::MAX_DEPTH;
use crate::journal;
use crate::journal::Call;
use crate::types::errno::{Errno, Result};

/// A host folder or a single file, opened once.
#[derive(Debug)]
pub(crate) struct HostFolder {
    /// `None` if the content comes from a journal.
    dir: Option<Dir>,
    /// Name of the single file that is granted. `None` if the whole folder is granted.
    single_file: Option<Arc<str>>,
    /// Attributes of the single file, if the content comes from a journal.
    recorded: Option<HostMeta>,
}

/// Attributes of a file, folder or link of the host. Two are equal if the file was not changed in between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostMeta {
    pub(crate) kind: HostKind,
    pub(crate) len: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: u64,
    /// Device, inode and time of the last status change, if the system has them. They detect a replaced file, and a
    /// file whose modification time was set back.
    #[serde(skip)]
    id: (u64, u64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HostKind {
    File,
    Dir,
    Symlink(Arc<str>),
    Special(u8),
}

/// Names in a folder, with the attributes at the time of listing.
pub(crate) type Listing = BTreeMap<Arc<str>, HostMeta>;

impl HostFolder {
    /// Opens `path`, a folder or a file, with the rights of this process. Follows symbolic links, because the caller
    /// chose the path.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            let dir = Dir::open_ambient_dir(&path, ambient_authority())?;
            return Ok(Self::from_dir(dir, None));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
        let folder = Self::from_dir(parent, Some(name.into()));
        match folder.meta(name)?.kind {
            HostKind::File => Ok(folder),
            _ => Err(io::Error::other("it is neither a file nor a folder")),
        }
    }

    fn from_dir(dir: Dir, single_file: Option<Arc<str>>) -> Self {
        Self {
            dir: Some(dir),
            single_file,
            recorded: None,
        }
    }

    /// Returns a folder, or a single file, whose content comes from a journal.
    pub(crate) fn recorded(single_file: Option<(Arc<str>, HostMeta)>) -> Self {
        let (single_file, recorded) = single_file.unzip();
        Self {
            dir: None,
            single_file,
            recorded,
        }
    }

    fn dir(&self) -> io::Result<Dir> {
        match &self.dir {
            Some(dir) => dir.try_clone(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Returns the name of the file if a single file is granted.
    pub(crate) fn single_file(&self) -> Option<&Arc<str>> {
        self.single_file.as_ref()
    }

    /// Opens the folder that contains `path`. Returns it and the last name of `path`.
    pub(crate) fn parent<'a>(&self, path: &'a str) -> io::Result<(Dir, &'a str)> {
        if self.single_file.as_deref().is_some_and(|name| name != path) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let mut dir = self.dir()?;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for (depth, folder) in folders.split('/').filter(|f| !f.is_empty()).enumerate() {
            if depth >= MAX_DEPTH {
                return Err(io::ErrorKind::InvalidFilename.into());
            }
            dir = dir.open_dir_nofollow(folder)?;
        }
        Ok((dir, name))
    }

    fn folder(&self, path: &str) -> io::Result<Dir> {
        if path.is_empty() {
            return self.dir();
        }
        let (dir, name) = self.parent(path)?;
        dir.open_dir_nofollow(name)
    }

    /// Returns the current attributes of `path`.
    pub(crate) fn meta(&self, path: &str) -> io::Result<HostMeta> {
        if let (None, Some(meta)) = (&self.dir, &self.recorded) {
            return Ok(meta.clone());
        }
        let (dir, name) = self.parent(path)?;
        let meta = dir.symlink_metadata(name)?;
        HostMeta::read(&dir, name, &meta)
    }

    /// Lists the folder `path`, recorded or replayed. Skips names that are not UTF-8, because WASI paths are UTF-8.
    ///
    /// Adds the number of lookups on the host to `host_lookups`, also on an error.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Overflow`] if there are more than `max` names.
    pub(crate) fn list(&self, path: &str, max: usize, host_lookups: &mut u64) -> Result<Listing> {
        let call = || Call::List { path: path.into() };
        journal::record_or_replay(call, || self.list_now(path, max, host_lookups))
            .unwrap_or(Err(Errno::Io))
    }

    fn list_now(&self, path: &str, max: usize, host_lookups: &mut u64) -> Result<Listing> {
        *host_lookups += 1;
        let dir = self.folder(path).map_err(|e| errno(&e))?;
        let mut names = Vec::new();
        for (count, entry) in dir.entries().map_err(|e| errno(&e))?.enumerate() {
            // Reading a name costs far less than reading its attributes.
            *host_lookups += u64::from(count % 8 == 0);
            if count >= max {
                return Err(Errno::Overflow);
            }
            let entry = entry.map_err(|e| errno(&e))?;
            names.extend(entry.file_name().into_string());
        }
        let mut listing = Listing::new();
        for name in names {
            *host_lookups += 1;
            // Skip a file that was removed in the meantime.
            let Ok(meta) = dir.symlink_metadata(&name) else {
                continue;
            };
            if let Ok(meta) = HostMeta::read(&dir, &name, &meta) {
                listing.insert(name.into(), meta);
            }
        }
        Ok(listing)
    }

    /// Returns a name in the folder `path` for which `known` is false. `None` if all are known.
    pub(crate) fn other_name(
        &self,
        path: &str,
        known: impl Fn(&str) -> bool,
    ) -> io::Result<Option<OsString>> {
        for entry in self.folder(path)?.entries()? {
            let name = entry?.file_name();
            if !name.to_str().is_some_and(&known) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Opens the file `path` to read it.
    ///
    /// # Errors
    ///
    /// Returns an error if it is not a regular file.
    pub(super) fn open_file(&self, path: &str) -> io::Result<(File, HostMeta)> {
        let (dir, name) = self.parent(path)?;
        let mut options = OpenOptions::new();
        // Non-blocking, because opening a pipe that has replaced the file would block the host.
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let file = dir.open_with(name, &options)?;
        let meta = HostMeta::read(&dir, name, &file.metadata()?)?;
        if meta.kind != HostKind::File {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((file.into_std(), meta))
    }
}

impl HostMeta {
    /// Returns the attributes of `name` in `dir`.
    fn read(dir: &Dir, name: &str, meta: &Metadata) -> io::Result<Self> {
        let kind = meta.file_type();
        let kind = if kind.is_file() {
            HostKind::File
        } else if kind.is_dir() {
            HostKind::Dir
        } else if kind.is_symlink() {
            match dir.read_link_contents(name)?.to_str() {
                Some(target) => HostKind::Symlink(target.into()),
                None => HostKind::Special(filetype::UNKNOWN),
            }
        } else {
            HostKind::Special(filetype::UNKNOWN)
        };
        let modified = meta.modified().ok().and_then(|time| {
            let time = time.into_std();
            time.duration_since(std::time::UNIX_EPOCH).ok()
        });
        Ok(Self {
            // The length, times and identity of a folder change with its entries, which are compared one by one.
            len: if kind == HostKind::Dir { 0 } else { meta.len() },
            modified: match kind {
                HostKind::Dir => 0,
                _ => modified.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(0)),
            },
            id: match kind {
                HostKind::Dir => (0, 0, 0),
                _ => identity(meta),
            },
            kind,
        })
    }
}

#[cfg(unix)]
fn identity(meta: &Metadata) -> (u64, u64, i64) {
    use cap_std::fs::MetadataExt;
    let changed = meta.ctime().wrapping_mul(1_000_000_000);
    let changed = changed.wrapping_add(meta.ctime_nsec());
    (meta.dev(), meta.ino(), changed)
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (u64, u64, i64) {
    (0, 0, 0)
}

/// Returns the guest's error number for an error of the host. It reveals nothing else of the host.
pub(super) fn errno(error: &io::Error) -> Errno {
    use io::ErrorKind as E;
    match error.kind() {
        E::NotFound => Errno::Noent,
        E::NotADirectory => Errno::Notdir,
        E::InvalidFilename => Errno::Nametoolong,
        E::PermissionDenied => Errno::Access,
        E::StaleNetworkFileHandle => Errno::Stale,
        _ if is_too_many_open(error) => Errno::Mfile,
        // A symbolic link has replaced the file. It was not granted.
        _ if is_loop(error) => Errno::Stale,
        _ => Errno::Io,
    }
}

#[cfg(unix)]
fn is_too_many_open(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

#[cfg(not(unix))]
fn is_too_many_open(_: &io::Error) -> bool {
    false
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}
