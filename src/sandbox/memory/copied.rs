//! Elsewhere: the image copied over the memory, changes found by comparing.

use std::io;
use std::path::Path;

use super::{PAGE, compare};

/// Page faults are not looked at here.
#[cfg_attr(test, allow(dead_code, reason = "the other one is in use under Linux"))]
pub(crate) fn thread_faults() -> Option<u64> {
    None
}

/// A base image, in memory.
pub(crate) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    #[cfg_attr(test, allow(dead_code, reason = "the tests make theirs from bytes"))]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::from_bytes(std::fs::read(path)?)
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PAGE) {
            return Err(io::Error::other("a base image is a whole number of pages"));
        }
        Ok(Self { bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg_attr(test, allow(dead_code, reason = "the other one is in use under Linux"))]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lays the image over the first `len()` bytes of `memory`.
    pub(crate) fn lay(&self, memory: &mut [u8]) -> io::Result<()> {
        memory[..self.bytes.len()].copy_from_slice(&self.bytes);
        Ok(())
    }

    /// The pages of `memory` that differ from the image, and those behind it that are not zero.
    pub(crate) fn changed(&self, memory: &[u8], into: &mut Vec<u32>) -> io::Result<()> {
        compare(&self.bytes, memory, into);
        Ok(())
    }

    /// Puts the image's bytes back over the pages `changed`.
    pub(crate) fn put_back(&self, memory: &mut [u8], changed: &[u32]) {
        for page in changed {
            let at = *page as usize * PAGE;
            memory[at..at + PAGE].copy_from_slice(&self.bytes[at..at + PAGE]);
        }
    }
}

/// A run of whole pages, never changed.
#[derive(Debug)]
#[cfg_attr(test, allow(dead_code, reason = "the other one is in use under Linux"))]
pub(crate) struct Segment {
    bytes: Vec<u8>,
}

#[cfg_attr(test, allow(dead_code, reason = "the other one is in use under Linux"))]
impl Segment {
    /// Keeps what is in `bytes`.
    pub(crate) fn take(bytes: &[u8]) -> io::Result<Self> {
        let bytes = bytes.to_vec();
        Ok(Self { bytes })
    }

    /// Copies it, from `from` bytes on, over `memory`.
    pub(crate) fn lay(&self, memory: &mut [u8], from: usize) -> io::Result<()> {
        self.read(memory, from)
    }

    /// Its bytes: a memory that shows a page as changed may still have what is here.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }

    /// Copies its bytes from `from` on to `buf`.
    pub(crate) fn read(&self, buf: &mut [u8], from: usize) -> io::Result<()> {
        let part = self.bytes.get(from..from + buf.len());
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
