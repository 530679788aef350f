//! Reading a memory that nobody vouches for: in bounds or not at all, and not without end.

use std::cell::Cell;

use super::offsets::Offsets;

/// What one traceback may cost, in reads and in steps of 64 bytes: well below a second. A frame of
/// a deep recursion takes about 50.
const WORK: u32 = 32_000_000;

/// A view of a stopped guest's memory.
pub(super) struct Reader<'a> {
    memory: &'a [u8],
    pub(super) offsets: &'a Offsets,
    work: Cell<u32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(memory: &'a [u8], offsets: &'a Offsets) -> Self {
        Self {
            memory,
            offsets,
            work: Cell::new(WORK),
        }
    }

    /// The `len` bytes at `offset` of the structure at `at`. `None` if they do not lie in the memory,
    /// or too much was read.
    pub(super) fn bytes(&self, at: u32, offset: u32, len: usize) -> Option<&'a [u8]> {
        let cost = u32::try_from(1 + len / 64).ok()?;
        self.work.set(self.work.get().checked_sub(cost)?);
        let start = usize::try_from(at.checked_add(offset)?).ok()?;
        self.memory.get(start..)?.get(..len)
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

    /// An address that is not null.
    pub(super) fn pointer(&self, at: u32, offset: u32) -> Option<u32> {
        self.u32(at, offset).filter(|address| *address != 0)
    }
}
