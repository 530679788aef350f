//! Long runs of pages, on Linux: they are stored in one anonymous file of the process, so that they can be mapped.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::instance::memory::PAGE;

/// The file. No range of it is used twice. A dropped segment becomes a hole, which takes no memory, and the offsets
/// cannot be exhausted.
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
            // SAFETY: `fd` is new and has no other owner.
            (fd >= 0).then(|| Arena {
                file: unsafe { File::from_raw_fd(fd) },
                next: AtomicU64::new(0),
            })
        })
        .as_ref()
        .ok_or_else(|| io::Error::other("the system cannot create an anonymous file"))
}

/// An immutable run of whole pages.
#[derive(Debug)]
pub(crate) struct Segment {
    at: u64,
    len: usize,
}

impl Segment {
    /// Copies `bytes`, whole pages, to a new segment.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Self> {
        let arena = arena()?;
        let at = (arena.next).fetch_add(bytes.len() as u64, Ordering::Relaxed);
        // Created first, so that its range is freed if the write fails midway.
        let segment = Self {
            at,
            len: bytes.len(),
        };
        arena.file.write_all_at(bytes, at)?;
        Ok(segment)
    }

    /// Maps the segment, from the byte `from` on, over `memory`, whole pages.
    pub(crate) fn map_over(&self, memory: &mut [u8], from: usize) -> io::Result<()> {
        let fits = from + memory.len() <= self.len;
        if !fits || !(memory.as_ptr() as usize | memory.len() | from).is_multiple_of(PAGE) {
            return Err(io::Error::other(
                "a segment can only be mapped over whole pages",
            ));
        }
        let offset = libc::off_t::try_from(self.at + from as u64).map_err(io::Error::other)?;
        // SAFETY: `memory` is exactly the range that is replaced. It is borrowed exclusively, is page-aligned and a
        // whole number of pages, and stays readable and writable. The file is long enough, and this range of it is
        // never written again. The engine unmaps the whole reservation, including this mapping, when the store is
        // dropped.
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

    /// Returns the bytes if they are in this process's memory. Here they are not, and need not be: a mapped page that
    /// is reported as changed has been written to.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        None
    }

    /// Copies bytes to `buf`, from the byte `from` on.
    pub(crate) fn read(&self, buf: &mut [u8], from: usize) -> io::Result<()> {
        arena()?.file.read_exact_at(buf, self.at + from as u64)
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        let Ok(arena) = arena() else {
            return;
        };
        // SAFETY: affects the file only, and frees a range that only this segment uses. Mappings of the range in
        // running instances, if any are left, belong to slots that are dropped with, or before, the last checkpoint
        // that has this segment.
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
