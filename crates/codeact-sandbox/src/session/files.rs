//! The files of a session between turns.
//!
//! Security boundary: a path is untrusted. It is resolved in the session's tree only, as the guest's calls resolve it.

use crate::fs::guest_file::GuestFile;
use crate::fs::vfs::{Content, HOME, Kind, Quota, Tree};
use crate::session::file_error::FileError;
use crate::session::file_info::FileInfo;
use crate::session::handle::Session;
use crate::session::idle::lock;
use crate::types::errno::{Errno, Result as TreeResult};

/// Maximum length of a path, in bytes.
const MAX_PATH_BYTES: usize = 4096;

/// A path is absolute, or relative to the home folder `/home/user`. Symbolic links are followed in the sandbox's tree,
/// and `..` of the root folder is the root folder. Methods that change something change all or nothing.
impl Session {
    /// Returns the file at `path`, of the guest, of a mount or of the pack. Its bytes are read when they are needed.
    ///
    /// # Errors
    ///
    /// Returns [`FileError`] if there is no such file, if it is a folder or a device, or if the host cannot read it.
    pub fn read_file(&self, path: &str) -> Result<GuestFile, FileError> {
        let (real, kind) = self.look(path, |tree| tree.whole_file(path))?;
        let inside = real
            .strip_prefix(HOME)
            .and_then(|rest| rest.strip_prefix('/'));
        let name = inside.unwrap_or(&real).to_owned();
        match kind {
            Kind::File(content) => Ok(GuestFile::new(name, content)),
            Kind::Pack(file) => Ok(GuestFile::of_pack(name, file)),
            _ => Ok(GuestFile::new(name, Content::default())),
        }
    }

    /// Makes `bytes` the content of the file at `path`. Creates the file and its parent folders if they do not exist. A
    /// descriptor that the guest has open on the file sees the new content.
    ///
    /// # Errors
    ///
    /// Returns [`FileError`] if the guest could not write there, if the limits of the session's files are reached, or if
    /// the session is recorded or replayed.
    pub fn write_file(&mut self, path: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.change(path, |tree, quota, now| {
            tree.replace_file(path, bytes, quota, now)
        })
    }

    /// Returns the entries of the folder at `path`, sorted by name. Folders below it are not listed.
    ///
    /// # Errors
    ///
    /// Returns [`FileError`] if there is no such folder, or if the host cannot list it.
    pub fn list_dir(&self, path: &str) -> Result<Vec<FileInfo>, FileError> {
        let entries = self.look(path, |tree| tree.names_in(path))?;
        Ok(entries.into_iter().map(FileInfo::from).collect())
    }

    /// Returns the attributes of `path`. If it is a symbolic link, those of the link.
    ///
    /// # Errors
    ///
    /// Returns [`FileError`] if it does not exist.
    pub fn file_info(&self, path: &str) -> Result<FileInfo, FileError> {
        self.look(path, |tree| tree.name_at(path)).map(Into::into)
    }

    /// Creates the folder `path`, and its parent folders if they do not exist.
    ///
    /// # Errors
    ///
    /// Returns [`FileError::Exists`] if `path` exists, and other errors as [`Session::write_file`].
    pub fn make_dir(&mut self, path: &str) -> Result<(), FileError> {
        self.change(path, |tree, quota, now| tree.make_folder(path, quota, now))
    }

    /// Removes the file, link or folder at `path`; a folder with everything in it. The guest can go on to use a file
    /// that it has open.
    ///
    /// # Errors
    ///
    /// As [`Session::write_file`], and [`FileError::NotFound`]. A folder that contains a mount is [`FileError::ReadOnly`].
    pub fn remove_path(&mut self, path: &str) -> Result<(), FileError> {
        self.change(path, |tree, _, now| tree.remove_all(path, now))
    }

    /// Renames `from` to `to`, whose parent folder must exist. A file at `to` is replaced.
    ///
    /// # Errors
    ///
    /// As [`Session::write_file`]; [`FileError::Exists`] if `to` is a folder with entries; [`FileError::Io`] if only one of
    /// the paths is in a mount, or they are in different mounts.
    pub fn rename_path(&mut self, from: &str, to: &str) -> Result<(), FileError> {
        check_path(to)?;
        self.change(from, |tree, _, now| tree.rename_paths(from, to, now))
    }

    /// Runs `read` on a copy of the tree: what it lists of a mount is not seen by the next turn.
    fn look<T>(
        &self,
        path: &str,
        read: impl FnOnce(&mut Tree) -> TreeResult<T>,
    ) -> Result<T, FileError> {
        check_path(path)?;
        let mut tree = lock(&self.idle).state().tree.clone();
        tree.refresh_mounts();
        read(&mut tree).map_err(|errno| FileError::of(errno, path, false))
    }

    /// Runs `write` on a copy of the tree, which becomes the session's if it succeeds.
    fn change(
        &mut self,
        path: &str,
        write: impl FnOnce(&mut Tree, &Quota, u64) -> TreeResult<()>,
    ) -> Result<(), FileError> {
        check_path(path)?;
        if self.is_journaled() {
            return Err(FileError::journaled(path));
        }
        let quota = Quota::from_limits(&self.context.limits);
        let mut idle = lock(&self.idle);
        let state = idle.state();
        let now = state.clock.realtime();
        let mut tree = state.tree.clone();
        tree.refresh_mounts();
        write(&mut tree, &quota, now).map_err(|errno| FileError::of(errno, path, true))?;
        // The next call of the guest is not charged for the lookups of the caller.
        tree.host_lookups = 0;
        idle.state_mut().tree = tree;
        Ok(())
    }
}

fn check_path(path: &str) -> Result<(), FileError> {
    if path.is_empty() || path.len() > MAX_PATH_BYTES || path.contains('\0') {
        return Err(FileError::of(Errno::Inval, path, false));
    }
    Ok(())
}
