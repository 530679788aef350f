//! Base images on systems other than Linux: the image is copied over the memory, and changes are found by comparison.

use std::io;
use std::path::Path;

use crate::instance::memory::{PAGE, compare};

/// Returns `None`: page faults are not counted here.
#[cfg_attr(test, allow(dead_code, reason = "Linux uses `mapped`"))]
pub(crate) fn thread_faults() -> Option<u64> {
    None
}

/// A base image, in memory.
pub(crate) struct Image {
    bytes: Vec<u8>,
}

impl Image {
    #[cfg_attr(test, allow(dead_code, reason = "tests use from_bytes"))]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::from_bytes(std::fs::read(path)?)
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        if bytes.is_empty() || !bytes.len().is_multiple_of(PAGE) {
            return Err(io::Error::other(
                "the size of a base image must be a whole number of pages",
            ));
        }
        Ok(Self { bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    #[cfg_attr(test, allow(dead_code, reason = "Linux uses `mapped`"))]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Copies the image over the first `len()` bytes of `memory`.
    pub(crate) fn map_over(&self, memory: &mut [u8]) -> io::Result<()> {
        memory[..self.bytes.len()].copy_from_slice(&self.bytes);
        Ok(())
    }

    /// Finds the pages of `memory` that differ from the image, and those after the image that are not zero.
    pub(crate) fn changed(&self, memory: &[u8], into: &mut Vec<u32>) -> io::Result<()> {
        compare(&self.bytes, memory, into);
        Ok(())
    }

    /// Resets the pages `changed` to those of the image.
    pub(crate) fn reset_pages(&self, memory: &mut [u8], changed: &[u32]) {
        for page in changed {
            let at = *page as usize * PAGE;
            memory[at..at + PAGE].copy_from_slice(&self.bytes[at..at + PAGE]);
        }
    }
}

/// An immutable run of whole pages.
#[derive(Debug)]
#[cfg_attr(test, allow(dead_code, reason = "Linux uses `mapped`"))]
pub(crate) struct Segment {
    bytes: Vec<u8>,
}

#[cfg_attr(test, allow(dead_code, reason = "Linux uses `mapped`"))]
impl Segment {
    /// Copies `bytes` to a new segment.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Self> {
        let bytes = bytes.to_vec();
        Ok(Self { bytes })
    }

    /// Copies the segment, from the byte `from` on, over `memory`.
    pub(crate) fn map_over(&self, memory: &mut [u8], from: usize) -> io::Result<()> {
        self.read(memory, from)
    }

    /// Returns the bytes. They are compared, because a page that differs from the image may be equal to this segment.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        Some(&self.bytes)
    }

    /// Copies bytes to `buf`, from the byte `from` on.
    pub(crate) fn read(&self, buf: &mut [u8], from: usize) -> io::Result<()> {
        let part = self.bytes.get(from..from + buf.len());
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
