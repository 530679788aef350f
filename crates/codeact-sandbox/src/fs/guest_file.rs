//! A file of the guest, for the caller.

use std::fmt;
use std::io;

use crate::fs::vfs::Content;

/// A file of the guest as it was after a turn. Cheap to clone: the bytes are shared with the session until one side
/// changes them.
#[derive(Clone)]
pub struct GuestFile {
    /// Path relative to the home folder, with `/`. The guest chose it, so it is not safe to use on the host without
    /// validation.
    pub path: String,
    content: Content,
}

impl GuestFile {
    pub(crate) fn new(path: String, content: Content) -> Self {
        Self { path, content }
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> u64 {
        self.content.len()
    }

    /// Returns true if the file is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the content to `to`, in chunks.
    ///
    /// # Errors
    ///
    /// Returns errors of `to`, and an error if the content is based on a file of a mount that was changed meanwhile.
    pub fn copy_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        self.content.copy_to(to)
    }

    /// Returns the content.
    ///
    /// # Errors
    ///
    /// As [`GuestFile::copy_to`].
    pub fn to_vec(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.copy_to(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for GuestFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestFile({:?}, {} bytes)", self.path, self.len())
    }
}

impl PartialEq for GuestFile {
    fn eq(&self, other: &Self) -> bool {
        if self.content.shares_all_chunks(&other.content) {
            return self.path == other.path;
        }
        let same = || Some(self.to_vec().ok()? == other.to_vec().ok()?);
        self.path == other.path && self.len() == other.len() && same() == Some(true)
    }
}
