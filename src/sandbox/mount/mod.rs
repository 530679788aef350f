//! Folders of the host that the guest may see: granted with a [`Mount`], by name and mode.
//!
//! The folder is opened once, when the mount is made, and everything below it is reached through
//! that handle (`vfs::host`). The guest's changes, where it may make any, lie in its own tree.
//! `changes` compares the tree with what the host had shown, `write` writes the difference back, and
//! `settle` makes it the tree's new ground.

mod changes;
mod settle;
mod write;

pub use changes::{Change, ChangeKind, Changes};
pub(super) use settle::settle;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::error::SandboxError;
use super::vfs::{HostFolder, HostKind, HostMeta, Tree};

/// No names are told of folders with more than this many.
const MAX_NAMED: usize = 10_000;

/// A mount as a recording has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RecordedMount {
    guest: String,
    mode: MountMode,
    /// The single file that is granted, as it was.
    only: Option<(Arc<str>, HostMeta)>,
}

/// What the guest may do with a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountMode {
    /// Read only: a write is an `OSError` (read-only file system).
    #[default]
    ReadOnly,
    /// The guest may change what it sees; the changes are its own, and the host's folder stays as
    /// it is.
    Overlay,
    /// As [`MountMode::Overlay`], and whoever runs the code can write the changes back to the host
    /// after it: [`Session::commit`](super::Session::commit). Nothing is written before.
    Commit,
}

/// A folder, or a single file, of the host that the code may see.
///
/// Symbolic links in it are shown as links and followed in the guest's own tree: none leads out of
/// the folder. Pipes, devices and sockets can be seen, not opened. Names that are not UTF-8 are not
/// shown. At most 200,000 names are shown at once; a folder that would go over it is an `OSError`.
#[derive(Clone)]
pub struct Mount {
    host: PathBuf,
    folder: Arc<HostFolder>,
    guest: String,
    mode: MountMode,
}

impl Mount {
    /// Opens `host`, a folder or a file, to be seen read-only at `/mnt/NAME`.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Mount`] if it cannot be opened, or has no name of its own (such as `/`) that
    /// could be used below `/mnt`.
    pub fn open(host: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let host = host.as_ref();
        let refused = |why: String| SandboxError::Mount {
            mount: host.display().to_string(),
            why,
        };
        let real = host.canonicalize().map_err(|e| refused(e.to_string()))?;
        let folder = HostFolder::open(&real).map_err(|e| refused(e.to_string()))?;
        // The name as it was typed, also when it is a link's; `.` and `..` have none of their own.
        let name = host.file_name().or(real.file_name());
        let name = name.map_or("root", |name| name.to_str().unwrap_or_default());
        if name.is_empty() {
            let why = "its name is not UTF-8; name the place where the code sees it";
            return Err(refused(why.into()));
        }
        Ok(Self {
            guest: format!("/mnt/{name}"),
            host: host.to_owned(),
            folder: Arc::new(folder),
            mode: MountMode::default(),
        })
    }

    /// Reads `HOST[:GUEST][:ro|overlay|commit]` and opens it. GUEST is an absolute path.
    ///
    /// # Errors
    ///
    /// As [`Mount::open`], and for a GUEST that is none.
    pub fn parse(spec: &str) -> Result<Self, SandboxError> {
        let (rest, mode) = match spec.rsplit_once(':') {
            Some((rest, "ro")) => (rest, MountMode::ReadOnly),
            Some((rest, "overlay")) => (rest, MountMode::Overlay),
            Some((rest, "commit")) => (rest, MountMode::Commit),
            _ => (spec, MountMode::default()),
        };
        // A drive's colon is followed by more than a path from the root.
        let (host, guest) = match rest.rsplit_once(':') {
            Some((host, guest)) if guest.starts_with('/') && !host.is_empty() => {
                (host, Some(guest))
            }
            _ => (rest, None),
        };
        if host.is_empty() {
            return Err(SandboxError::Mount {
                mount: spec.into(),
                why: "expected HOST[:GUEST][:ro|overlay|commit]".into(),
            });
        }
        let mount = Self::open(host).map_err(|error| hint(error, spec, host))?;
        let mount = mount.mode(mode);
        match guest {
            Some(guest) => mount.at(guest),
            None => Ok(mount),
        }
    }

    /// Where the guest sees it: an absolute path. Default: `/mnt/NAME`.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Mount`] for a path that is not absolute or holds `..`.
    pub fn at(mut self, guest: &str) -> Result<Self, SandboxError> {
        let names: Vec<_> = guest
            .split('/')
            .filter(|n| !n.is_empty() && *n != ".")
            .collect();
        let odd = |name: &&str| *name == ".." || name.contains('\0') || name.len() > 255;
        if !guest.starts_with('/') || names.is_empty() || names.len() > 32 || names.iter().any(odd)
        {
            return Err(SandboxError::Mount {
                mount: self.host.display().to_string(),
                why: format!(
                    "the code cannot see it at {guest:?}; expected an absolute path such as /data"
                ),
            });
        }
        self.guest = format!("/{}", names.join("/"));
        Ok(self)
    }

    /// What the guest may do. Default: [`MountMode::ReadOnly`].
    #[must_use]
    pub fn mode(mut self, mode: MountMode) -> Self {
        self.mode = mode;
        self
    }

    /// What a recording keeps of it: nothing of the host but a single file's name, size and time.
    pub(super) fn to_recorded(&self) -> RecordedMount {
        let only = self.folder.only();
        let meta = only.and_then(|name| self.folder.meta(name).ok());
        RecordedMount {
            guest: self.guest.clone(),
            mode: self.mode,
            only: only.cloned().zip(meta),
        }
    }

    /// A mount whose contents a recording tells.
    pub(super) fn from_recorded(mount: &RecordedMount) -> Result<Self, SandboxError> {
        let recorded = Self {
            host: PathBuf::from("recorded"),
            folder: Arc::new(HostFolder::recorded(mount.only.clone())),
            guest: String::new(),
            mode: mount.mode,
        };
        recorded.at(&mount.guest)
    }

    /// Where the guest sees it.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// The host's path, as it was given.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// What the guest may do with it.
    pub fn access(&self) -> MountMode {
        self.mode
    }

    /// Whether it is a single file.
    pub fn is_file(&self) -> bool {
        self.folder.only().is_some()
    }

    /// The first names in the folder, in their order, folders with a `/` at the end, and whether these
    /// are all; `None` for a single file, and for what cannot be listed.
    pub fn names(&self, max: usize) -> Option<(Vec<String>, bool)> {
        if self.is_file() {
            return None;
        }
        let listing = self.folder.list("", MAX_NAMED, &mut 0).ok()?;
        let names = listing
            .iter()
            .take(max)
            .map(|(name, meta)| match meta.kind {
                HostKind::Dir => format!("{name}/"),
                _ => name.to_string(),
            });
        Some((names.collect(), listing.len() <= max))
    }

    pub(super) fn attach(&self, tree: &mut Tree, now: u64) -> Result<(), SandboxError> {
        let writable = self.mode != MountMode::ReadOnly;
        tree.mount(self.folder.clone(), &self.guest, writable, now)
            .map_err(|why| SandboxError::Mount {
                mount: self.host.display().to_string(),
                why: format!("the code cannot see it at {}: {why}", self.guest),
            })
    }
}

/// A mode that is none was taken for a part of the path.
fn hint(error: SandboxError, spec: &str, host: &str) -> SandboxError {
    match error {
        SandboxError::Mount { why, .. } if host.contains(':') => SandboxError::Mount {
            mount: spec.into(),
            why: format!(
                "{why} ({host:?}); expected HOST[:GUEST][:ro|overlay|commit], GUEST from /"
            ),
        },
        other => other,
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Mount({:?} at {:?}, {:?})",
            self.host, self.guest, self.mode
        )
    }
}
