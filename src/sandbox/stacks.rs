//! Stacks for guests, kept and used again.
//!
//! Each call into a guest runs on a stack of its own, and the door's answer is a second call from
//! within the first. Mapping and unmapping such a stack each time costs more than a short turn
//! does, and all of a process's threads wait for one another while its memory map changes.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{StackCreator, StackMemory};

/// Stacks kept, at most.
const MAX_KEPT: usize = 32;
/// Of a kept stack, this much may stay in memory; a deep recursion's stack is given back.
const KEPT_BYTES: usize = 256 << 10;

/// Hands out stacks, and takes them back when they are dropped.
#[derive(Default)]
pub(crate) struct Stacks(Arc<Mutex<Vec<Mapping>>>);

// SAFETY: each stack is a private mapping with a guard page below it, page-aligned, owned by
// exactly one `Stack` at a time. A used stack is zeroed where the engine asks for it.
unsafe impl StackCreator for Stacks {
    fn new_stack(
        &self,
        size: usize,
        zeroed: bool,
    ) -> Result<Box<dyn StackMemory>, wasmtime::Error> {
        let page = page_size();
        let size = size.next_multiple_of(page);
        let kept = {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.pop().filter(|mapping| mapping.len == size + page)
        };
        let mapping = match kept {
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
            home: self.0.clone(),
        }))
    }
}

struct Stack {
    /// `Some` until it is dropped.
    mapping: Option<Mapping>,
    home: Arc<Mutex<Vec<Mapping>>>,
}

impl Stack {
    fn base(&self) -> *mut u8 {
        self.mapping.as_ref().map_or(std::ptr::null_mut(), |m| m.at)
    }

    fn len(&self) -> usize {
        self.mapping.as_ref().map_or(0, |m| m.len)
    }
}

// SAFETY: the three answers describe the mapping that `self` owns.
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
            let mut kept = self.home.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < MAX_KEPT {
                kept.push(mapping);
            }
        }
    }
}

/// A mapping whose lowest page is a guard.
struct Mapping {
    at: *mut u8,
    len: usize,
}

// SAFETY: an owned range of memory; nothing about it belongs to a thread.
unsafe impl Send for Mapping {}
// SAFETY: shared references only tell its bounds.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(len: usize, guard: usize) -> std::io::Result<Self> {
        // SAFETY: a new anonymous mapping at an address the kernel picks.
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
        // SAFETY: within the mapping just made; the guard page below stays without access.
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

    /// Gives the pages of a stack that was used deeply back to the system.
    fn trim(&self) {
        let page = page_size();
        let Some(shallow) = self.len.checked_sub(KEPT_BYTES + 4 * page) else {
            return;
        };
        // A stack grows without gaps of more than a page, so four pages tell.
        // SAFETY: within the mapping, which nobody runs on any more.
        let probe = unsafe { self.at.byte_add(shallow) };
        if is_resident(probe, 4 * page) {
            self.clear(page..shallow + 4 * page);
        }
    }

    /// Gives a part of the stack back to the system; it reads as zeros from then on.
    fn clear(&self, part: Range<usize>) {
        // SAFETY: within the mapping, which nobody runs on; the contents are not needed.
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
    let told = unsafe { libc::mincore(at.cast(), len, pages.as_mut_ptr().cast()) };
    told != 0 || pages.iter().any(|page| page & 1 != 0)
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: unmaps what `new` mapped; its one owner is going away.
        unsafe { libc::munmap(self.at.cast(), self.len) };
    }
}

fn page_size() -> usize {
    // SAFETY: only asks.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_stack_is_used_again_and_a_deep_one_is_given_back() {
        let stacks = Stacks::default();
        let stack = stacks.new_stack(1 << 20, false).unwrap();
        let (top, range) = (stack.top(), stack.range());
        assert_eq!(top as usize, range.end);
        assert_eq!(range.len(), 1 << 20);
        assert_eq!(stack.guard_range().end as usize, range.start);
        // SAFETY: all of it lies in the stack, which nobody else uses.
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
