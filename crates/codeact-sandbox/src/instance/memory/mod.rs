//! Linear memory as data: mapping a base image over an instance, finding the changed pages, and resetting them.
//!
//! This folder has the crate's `unsafe` code on guest memory. On Linux, `mapped` maps the image copy-on-write, and the
//! kernel reports the changed pages. On other systems, `copied` copies the image and compares. Both give the same
//! results. `pages` has the pages of a checkpoint, and `segment` is a long run of pages.

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

/// Size of a page, in bytes. Changes are tracked by page.
pub(crate) const PAGE: usize = 4096;

/// Finds the pages of `memory` that differ from `image`, and those after the image that are not zero.
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
