//! State of a session between two turns, as data in memory or in a file.
//!
//! A snapshot has the pages that differ from the base image, the guest's files and descriptors, and the state of its
//! clock and random generator. Code in it runs in the sandbox only, so an untrusted snapshot is as safe to start as
//! other untrusted code. `file` is the file format.

mod file;

use std::fmt;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;
use std::sync::Arc;

use crate::error::SandboxError;
use crate::fs::vfs::Chunk;
use crate::instance::memory::Pages;
use crate::session::context::SessionContext;
use crate::session::handle::Session;
use crate::session::idle::Checkpoint;
use codeact_base::atomic_file;

/// A snapshot that is stored in a file, as the base of an incremental one.
#[derive(Debug)]
pub struct SavedSnapshot {
    hash: [u8; file::HASH_BYTES],
    /// Number of base snapshots below it.
    pub depth: u32,
    pages: Option<Arc<Pages>>,
    chunks: Vec<Chunk>,
}

/// State of a session between two turns. It is immutable and shared by the sessions that start from it. Cheap to clone;
/// snapshots of a session share unchanged data.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{Sandbox, Snapshot};
///
/// let sandbox = Sandbox::new().await?;
/// let mut session = sandbox.session()?;
/// session.run("x = 1").await?;
/// let start = session.checkpoint()?;
/// session.run("x = 2").await?;
/// session.rollback(&start); // x is 1 again
/// start.save("work.snapshot")?;
/// let again = Snapshot::load(&sandbox, "work.snapshot")?.session();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Snapshot {
    pub(crate) context: SessionContext,
    pub(crate) turns: u32,
    pub(crate) checkpoint: Checkpoint,
}

impl Snapshot {
    /// Returns the number of turns that the session had run.
    pub fn turns(&self) -> u32 {
        self.turns
    }

    /// Returns a session that starts from the snapshot. It takes no memory until it runs, and then only for its
    /// changes.
    ///
    /// It has the files, variables and random state of the snapshot, so two sessions that start from the same snapshot
    /// draw the same random numbers.
    pub fn session(&self) -> Session {
        Session::at(self)
    }

    /// Writes the snapshot to `path` through a temporary file, so that `path` is either complete or unchanged.
    ///
    /// Mounts and installed packages are not stored; the sandbox that loads the snapshot provides them. Unread stdin is
    /// not stored either.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Snapshot`] if a file of a mount is open, or if changes in a mount are neither committed
    /// nor discarded; [`SandboxError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SandboxError> {
        let path = path.as_ref();
        let write =
            |to: &mut atomic_file::Writer| file::write(self, path, false, None, to).map(drop);
        atomic_file::write_with(path, write, |e| SandboxError::io("write", path, e))
    }

    /// As [`Snapshot::save`], without changes in mounts. With `over`, writes an incremental snapshot: only the pages
    /// and file chunks that differ from `over`.
    #[doc(hidden)]
    pub fn save_over(
        &self,
        path: &Path,
        over: Option<&SavedSnapshot>,
    ) -> Result<SavedSnapshot, SandboxError> {
        let write = |to: &mut atomic_file::Writer| file::write(self, path, true, over, to);
        atomic_file::write_with(path, write, |e| SandboxError::io("write", path, e))
    }

    /// Reads a file that [`Snapshot::save`], or [`Snapshot::save_over`] on top of `below`, has written.
    pub(crate) fn load_in(
        context: &SessionContext,
        path: &Path,
        below: Option<&SavedSnapshot>,
    ) -> Result<(Self, SavedSnapshot), SandboxError> {
        let file = File::open(path).map_err(|e| SandboxError::io("open", path, e))?;
        file::read(context, path, file, below)
    }

    /// Returns the content of the file that [`Snapshot::save`] writes.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, SandboxError> {
        let mut bytes = Vec::new();
        file::write(self, Path::new("in memory"), false, None, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads the content of a file. It is untrusted.
    pub(crate) fn from_bytes(context: &SessionContext, bytes: &[u8]) -> Result<Self, SandboxError> {
        let path = Path::new("in memory");
        let file = || -> std::io::Result<File> {
            let mut file = tempfile::tempfile()?;
            file.write_all(bytes)?;
            file.rewind()?;
            Ok(file)
        };
        let file = file().map_err(|e| SandboxError::io("write", &std::env::temp_dir(), e))?;
        Ok(file::read(context, path, file, None)?.0)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot(after {} turns)", self.turns)
    }
}
