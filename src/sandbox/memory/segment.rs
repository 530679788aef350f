//! Linux: long runs of pages in one anonymous file of the process, so that they can be mapped.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::PAGE;

/// The file. Places in it are never used twice: a place that is let go of becomes a hole, which
/// takes no memory, and there are more places than a process can ever fill.
struct Arena {
    file: File,
    next: AtomicU64,
}

fn arena() -> io::Result<&'static Arena> {
    static ARENA: OnceLock<Option<Arena>> = OnceLock::new();
    ARENA
        .get_or_init(|| {
            // SAFETY: creates a new descriptor; the name is a valid C string.
            let fd = unsafe { libc::memfd_create(c"codeact".as_ptr(), libc::MFD_CLOEXEC) };
            // SAFETY: `fd` is new and owned by nobody else.
            (fd >= 0).then(|| Arena {
                file: unsafe { File::from_raw_fd(fd) },
                next: AtomicU64::new(0),
            })
        })
        .as_ref()
        .ok_or_else(|| io::Error::other("the system gives no anonymous file"))
}

/// A run of whole pages, never changed.
#[derive(Debug)]
pub(crate) struct Segment {
    at: u64,
    len: usize,
}

impl Segment {
    /// Keeps what is in `bytes`, whole pages.
    pub(crate) fn take(bytes: &[u8]) -> io::Result<Self> {
        let arena = arena()?;
        let at = (arena.next).fetch_add(bytes.len() as u64, Ordering::Relaxed);
        // Made first, so that what was written is let go of when it fails midway.
        let segment = Self {
            at,
            len: bytes.len(),
        };
        arena.file.write_all_at(bytes, at)?;
        Ok(segment)
    }

    /// Maps it, from `from` bytes on, over `memory`, whole pages.
    pub(crate) fn lay(&self, memory: &mut [u8], from: usize) -> io::Result<()> {
        let fits = from + memory.len() <= self.len;
        if !fits || !(memory.as_ptr() as usize | memory.len() | from).is_multiple_of(PAGE) {
            return Err(io::Error::other("a segment is laid over whole pages"));
        }
        let offset = libc::off_t::try_from(self.at + from as u64).map_err(io::Error::other)?;
        // SAFETY: `memory` is exactly the range replaced; it belongs to the caller exclusively, is
        // page-aligned and a whole number of pages, and stays readable and writable. The file is as
        // long as the range needs and this place in it is never written again. The engine unmaps
        // the whole reservation when the store is dropped, this mapping included.
        let mapped = unsafe {
            libc::mmap(
                memory.as_mut_ptr().cast(),
                memory.len(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                arena()?.file.as_raw_fd(),
                offset,
            )
        };
        if mapped == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Its bytes, where they are in this process's memory. Here they are not: what a memory shows as
    /// changed has been written to.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// Copies its bytes from `from` on to `buf`.
    pub(crate) fn read(&self, buf: &mut [u8], from: usize) -> io::Result<()> {
        arena()?.file.read_exact_at(buf, self.at + from as u64)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let Ok(arena) = arena() else {
            return;
        };
        // SAFETY: only acts on the file: gives back the pages of a place that nobody else has.
        // Mappings of it in running memories, if any are left, belong to slots that are dropped
        // with, or before, the last checkpoint that holds this segment.
        unsafe {
            libc::fallocate(
                arena.file.as_raw_fd(),
                libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
                self.at as libc::off_t,
                self.len as libc::off_t,
            )
        };
    }
}
