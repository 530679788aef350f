//! Constants and memory layouts of WASI preview 1.
//!
//! Source: `typenames.witx` of `wasi_snapshot_preview1.witx`. Offsets and sizes are in bytes and follow the layout
//! rules of witx, which are those of C. File types are in [`crate::fs::vfs::filetype`], error numbers in
//! [`crate::types::errno`].

/// Name of the module that a guest imports the calls from.
pub(super) const MODULE: &str = "wasi_snapshot_preview1";

/// `clockid`.
pub(super) mod clockid {
    pub(crate) const REALTIME: u32 = 0;
    pub(crate) const THREAD_CPUTIME_ID: u32 = 3;
}

/// `lookupflags`.
pub(super) mod lookupflags {
    pub(crate) const SYMLINK_FOLLOW: u32 = 1 << 0;
}

/// `oflags`.
pub(super) mod oflags {
    pub(crate) const CREAT: u32 = 1 << 0;
    pub(crate) const DIRECTORY: u32 = 1 << 1;
    pub(crate) const EXCL: u32 = 1 << 2;
    pub(crate) const TRUNC: u32 = 1 << 3;
}

/// `fdflags`.
pub(super) mod fdflags {
    pub(crate) const APPEND: u32 = 1 << 0;
}

/// `fstflags`.
pub(super) mod fstflags {
    pub(crate) const ATIM: u32 = 1 << 0;
    pub(crate) const ATIM_NOW: u32 = 1 << 1;
    pub(crate) const MTIM: u32 = 1 << 2;
    pub(crate) const MTIM_NOW: u32 = 1 << 3;
}

/// `rights`.
pub(super) mod rights {
    pub(crate) const FD_READ: u64 = 1 << 1;
    pub(crate) const FD_SEEK: u64 = 1 << 2;
    pub(crate) const FD_WRITE: u64 = 1 << 6;
    /// All 30 rights.
    pub(crate) const ALL: u64 = (1 << 30) - 1;
}

/// `whence`.
pub(super) mod whence {
    pub(crate) const SET: u32 = 0;
    pub(crate) const CUR: u32 = 1;
    pub(crate) const END: u32 = 2;
}

/// `iovec` and `ciovec`: pointer and length, 32 bits each.
pub(super) mod iovec {
    pub(crate) const SIZE: u32 = 8;
}

/// `prestat`: the tag of the union, then the length of the preopened directory's name.
pub(super) mod prestat {
    /// `preopentype::dir`.
    pub(crate) const TAG_DIR: u32 = 0;
    pub(crate) const NAME_LEN: u32 = 4;
}

/// `fdstat`.
pub(super) mod fdstat {
    use std::ops::Range;

    pub(crate) const FILETYPE: usize = 0;
    pub(crate) const FLAGS: Range<usize> = 2..4;
    pub(crate) const RIGHTS_BASE: Range<usize> = 8..16;
    pub(crate) const RIGHTS_INHERITING: Range<usize> = 16..24;
    pub(crate) const SIZE: usize = 24;
}

/// `filestat`.
pub(super) mod filestat {
    use std::ops::Range;

    pub(crate) const DEV: Range<usize> = 0..8;
    pub(crate) const INO: Range<usize> = 8..16;
    pub(crate) const FILETYPE: usize = 16;
    pub(crate) const NLINK: Range<usize> = 24..32;
    pub(crate) const LEN: Range<usize> = 32..40;
    pub(crate) const ATIM: Range<usize> = 40..48;
    pub(crate) const MTIM: Range<usize> = 48..56;
    pub(crate) const CTIM: Range<usize> = 56..64;
    pub(crate) const SIZE: usize = 64;
}

/// `dirent`; the name follows it.
pub(super) mod dirent {
    use std::ops::Range;

    pub(crate) const NEXT: Range<usize> = 0..8;
    pub(crate) const INO: Range<usize> = 8..16;
    pub(crate) const NAMLEN: Range<usize> = 16..20;
    pub(crate) const TYPE: usize = 20;
    pub(crate) const SIZE: usize = 24;
}

/// `eventtype`.
pub(super) mod eventtype {
    pub(crate) const CLOCK: u8 = 0;
    pub(crate) const FD_READ: u8 = 1;
    pub(crate) const FD_WRITE: u8 = 2;
}

/// `subscription`: user data, the tag of the union (an `eventtype`), then a `subscription_clock` or a
/// `subscription_fd_readwrite`.
pub(super) mod subscription {
    pub(crate) const USERDATA: u32 = 0;
    pub(crate) const TAG: u32 = 8;
    pub(crate) const CLOCK_ID: u32 = 16;
    pub(crate) const CLOCK_TIMEOUT: u32 = 24;
    pub(crate) const CLOCK_FLAGS: u32 = 40;
    pub(crate) const FD: u32 = 16;
    /// `subclockflags::subscription_clock_abstime`.
    pub(crate) const FLAG_ABSTIME: u16 = 1 << 0;
    pub(crate) const SIZE: u32 = 48;
}

/// `event`.
pub(super) mod event {
    use std::ops::Range;

    pub(crate) const USERDATA: Range<usize> = 0..8;
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) const ERROR: Range<usize> = 8..10;
    pub(crate) const TYPE: usize = 10;
    pub(crate) const SIZE: usize = 32;
}
