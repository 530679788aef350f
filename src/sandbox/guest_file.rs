//! A file of the guest's, handed to the caller.

use std::fmt;
use std::io;

use super::vfs::Content;

/// A file that the code left, as it was after the turn. Cheap to clone: the bytes are shared with
/// the session until either side lets go of them.
#[derive(Clone)]
pub struct GuestFile {
    /// Its path from the home folder, with `/`, as the guest named it: not safe to use on the host
    /// as it is.
    pub path: String,
    content: Content,
}

impl GuestFile {
    pub(super) fn new(path: String, content: Content) -> Self {
        Self { path, content }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.content.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes its bytes to `to`, a piece at a time.
    ///
    /// # Errors
    ///
    /// Of `to`; and where it lies over a file of a mount, when that was changed meanwhile.
    pub fn copy_to(&self, to: &mut dyn io::Write) -> io::Result<()> {
        self.content.copy_to(to)
    }

    /// All its bytes.
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
        if self.content.shares_all(&other.content) {
            return self.path == other.path;
        }
        let same = || Some(self.to_vec().ok()? == other.to_vec().ok()?);
        self.path == other.path && self.len() == other.len() && same() == Some(true)
    }
}
