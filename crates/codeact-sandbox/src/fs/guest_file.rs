//! A file of the guest, for the caller.

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::fs::vfs::{Content, PackFile};

/// A file of the guest as it was after a turn, or between two turns. Cheap to clone: the bytes are shared with the session until one side
/// changes them.
#[derive(Clone)]
pub struct GuestFile {
    /// Path relative to the home folder, with `/`; absolute if the file is not in it. The guest chose it, so it is not
    /// safe to use on the host without validation.
    pub path: String,
    content: Bytes,
}

#[derive(Clone)]
enum Bytes {
    Own(Content),
    /// A read-only file of the pack or of an installed package.
    Pack(Arc<PackFile>),
}

impl GuestFile {
    pub(crate) fn new(path: String, content: Content) -> Self {
        Self {
            path,
            content: Bytes::Own(content),
        }
    }

    /// Returns a file of the pack.
    pub(crate) fn of_pack(path: String, file: Arc<PackFile>) -> Self {
        Self {
            path,
            content: Bytes::Pack(file),
        }
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> u64 {
        match &self.content {
            Bytes::Own(content) => content.len(),
            Bytes::Pack(file) => file.len(),
        }
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
        match &self.content {
            Bytes::Own(content) => content.copy_to(to),
            Bytes::Pack(file) => file.copy_to(to),
        }
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
        let is_shared = match (&self.content, &other.content) {
            (Bytes::Own(one), Bytes::Own(other)) => one.shares_all_chunks(other),
            (Bytes::Pack(one), Bytes::Pack(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        if is_shared {
            return self.path == other.path;
        }
        let same = || Some(self.to_vec().ok()? == other.to_vec().ok()?);
        self.path == other.path && self.len() == other.len() && same() == Some(true)
    }
}
