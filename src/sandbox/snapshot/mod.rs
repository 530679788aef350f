//! A session at rest, as data: kept in memory, or as one file.
//!
//! A snapshot is the pages that differ from the base image, the guest's own files, its descriptors and
//! the state of its clock and random generator. It holds no code but what is in that memory, which
//! runs in the sandbox: one from a stranger is as safe to start as any other code. `file` is the
//! format, and reads it with that in mind.

mod file;

use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

use super::at_rest::Checkpoint;
use super::error::SandboxError;
use super::memory::Pages;
use super::session::{Ground, Session};
use super::vfs::Chunk;
use super::{Sandbox, cache};

/// A snapshot that is in a file: what another one needs to lie over it.
#[derive(Debug)]
pub(crate) struct Saved {
    hash: [u8; file::HASH],
    /// How many lie below it.
    pub(crate) depth: u32,
    pages: Option<Arc<Pages>>,
    chunks: Vec<Chunk>,
}

/// A session as it was between two turns: data that nothing changes any more, and that sessions
/// share. Cheap to clone and to keep: what two snapshots of a session have in common is there once.
#[derive(Clone)]
pub struct Snapshot {
    pub(super) ground: Ground,
    pub(super) turns: u32,
    pub(super) checkpoint: Checkpoint,
}

impl Snapshot {
    /// Turns run until then.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// A session that starts there. It costs nothing until it runs, and then what it changes.
    ///
    /// It has the snapshot's files, variables and random generators: two sessions that start at one
    /// snapshot draw the same random numbers.
    pub fn session(&self) -> Session {
        Session::at(self)
    }

    /// Writes it to `path`, through a temporary file, so that `path` is whole or as it was.
    ///
    /// Mounts and added packages are not in it, but are named where it is restored. What is left
    /// unread of stdin is not kept.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Snapshot`] when a file of a mount is open, or changes in a mount are neither
    /// committed nor given up; [`SandboxError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SandboxError> {
        let path = path.as_ref();
        let mut write = |to: &mut dyn Write| file::write(self, path, false, None, to).map(drop);
        cache::write_with(path, &mut write)
    }

    /// As [`Snapshot::save`], without what was changed in mounts, and without what is as in `over`.
    pub(crate) fn save_over(
        &self,
        path: &Path,
        over: Option<&Saved>,
    ) -> Result<Saved, SandboxError> {
        let mut saved = None;
        let mut write = |to: &mut dyn Write| {
            saved = Some(file::write(self, path, true, over, to)?);
            Ok(())
        };
        cache::write_with(path, &mut write)?;
        saved.ok_or_else(|| SandboxError::Engine("a snapshot was not written".into()))
    }

    /// Reads what [`Snapshot::save_over`] has written over `below`.
    pub(crate) fn load_over(
        sandbox: &Sandbox,
        path: &Path,
        below: Option<&Saved>,
    ) -> Result<(Self, Saved), SandboxError> {
        let file = File::open(path).map_err(|e| SandboxError::io("open", path, e))?;
        file::read(sandbox, path, file, below)
    }

    /// What [`Snapshot::save`] would write.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, SandboxError> {
        let mut bytes = Vec::new();
        file::write(self, Path::new("in memory"), false, None, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads what [`Snapshot::to_bytes`] gave, or somebody else.
    pub(super) fn from_bytes(sandbox: &Sandbox, bytes: &[u8]) -> Result<Self, SandboxError> {
        let path = Path::new("in memory");
        let file = || -> std::io::Result<File> {
            let mut file = tempfile::tempfile()?;
            file.write_all(bytes)?;
            file.rewind()?;
            Ok(file)
        };
        let file = file().map_err(|e| SandboxError::io("write", &std::env::temp_dir(), e))?;
        Ok(file::read(sandbox, path, file, None)?.0)
    }

    /// Reads a snapshot that [`Snapshot::save`] has written, to go on in `sandbox`, with its limits,
    /// mounts and packages. The file may come from anybody.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Snapshot`] when it is no snapshot, is damaged, is of another pack or version, or
    /// is larger than the sandbox's limits allow; [`SandboxError::Io`].
    pub fn load(sandbox: &Sandbox, path: impl AsRef<Path>) -> Result<Self, SandboxError> {
        Ok(Self::load_over(sandbox, path.as_ref(), None)?.0)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(after {} turns)", self.turns)
    }
}
