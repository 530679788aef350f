//! Through which a mount reaches the host: a capability handle, and what is opened below it. `host_file`
//! reads what is opened.
//!
//! The guest's paths end in the tree; what arrives here is a path of the host folder's own names,
//! found by listing it. Each name on the way is opened by itself and never through a symbolic
//! link, so that whatever others put there between looking and opening, nothing outside the folder
//! is reached. Pipes, devices and sockets are refused, also when they have just taken a file's
//! place.

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

use super::node::filetype;
use crate::sandbox::tape::{self, Call};
use crate::sandbox::wasi::{Errno, Result};

/// Names below this many others are not looked at.
const MAX_DEPTH: usize = 128;

/// A host folder, or a single file in one, opened once.
#[derive(Debug)]
pub(crate) struct HostFolder {
    /// `None`: what is in it is told by a recording, and by nothing else.
    dir: Option<Dir>,
    /// The one name that is granted; `None` for all of the folder.
    only: Option<Arc<str>>,
    /// What that was, in a folder of a recording.
    recorded: Option<HostMeta>,
}

/// What is known of a file, folder or link of the host. Equal as long as nobody has changed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostMeta {
    pub(crate) kind: HostKind,
    pub(crate) len: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: u64,
    /// Device, number and time of the last change to the file or what is told of it, where the
    /// system has them: a file put in another's place is another, and so is one whose times were set
    /// back.
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

/// A folder's names as they were when it was listed.
pub(crate) type Listing = BTreeMap<Arc<str>, HostMeta>;

impl HostFolder {
    /// Opens `path`, a folder or a file, with the rights of this process. Links that lead there
    /// are followed: the user named it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let path = path.canonicalize()?;
        if path.is_dir() {
            let dir = Dir::open_ambient_dir(&path, ambient_authority())?;
            return Ok(Self::of(dir, None));
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let name = name.to_str().ok_or(io::ErrorKind::InvalidFilename)?;
        let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
        let folder = Self::of(parent, Some(name.into()));
        match folder.meta(name)?.kind {
            HostKind::File => Ok(folder),
            _ => Err(io::Error::other("it is neither a file nor a folder")),
        }
    }

    fn of(dir: Dir, only: Option<Arc<str>>) -> Self {
        Self {
            dir: Some(dir),
            only,
            recorded: None,
        }
    }

    /// A folder of a recording, or the single file in one.
    pub(crate) fn recorded(only: Option<(Arc<str>, HostMeta)>) -> Self {
        let (only, recorded) = only.unzip();
        Self {
            dir: None,
            only,
            recorded,
        }
    }

    fn dir(&self) -> io::Result<Dir> {
        match &self.dir {
            Some(dir) => dir.try_clone(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The name of the single file, where only that is granted.
    pub(crate) fn only(&self) -> Option<&Arc<str>> {
        self.only.as_ref()
    }

    /// The folder that `path` lies in, and its name there.
    pub(crate) fn parent<'a>(&self, path: &'a str) -> io::Result<(Dir, &'a str)> {
        if self.only.as_deref().is_some_and(|only| only != path) {
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

    /// What lies at `path` now.
    pub(crate) fn meta(&self, path: &str) -> io::Result<HostMeta> {
        if let (None, Some(meta)) = (&self.dir, &self.recorded) {
            return Ok(meta.clone());
        }
        let (dir, name) = self.parent(path)?;
        let meta = dir.symlink_metadata(name)?;
        HostMeta::of(&dir, name, &meta)
    }

    /// The names in the folder `path`, at most `max` of them. Names that are not UTF-8 are left
    /// out: the guest has no way to say them.
    ///
    /// `looked_at` counts what that took, also when it fails.
    pub(crate) fn list(&self, path: &str, max: usize, looked_at: &mut u64) -> Result<Listing> {
        let call = || Call::List { path: path.into() };
        tape::told(call, || self.list_now(path, max, looked_at)).unwrap_or(Err(Errno::Io))
    }

    fn list_now(&self, path: &str, max: usize, looked_at: &mut u64) -> Result<Listing> {
        *looked_at += 1;
        let dir = self.folder(path).map_err(|e| errno(&e))?;
        let mut names = Vec::new();
        for (count, entry) in dir.entries().map_err(|e| errno(&e))?.enumerate() {
            // A name alone costs far less than what is known of it.
            *looked_at += u64::from(count % 8 == 0);
            if count >= max {
                return Err(Errno::Overflow);
            }
            let entry = entry.map_err(|e| errno(&e))?;
            names.extend(entry.file_name().into_string());
        }
        let mut listing = Listing::new();
        for name in names {
            *looked_at += 1;
            // What has gone since is not there.
            let Ok(meta) = dir.symlink_metadata(&name) else {
                continue;
            };
            if let Ok(meta) = HostMeta::of(&dir, &name, &meta) {
                listing.insert(name.into(), meta);
            }
        }
        Ok(listing)
    }

    /// A name in the folder `path` that `known` does not hold for, if there is one.
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

    pub(super) fn open_file(&self, path: &str) -> io::Result<(File, HostMeta)> {
        let (dir, name) = self.parent(path)?;
        let mut options = OpenOptions::new();
        // Without waiting: a pipe put in the file's place would hold the host for ever.
        options.read(true).follow(FollowSymlinks::No).nonblock(true);
        let file = dir.open_with(name, &options)?;
        let meta = HostMeta::of(&dir, name, &file.metadata()?)?;
        if meta.kind != HostKind::File {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((file.into_std(), meta))
    }
}

impl HostMeta {
    fn of(dir: &Dir, name: &str, meta: &Metadata) -> io::Result<Self> {
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
            // A folder's length and times change with its entries, which are looked at one by one.
            len: if kind == HostKind::Dir { 0 } else { meta.len() },
            modified: match kind {
                HostKind::Dir => 0,
                _ => modified.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(0)),
            },
            // A folder's change with its entries.
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

/// What the guest is told of the host's error, and no more of it.
pub(super) fn errno(error: &io::Error) -> Errno {
    use io::ErrorKind as E;
    match error.kind() {
        E::NotFound => Errno::Noent,
        E::NotADirectory => Errno::Notdir,
        E::InvalidFilename => Errno::Nametoolong,
        E::PermissionDenied => Errno::Access,
        E::StaleNetworkFileHandle => Errno::Stale,
        _ if too_many_open(error) => Errno::Mfile,
        // A link in a file's place: another file, and none that was granted.
        _ if is_loop(error) => Errno::Stale,
        _ => Errno::Io,
    }
}

#[cfg(unix)]
fn too_many_open(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

#[cfg(not(unix))]
fn too_many_open(_: &io::Error) -> bool {
    false
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}
