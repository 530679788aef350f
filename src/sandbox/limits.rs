//! What a run may use, with a default for each, so that nothing is unbounded by omission.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bounds on one turn (and, for memory and files, on the session it belongs to).
///
/// [`Limits::default`] is what an unconfigured sandbox enforces. Every bound is held by the host;
/// none relies on the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Wall time of one turn, waiting included. Default 30 s.
    pub wall: Duration,
    /// Fuel of one turn. A pass of a loop, of the interpreter or its C code, takes as many units as the
    /// loop has wasm instructions, at most 100. Of small loops that call nothing two passes are taken at
    /// once, also where the second is not come to. A call that may recurse takes one, and so do four bytes of a block
    /// of memory of more than 1 MiB that is copied or filled. The same code in the same state
    /// uses the same on every machine. Default: metered and reported, but no budget.
    pub fuel: Option<u64>,
    /// The guest's linear memory, in bytes, the preloaded interpreter (about 84 MiB) included.
    /// Python sees a `MemoryError`; the host never allocates more. Default 512 MiB.
    pub memory: u64,
    /// Captured bytes of each of stdout and stderr in one turn; the rest is counted and dropped.
    /// Default 1 MiB.
    pub output: u64,
    /// Calls from the guest to the host in one turn. Default 10,000.
    pub door_calls: u64,
    /// Bytes those calls may carry in one turn, requests and answers together. Default 64 MiB.
    pub door_bytes: u64,
    /// Bytes in the sandbox's own files. Default 256 MiB.
    pub file_bytes: u64,
    /// Files, folders and links in the sandbox. Default 10,000.
    pub files: u64,
    /// File descriptors open at once. Default 1,024.
    pub open_files: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            fuel: None,
            memory: 512 << 20,
            output: 1 << 20,
            door_calls: 10_000,
            door_bytes: 64 << 20,
            file_bytes: 256 << 20,
            files: 10_000,
            open_files: 1024,
        }
    }
}

/// Holds a store to [`Limits::memory`] and remembers the peak.
#[derive(Debug)]
pub(crate) struct MemoryLimiter {
    pub(crate) max: u64,
    pub(crate) peak: u64,
}

impl wasmtime::ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let desired = desired as u64;
        if desired > self.max {
            return Ok(false);
        }
        self.peak = self.peak.max(desired);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // The pack's table is fixed; this is the bound for a module that tries all the same.
        Ok(desired <= 1 << 20)
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }
}
