//! Bounded access to the memory of a stopped guest.
//!
//! This file is a security boundary: the memory is untrusted. Every access is checked, and the total work is limited.

use std::cell::Cell;

use crate::remote_traceback::offsets::Offsets;

/// Work limit of one traceback, in reads and in steps of 64 bytes. It takes well below a second. A frame of a deep
/// recursion takes about 50.
const MAX_WORK: u32 = 32_000_000;

/// A view of a stopped guest's memory.
pub(super) struct Reader<'a> {
    memory: &'a [u8],
    pub(super) offsets: &'a Offsets,
    /// Remaining work.
    work: Cell<u32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(memory: &'a [u8], offsets: &'a Offsets) -> Self {
        Self {
            memory,
            offsets,
            work: Cell::new(MAX_WORK),
        }
    }

    /// Returns `len` bytes at `offset` of the structure at `at`. `None` if they are not in memory, or the work limit is
    /// used up.
    pub(super) fn bytes(&self, at: u32, offset: u32, len: usize) -> Option<&'a [u8]> {
        self.charge(1 + len / 64)?;
        let start = usize::try_from(at.checked_add(offset)?).ok()?;
        self.memory.get(start..)?.get(..len)
    }

    /// Charges `work`. `None` if the work limit is used up.
    pub(super) fn charge(&self, work: usize) -> Option<()> {
        let left = self.work.get().checked_sub(u32::try_from(work).ok()?)?;
        self.work.set(left);
        Some(())
    }

    pub(super) fn u32(&self, at: u32, offset: u32) -> Option<u32> {
        let bytes = self.bytes(at, offset, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn u64(&self, at: u32, offset: u32) -> Option<u64> {
        let bytes = self.bytes(at, offset, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn u8(&self, at: u32, offset: u32) -> Option<u8> {
        self.bytes(at, offset, 1)?.first().copied()
    }

    /// Returns an address. `None` if it is null.
    pub(super) fn pointer(&self, at: u32, offset: u32) -> Option<u32> {
        self.u32(at, offset).filter(|address| *address != 0)
    }
}
