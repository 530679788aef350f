//! Error numbers of WASI, for files, WASI calls and host calls.

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
    Ilseq = 25,
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
