//! Linear memory as data: laying a base image over an instance, finding what changed, putting it
//! back.
//!
//! This file and the two below it hold the crate's `unsafe` code on guest memory. On Linux
//! (`mapped`) the image is mapped copy-on-write and the kernel tells which pages changed;
//! elsewhere (`copied`) the image is copied and compared. Both give the same answers.

#[cfg(any(test, not(target_os = "linux")))]
mod copied;
#[cfg(target_os = "linux")]
mod mapped;

#[cfg(not(target_os = "linux"))]
pub(crate) use copied::{Image, thread_faults};
#[cfg(target_os = "linux")]
pub(crate) use mapped::{Image, thread_faults};

/// The unit of change, in bytes.
pub(crate) const PAGE: usize = 4096;

/// The pages of `memory` that differ from `image`, and those behind it that are not zero.
fn compare(image: &[u8], memory: &[u8], into: &mut Vec<u32>) {
    into.clear();
    for (page, bytes) in memory.chunks_exact(PAGE).enumerate() {
        let at = page * PAGE;
        let same = match image.get(at..at + PAGE) {
            Some(image) => image == bytes,
            None => bytes.iter().all(|b| *b == 0),
        };
        if !same {
            into.push(page as u32);
        }
    }
}

/// The pages of a memory that differ (or may differ) from the base image, with their content.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    /// The memory's size in bytes.
    pub(crate) memory_len: usize,
    /// Page numbers, ascending.
    pub(crate) index: Vec<u32>,
    /// Their bytes, one page after the other.
    pub(crate) bytes: Vec<u8>,
}

impl Pages {
    pub(crate) fn take(memory: &[u8], changed: &[u32]) -> Self {
        let mut bytes = Vec::with_capacity(changed.len() * PAGE);
        for page in changed {
            let at = *page as usize * PAGE;
            bytes.extend_from_slice(&memory[at..at + PAGE]);
        }
        Self {
            memory_len: memory.len(),
            index: changed.to_vec(),
            bytes,
        }
    }

    /// Writes them over `memory`, which holds the base image and is as long as the other was.
    pub(crate) fn apply(&self, memory: &mut [u8]) {
        for (page, bytes) in self.index.iter().zip(self.bytes.chunks_exact(PAGE)) {
            let at = *page as usize * PAGE;
            memory[at..at + PAGE].copy_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests;
