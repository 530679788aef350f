//! Folders of the host that the guest may access, each granted as a [`Mount`] with a guest path and a mode.
//!
//! The folder is opened once, when the mount is made. Everything below it is reached through that handle (`vfs::host`).
//! Changes of the guest, if the mode allows any, are in the file tree only. `change` is one change, and `changes` finds
//! all of them by comparison of the tree with the host's listings. `write` writes them back, and `rebase` makes the
//! written state the new base of the tree.

mod change;
mod changes;
mod rebase;
mod write;

pub use change::{Change, ChangeKind};
pub use changes::Changes;
pub(crate) use rebase::rebase;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::SandboxError;
use crate::fs::vfs::{HostFolder, HostKind, HostMeta, Tree};

/// [`Mount::names`] lists no folders with more names than this.
const MAX_LISTED_NAMES: usize = 10_000;
/// Maximum number of names in a guest path.
const MAX_GUEST_PATH_NAMES: usize = 32;

/// A mount in a recording.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RecordedMount {
    guest: String,
    mode: MountMode,
    /// Name and attributes of the file, if the mount is a single file.
    #[serde(rename = "only")]
    single_file: Option<(Arc<str>, HostMeta)>,
}

/// Access of the guest to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountMode {
    /// Read-only. A write is an `OSError` (read-only file system).
    #[default]
    ReadOnly,
    /// The guest may change files. The changes exist in the sandbox only.
    Overlay,
    /// As [`MountMode::Overlay`], and the caller can write the changes back to the host with
    /// [`Session::commit`](crate::Session::commit). Nothing is written before.
    Commit,
}

/// A folder or a single file of the host that the guest may access.
///
/// Symbolic links are shown as links and followed in the guest's tree, so none leads out of the folder. Pipes, devices
/// and sockets are listed but cannot be opened. Names that are not UTF-8 are not listed. All mounts together list at
/// most 200,000 names; listing a folder beyond that is an `OSError`.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{Mount, MountMode, Sandbox};
///
/// let data = Mount::open("data")?.at("/data")?.mode(MountMode::Overlay);
/// let sandbox = Sandbox::builder().mount(data).build().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Mount {
    host: PathBuf,
    folder: Arc<HostFolder>,
    guest: String,
    mode: MountMode,
}

impl Mount {
    /// Opens `host`, a folder or a file. Default guest path: `/mnt/NAME`. Default mode: [`MountMode::ReadOnly`].
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Mount`] if it cannot be opened or its name is not UTF-8.
    pub fn open(host: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let host = host.as_ref();
        let refused = |why: String| SandboxError::Mount {
            mount: host.display().to_string(),
            why,
        };
        let real = host.canonicalize().map_err(|e| refused(e.to_string()))?;
        let folder = HostFolder::open(&real).map_err(|e| refused(e.to_string()))?;
        // The given name, also if it is a symbolic link. `.` and `..` have no name.
        let name = host.file_name().or(real.file_name());
        let name = name.map_or("root", |name| name.to_str().unwrap_or_default());
        if name.is_empty() {
            let why = "its name is not UTF-8; give a guest path";
            return Err(refused(why.into()));
        }
        Ok(Self {
            guest: format!("/mnt/{name}"),
            host: host.to_owned(),
            folder: Arc::new(folder),
            mode: MountMode::default(),
        })
    }

    /// Parses `HOST[:GUEST][:ro|overlay|commit]` and opens the mount. GUEST is an absolute path.
    ///
    /// # Errors
    ///
    /// As [`Mount::open`] and [`Mount::at`].
    pub fn parse(spec: &str) -> Result<Self, SandboxError> {
        let (rest, mode) = match spec.rsplit_once(':') {
            Some((rest, "ro")) => (rest, MountMode::ReadOnly),
            Some((rest, "overlay")) => (rest, MountMode::Overlay),
            Some((rest, "commit")) => (rest, MountMode::Commit),
            _ => (spec, MountMode::default()),
        };
        // The colon of a drive letter is not followed by `/`.
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
        let mount = Self::open(host).map_err(|error| with_syntax(error, spec, host))?;
        let mount = mount.mode(mode);
        match guest {
            Some(guest) => mount.at(guest),
            None => Ok(mount),
        }
    }

    /// Sets the guest path, an absolute path.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Mount`] if the path is not absolute, is the root, or contains `..`.
    pub fn at(mut self, guest: &str) -> Result<Self, SandboxError> {
        let names: Vec<_> = guest
            .split('/')
            .filter(|n| !n.is_empty() && *n != ".")
            .collect();
        let invalid = |name: &&str| *name == ".." || name.contains('\0') || name.len() > 255;
        if !guest.starts_with('/')
            || names.is_empty()
            || names.len() > MAX_GUEST_PATH_NAMES
            || names.iter().any(invalid)
        {
            return Err(SandboxError::Mount {
                mount: self.host.display().to_string(),
                why: format!(
                    "invalid guest path {guest:?}; expected an absolute path such as /data"
                ),
            });
        }
        self.guest = format!("/{}", names.join("/"));
        Ok(self)
    }

    /// Sets the access of the guest.
    #[must_use]
    pub fn mode(mut self, mode: MountMode) -> Self {
        self.mode = mode;
        self
    }

    /// Returns the form for a recording. Of the host it contains only the name, size and time of a single file.
    pub(crate) fn to_recorded(&self) -> RecordedMount {
        let name = self.folder.single_file();
        let meta = name.and_then(|name| self.folder.meta(name).ok());
        RecordedMount {
            guest: self.guest.clone(),
            mode: self.mode,
            single_file: name.cloned().zip(meta),
        }
    }

    /// Returns a mount whose content comes from a journal.
    pub(crate) fn from_recorded(mount: &RecordedMount) -> Result<Self, SandboxError> {
        let recorded = Self {
            host: PathBuf::from("recorded"),
            folder: Arc::new(HostFolder::recorded(mount.single_file.clone())),
            guest: String::new(),
            mode: mount.mode,
        };
        recorded.at(&mount.guest)
    }

    /// Returns true if both grant the same opened folder or file at the same path with the same access.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.folder, &other.folder)
            && self.guest == other.guest
            && self.mode == other.mode
    }

    /// Returns the guest path.
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// Returns the host's path as it was given.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// Returns the access of the guest.
    pub fn access(&self) -> MountMode {
        self.mode
    }

    /// Returns true if the mount is a single file.
    pub fn is_file(&self) -> bool {
        self.folder.single_file().is_some()
    }

    /// Returns the first `max` names of the folder in their order, folders with a `/` at the end, and true if the list
    /// is complete. `None` for a single file and for a folder that cannot be listed.
    pub fn names(&self, max: usize) -> Option<(Vec<String>, bool)> {
        if self.is_file() {
            return None;
        }
        let listing = self.folder.list("", MAX_LISTED_NAMES, &mut 0).ok()?;
        let names = listing
            .iter()
            .take(max)
            .map(|(name, meta)| match meta.kind {
                HostKind::Dir => format!("{name}/"),
                _ => name.to_string(),
            });
        Some((names.collect(), listing.len() <= max))
    }

    /// Adds the mount to `tree`.
    pub(crate) fn attach(&self, tree: &mut Tree, now: u64) -> Result<(), SandboxError> {
        let writable = self.mode != MountMode::ReadOnly;
        tree.mount(self.folder.clone(), &self.guest, writable, now)
            .map_err(|why| SandboxError::Mount {
                mount: self.host.display().to_string(),
                why: format!("it cannot be shown at {}: {why}", self.guest),
            })
    }
}

/// Adds the expected syntax to the error if `host` may contain an invalid mode.
fn with_syntax(error: SandboxError, spec: &str, host: &str) -> SandboxError {
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
