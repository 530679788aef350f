//! A pool of native stacks for guests.
//!
//! Each call into a guest runs on its own stack, and the answer to a host call is a second call within the first.
//! Mapping and unmapping a stack for each call costs more than a short turn, and blocks all threads of the process
//! while its memory map changes.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{StackCreator, StackMemory};

/// Limit of the pooled stacks.
const MAX_POOLED: usize = 32;
/// Resident memory that a pooled stack may retain, in bytes. More is returned to the system.
const MAX_RESIDENT_BYTES: usize = 256 << 10;

/// Creates stacks, and pools them when they are dropped.
#[derive(Default)]
pub(crate) struct Stacks(Arc<Mutex<Vec<Mapping>>>);

// SAFETY: each stack is a private, page-aligned mapping with a guard page below it, and has exactly one owning `Stack`
// at a time. A used stack is zeroed if the engine requests it.
unsafe impl StackCreator for Stacks {
    fn new_stack(
        &self,
        size: usize,
        zeroed: bool,
    ) -> Result<Box<dyn StackMemory>, wasmtime::Error> {
        let page = page_size();
        let size = size.next_multiple_of(page);
        let pooled = {
            let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            pool.pop().filter(|mapping| mapping.len == size + page)
        };
        let mapping = match pooled {
            Some(mapping) => {
                if zeroed {
                    mapping.clear(page..mapping.len);
                }
                mapping
            }
            None => Mapping::new(size + page, page)?,
        };
        Ok(Box::new(Stack {
            mapping: Some(mapping),
            pool: self.0.clone(),
        }))
    }
}

struct Stack {
    /// `None` during the drop only.
    mapping: Option<Mapping>,
    pool: Arc<Mutex<Vec<Mapping>>>,
}

impl Stack {
    fn base(&self) -> *mut u8 {
        self.mapping.as_ref().map_or(std::ptr::null_mut(), |m| m.at)
    }

    fn len(&self) -> usize {
        self.mapping.as_ref().map_or(0, |m| m.len)
    }
}

// SAFETY: the three functions describe the mapping that `self` owns.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.base().wrapping_add(self.len())
    }

    fn range(&self) -> Range<usize> {
        let base = self.base() as usize;
        base + page_size()..base + self.len()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.base()..self.base().wrapping_add(page_size())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            mapping.trim();
            let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
            if pool.len() < MAX_POOLED {
                pool.push(mapping);
            }
        }
    }
}

/// A mapping whose lowest page is a guard.
struct Mapping {
    at: *mut u8,
    len: usize,
}

// SAFETY: it owns a range of memory that is not bound to a thread.
unsafe impl Send for Mapping {}
// SAFETY: shared references only read its bounds.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(len: usize, guard: usize) -> std::io::Result<Self> {
        // SAFETY: creates an anonymous mapping at an address that the kernel chooses.
        let at = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let mapping = Self { at: at.cast(), len };
        // SAFETY: the range is within the new mapping. The guard page stays without access.
        let opened = unsafe {
            libc::mprotect(
                at.byte_add(guard),
                len - guard,
                libc::PROT_READ | libc::PROT_WRITE,
            )
        };
        if opened != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(mapping)
    }

    /// Returns the pages of a deeply used stack to the system.
    fn trim(&self) {
        let page = page_size();
        let Some(shallow) = self.len.checked_sub(MAX_RESIDENT_BYTES + 4 * page) else {
            return;
        };
        // A stack has no gaps of more than a page, so a deeper one has used one of these four pages.
        // SAFETY: the address is within the mapping, and no code runs on the stack any more.
        let probe = unsafe { self.at.byte_add(shallow) };
        if is_resident(probe, 4 * page) {
            self.clear(page..shallow + 4 * page);
        }
    }

    /// Returns a part of the stack to the system. It then reads as zeros.
    fn clear(&self, part: Range<usize>) {
        // SAFETY: the range is within the mapping, no code runs on the stack, and its content is not needed.
        unsafe {
            libc::madvise(
                self.at.byte_add(part.start).cast(),
                part.len(),
                libc::MADV_DONTNEED,
            );
        }
    }
}

fn is_resident(at: *mut u8, len: usize) -> bool {
    let mut pages = [0; 4];
    // SAFETY: `pages` has a byte for each page of the range, which is mapped.
    let status = unsafe { libc::mincore(at.cast(), len, pages.as_mut_ptr().cast()) };
    status != 0 || pages.iter().any(|page| page & 1 != 0)
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: unmaps the mapping of `new`, whose only owner is dropped.
        unsafe { libc::munmap(self.at.cast(), self.len) };
    }
}

fn page_size() -> usize {
    // SAFETY: reads a constant of the system.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_stack_is_reused_and_the_pages_of_a_deep_one_are_returned() {
        let stacks = Stacks::default();
        let stack = stacks.new_stack(1 << 20, false).unwrap();
        let (top, range) = (stack.top(), stack.range());
        assert_eq!(top as usize, range.end);
        assert_eq!(range.len(), 1 << 20);
        assert_eq!(stack.guard_range().end as usize, range.start);
        // SAFETY: the range is the stack, which has no other user.
        unsafe {
            std::ptr::write_bytes(range.start as *mut u8, 7, range.len());
        }
        drop(stack);
        let again = stacks.new_stack(1 << 20, false).unwrap();
        assert_eq!(again.top(), top);
        // SAFETY: as above.
        let (deep, shallow) = unsafe { (*(range.start as *const u8), *top.sub(1)) };
        assert_eq!((deep, shallow), (0, 7));
    }
}
