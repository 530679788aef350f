//! Access to guest memory for WASI calls.
//!
//! This file is a security boundary. Every pointer and length that the guest passes is validated here, and no
//! allocation has a size that the guest chose without a bound.

use crate::types::errno::{Errno, Result};
use crate::wasi::preview1::iovec;

/// Maximum number of scatter/gather buffers of one call (`IOV_MAX` of Linux).
const MAX_IOVECS: u32 = 1024;
/// Maximum length of a path, in bytes (`PATH_MAX` of Linux).
const MAX_PATH_BYTES: u32 = 4096;
/// Cost of resolving one path, symbolic links included, in bytes moved.
const PATH_COST: u64 = 16 << 10;

/// The guest's linear memory during one call.
pub(crate) struct GuestMemory<'a> {
    bytes: &'a mut [u8],
    /// Work of this call so far, in bytes moved. It bounds the time that the host spends for the guest.
    pub(crate) work: u64,
}

impl<'a> GuestMemory<'a> {
    pub(crate) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, work: 0 }
    }

    /// Returns `len` bytes from `ptr` on.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Fault`] if they are not in memory. This holds for all methods.
    pub(crate) fn slice(&self, ptr: u32, len: u32) -> Result<&[u8]> {
        let start = ptr as usize;
        self.bytes
            .get(start..start + len as usize)
            .ok_or(Errno::Fault)
    }

    /// Returns `len` bytes from `ptr` on, to write to. Counts them as work.
    pub(crate) fn slice_mut(&mut self, ptr: u32, len: u32) -> Result<&mut [u8]> {
        let start = ptr as usize;
        self.work += u64::from(len);
        self.bytes
            .get_mut(start..start + len as usize)
            .ok_or(Errno::Fault)
    }

    pub(crate) fn read_u8(&self, ptr: u32) -> Result<u8> {
        Ok(self.slice(ptr, 1)?[0])
    }

    pub(crate) fn read_u16(&self, ptr: u32) -> Result<u16> {
        let b = self.slice(ptr, 2)?;
        Ok(u16::from_le_bytes([b[0], b[1]]))
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

    /// Reads a path argument: UTF-8 without NUL, at most [`MAX_PATH_BYTES`]. Counts the cost of resolving it.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Nametoolong`] if it is too long, [`Errno::Ilseq`] if it is not UTF-8, [`Errno::Inval`] if it
    /// contains NUL.
    pub(crate) fn path(&mut self, ptr: u32, len: u32) -> Result<&str> {
        self.work += PATH_COST;
        if len > MAX_PATH_BYTES {
            return Err(Errno::Nametoolong);
        }
        let path = std::str::from_utf8(self.slice(ptr, len)?).map_err(|_| Errno::Ilseq)?;
        if path.contains('\0') {
            return Err(Errno::Inval);
        }
        Ok(path)
    }

    /// Reads a scatter/gather list and returns its `(pointer, length)` pairs. Each range is in memory.
    ///
    /// # Errors
    ///
    /// Returns [`Errno::Inval`] if the list has more than [`MAX_IOVECS`] buffers.
    pub(crate) fn iovecs(
        &self,
        ptr: u32,
        count: u32,
    ) -> Result<impl Iterator<Item = (u32, u32)> + use<>> {
        if count > MAX_IOVECS {
            return Err(Errno::Inval);
        }
        let list = self.slice(ptr, count * iovec::SIZE)?;
        let mut pairs = Vec::with_capacity(count as usize);
        for entry in list.chunks_exact(iovec::SIZE as usize) {
            let ptr = u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]);
            let len = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            self.slice(ptr, len)?;
            pairs.push((ptr, len));
        }
        Ok(pairs.into_iter())
    }
}
