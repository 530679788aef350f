//! Base images on Linux: the image is mapped privately over the memory, and the kernel reports the changes.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
#[cfg(test)]
use std::os::fd::FromRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::OnceLock;

use crate::instance::memory::{PAGE, compare};

/// A base image: a file, and a read-only mapping of it to copy from.
pub(crate) struct Image {
    file: File,
    view: *const u8,
    len: usize,
}

// SAFETY: `view` is a read-only mapping that lives as long as the value and is never written
// through.
unsafe impl Send for Image {}
// SAFETY: as above; shared reads of an immutable mapping do not race.
unsafe impl Sync for Image {}

impl Image {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::from_file(File::open(path)?)
    }

    fn from_file(file: File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if len == 0 || !len.is_multiple_of(PAGE) {
            return Err(io::Error::other(
                "the size of a base image must be a whole number of pages",
            ));
        }
        // SAFETY: a new mapping, at an address that the kernel chooses, affects no other memory.
        let view = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if view == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            file,
            view: view.cast(),
            len,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `view` maps `len` readable bytes for the lifetime of `self`. The file is in a private folder of the
        // user. It is replaced by a rename only, and never written again.
        unsafe { std::slice::from_raw_parts(self.view, self.len) }
    }

    /// Maps the image over the first `len()` bytes of `memory`.
    pub(crate) fn map_over(&self, memory: &mut [u8]) -> io::Result<()> {
        let target = &mut memory[..self.len];
        if !(target.as_ptr() as usize).is_multiple_of(PAGE) {
            return Err(io::Error::other("linear memory is not page-aligned"));
        }
        // SAFETY: `target` is exactly the range that is replaced. It is borrowed exclusively, is page-aligned and a
        // whole number of pages, and stays readable and writable. The engine unmaps the whole reservation, including
        // this mapping, when the store is dropped.
        let at = unsafe {
            libc::mmap(
                target.as_mut_ptr().cast(),
                self.len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                self.file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Finds the pages of `memory` that were written to since [`Image::map_over`], and those after the image that were
    /// accessed.
    pub(crate) fn changed(&self, memory: &[u8], into: &mut Vec<u32>) -> io::Result<()> {
        into.clear();
        if scan(memory, into).is_ok() {
            return Ok(());
        }
        into.clear();
        // If neither is available, or the system's page size is not `PAGE`: slow, but correct.
        if read_pagemap(memory, into).is_err() {
            compare(self.bytes(), memory, into);
        }
        Ok(())
    }

    /// Resets the pages `changed` to those of the image. They stay private pages, so that later turns have no page
    /// faults.
    pub(crate) fn reset_pages(&self, memory: &mut [u8], changed: &[u32]) {
        let image = self.bytes();
        for page in changed {
            let at = *page as usize * PAGE;
            memory[at..at + PAGE].copy_from_slice(&image[at..at + PAGE]);
        }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // SAFETY: unmaps the mapping of `from_file`. No reference into it outlives `self`.
        unsafe { libc::munmap(self.view.cast_mut().cast(), self.len) };
    }
}

/// Returns the number of page faults of the calling thread. `None` if the kernel does not count them.
///
/// A page becomes private only by a fault of the thread that writes to it. If a turn had no fault, it has written only
/// to pages that were private before, so changed pages need not be searched.
pub(crate) fn thread_faults() -> Option<u64> {
    static COUNTED: OnceLock<bool> = OnceLock::new();
    // Some systems that emulate Linux always return zero, so the count is tested first.
    COUNTED
        .get_or_init(faults_are_counted)
        .then(read_faults)
        .flatten()
}

fn read_faults() -> Option<u64> {
    // SAFETY: all-zero is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` outlives the call, which fills it.
    if unsafe { libc::getrusage(libc::RUSAGE_THREAD, &mut usage) } != 0 {
        return None;
    }
    u64::try_from(usage.ru_minflt.checked_add(usage.ru_majflt)?).ok()
}

/// Returns true if the fault of a first write to a private page of a file is counted.
fn faults_are_counted() -> bool {
    let Ok(file) = File::open("/proc/self/exe") else {
        return false;
    };
    // SAFETY: a new mapping of one page, at an address that the kernel chooses.
    let page = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            PAGE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    if page == libc::MAP_FAILED {
        return false;
    }
    let at = page.cast::<u8>();
    // SAFETY: inside the page that was just mapped. The read loads the page of the file, so that the write causes the
    // fault that copies it.
    let counted = unsafe {
        let first = at.read_volatile();
        let before = read_faults();
        at.write_volatile(first);
        before.zip(read_faults()).is_some_and(|(b, a)| a > b)
    };
    // SAFETY: unmaps the page. There are no references to it.
    unsafe { libc::munmap(page, PAGE) };
    counted
}

/// `struct pm_scan_arg` of linux/fs.h (Linux 6.7).
#[repr(C)]
#[derive(Default)]
struct ScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// `struct page_region` of linux/fs.h.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Region {
    start: u64,
    end: u64,
    categories: u64,
}

/// `_IOWR('f', 16, struct pm_scan_arg)`.
const PAGEMAP_SCAN: libc::c_ulong = 0xC060_6610;
const PAGE_IS_FILE: u64 = 1 << 2;
const PAGE_IS_PRESENT: u64 = 1 << 3;
const PAGE_IS_SWAPPED: u64 = 1 << 4;

fn pagemap() -> io::Result<&'static File> {
    // One handle per process: `/proc/self/pagemap` always shows the process that opened it.
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    FILE.get_or_init(|| File::open("/proc/self/pagemap").ok())
        .as_ref()
        .ok_or_else(|| io::Error::other("/proc/self/pagemap cannot be read"))
}

/// Finds the ranges that are not file pages with the ioctl `PAGEMAP_SCAN`. A written page of a private mapping is not a
/// file page.
fn scan(memory: &[u8], into: &mut Vec<u32>) -> io::Result<()> {
    let file = pagemap()?;
    let base = memory.as_ptr() as u64;
    let end = base + memory.len() as u64;
    let mut regions = [Region::default(); 256];
    let mut start = base;
    while start < end {
        let mut arg = ScanArg {
            size: size_of::<ScanArg>() as u64,
            start,
            end,
            vec: regions.as_mut_ptr() as u64,
            vec_len: regions.len() as u64,
            category_inverted: PAGE_IS_FILE,
            category_mask: PAGE_IS_FILE,
            category_anyof_mask: PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
            return_mask: PAGE_IS_PRESENT,
            ..ScanArg::default()
        };
        // SAFETY: `arg` and `regions` outlive the call, and `vec_len` is the length of `regions`. The kernel writes
        // nothing else.
        let found = unsafe { libc::ioctl(file.as_raw_fd(), PAGEMAP_SCAN as _, &mut arg) };
        let Ok(found) = usize::try_from(found) else {
            return Err(io::Error::last_os_error());
        };
        for region in &regions[..found.min(regions.len())] {
            let first = (region.start - base) / PAGE as u64;
            let last = (region.end - base) / PAGE as u64;
            into.extend((first..last).map(|page| page as u32));
        }
        if arg.walk_end <= start {
            return Err(io::Error::other("the page scan does not advance"));
        }
        start = arg.walk_end;
    }
    Ok(())
}

/// As [`scan`], by reading `/proc/self/pagemap`, which has eight bytes for each page. For Linux before 6.7.
fn read_pagemap(memory: &[u8], into: &mut Vec<u32>) -> io::Result<()> {
    // SAFETY: returns a value and has no other effect.
    if unsafe { libc::sysconf(libc::_SC_PAGESIZE) } != PAGE as libc::c_long {
        return Err(io::Error::other("the system has another page size"));
    }
    let file = pagemap()?;
    let first = memory.as_ptr() as usize / PAGE;
    let pages = memory.len() / PAGE;
    let mut entries = vec![0; pages * 8];
    file.read_exact_at(&mut entries, first as u64 * 8)?;
    for (page, entry) in entries.as_chunks::<8>().0.iter().enumerate() {
        let entry = u64::from_le_bytes(*entry);
        let (present, swapped, file) = (entry >> 63 & 1, entry >> 62 & 1, entry >> 61 & 1);
        if (present | swapped) & !file & 1 == 1 {
            into.push(page as u32);
        }
    }
    Ok(())
}

/// Returns an image in anonymous memory.
#[cfg(test)]
pub(super) fn image_of(bytes: &[u8]) -> Image {
    // SAFETY: creates a new descriptor; the name is a valid C string.
    let fd = unsafe { libc::memfd_create(c"image".as_ptr(), 0) };
    assert!(fd >= 0);
    // SAFETY: `fd` is new and has no other owner.
    let file = unsafe { File::from_raw_fd(fd) };
    file.write_all_at(bytes, 0).unwrap();
    Image::from_file(file).unwrap()
}

#[cfg(test)]
pub(super) fn changed_by_reading(memory: &[u8]) -> Vec<u32> {
    let mut into = Vec::new();
    read_pagemap(memory, &mut into).unwrap();
    into
}
