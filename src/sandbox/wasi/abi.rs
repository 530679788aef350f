//! The boundary to guest memory for WASI calls: every pointer and length the guest names is
//! checked here, and nothing is allocated by a size it chose.

use serde::{Deserialize, Serialize};

/// WASI preview 1 error numbers, as CPython's `errno` on wasm32-wasi expects them.
/// Source: the `errno` enum of `wasi_snapshot_preview1.witx`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(i32)]
pub(crate) enum Errno {
    Access = 2,
    Badf = 8,
    Busy = 10,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Inval = 28,
    Io = 29,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Nametoolong = 37,
    Noent = 44,
    Nospc = 51,
    Notdir = 54,
    Notempty = 55,
    Notsock = 57,
    Notsup = 58,
    Overflow = 61,
    Perm = 63,
    Rofs = 69,
    Spipe = 70,
    Stale = 72,
    Xdev = 75,
}

pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// How many scatter/gather buffers one call may name (Linux's `IOV_MAX`).
const MAX_IOVECS: u32 = 1024;

/// The guest's linear memory during one call.
pub(crate) struct Guest<'a> {
    bytes: &'a mut [u8],
    /// Bytes this call has moved or walked, so that the host's work can be bounded.
    pub(crate) moved: u64,
}

impl<'a> Guest<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, moved: 0 }
    }

    pub(crate) fn slice(&self, ptr: u32, len: u32) -> Result<&[u8]> {
        let start = ptr as usize;
        self.bytes
            .get(start..start + len as usize)
            .ok_or(Errno::Fault)
    }

    pub(crate) fn slice_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8]> {
        let start = ptr as usize;
        self.moved += u64::from(len);
        self.bytes
            .get_mut(start..start + len as usize)
            .ok_or(Errno::Fault)
    }

    pub(crate) fn read_u32(&self, ptr: u32) -> Result<u32> {
        let b = self.slice(ptr, 4)?;
        Ok(u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }

    pub(crate) fn read_u64(&self, ptr: u32) -> Result<u64> {
        let b = self.slice(ptr, 8)?;
        Ok(u64::from_le_bytes([
            b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7],
        ]))
    }

    pub(crate) fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<()> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Fault)?;
        self.slice_mut(ptr, len)?.copy_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn write_u32(&mut self, ptr: u32, value: u32) -> Result<()> {
        self.write(ptr, &value.to_le_bytes())
    }

    pub(crate) fn write_u64(&mut self, ptr: u32, value: u64) -> Result<()> {
        self.write(ptr, &value.to_le_bytes())
    }

    /// A path argument: valid UTF-8, no NUL, at most 4,096 bytes.
    ///
    /// A walk is charged as a whole, links included.
    pub(crate) fn path(&mut self, ptr: u32, len: u32) -> Result<&str> {
        self.moved += 16 << 10;
        if len > 4096 {
            return Err(Errno::Nametoolong);
        }
        let path = std::str::from_utf8(self.slice(ptr, len)?).map_err(|_| Errno::Inval)?;
        if path.contains('\0') {
            return Err(Errno::Inval);
        }
        Ok(path)
    }

    /// The `(pointer, length)` pairs of a scatter/gather list, each checked to lie in memory.
    pub(crate) fn iovecs(
        &self,
        ptr: u32,
        count: u32,
    ) -> Result<impl Iterator<Item = (u32, u32)> + use<>> {
        if count > MAX_IOVECS {
            return Err(Errno::Inval);
        }
        let list = self.slice(ptr, count * 8)?;
        let mut pairs = Vec::with_capacity(count as usize);
        for entry in list.chunks_exact(8) {
            let ptr = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let len = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            self.slice(ptr, len)?;
            pairs.push((ptr, len));
        }
        Ok(pairs.into_iter())
    }
}
