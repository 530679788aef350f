//! Linear memory as data: laying a base image over an instance, finding what changed, putting it
//! back.
//!
//! This file and those below it hold the crate's `unsafe` code on guest memory. On Linux
//! (`mapped`) the image is mapped copy-on-write and the kernel tells which pages changed;
//! elsewhere (`copied`) the image is copied and compared. Both give the same answers. `pages` is what a
//! checkpoint keeps.

#[cfg(any(test, not(target_os = "linux")))]
mod copied;
#[cfg(target_os = "linux")]
mod mapped;
mod pages;
#[cfg(target_os = "linux")]
mod segment;

#[cfg(not(target_os = "linux"))]
pub(crate) use copied::{Image, Segment, thread_faults};
#[cfg(target_os = "linux")]
pub(crate) use mapped::{Image, thread_faults};
pub(crate) use pages::Pages;
#[cfg(target_os = "linux")]
pub(crate) use segment::Segment;

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

#[cfg(test)]
mod tests;
