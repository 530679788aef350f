//! Operations, and the observations of them.

use std::fmt;

use crate::types::errno::Errno;
use crate::wasi::preview1::{lookupflags, oflags, rights};

/// Descriptor of the preopened `/`.
pub(super) const ROOT_FD: u32 = 3;

/// A descriptor: the root, or one that the sequence has opened, by its position. Its number may differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Handle {
    Root,
    Stdin,
    Stdout,
    /// Not open on either side.
    Invalid,
    /// The descriptor that the `n`-th successful [`Op::Open`] returned, modulo their number.
    Opened(usize),
}

/// An operation: one call, except [`Op::List`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Op {
    Open {
        dir: Handle,
        path: String,
        lookup: u32,
        oflags: u32,
        rights: u64,
        fdflags: u32,
    },
    Close(Handle),
    Read(Handle, u32),
    Pread(Handle, u32, u64),
    /// Descriptor, count, byte.
    Write(Handle, u32, u8),
    Pwrite(Handle, u32, u8, u64),
    Seek(Handle, i64, u32),
    Tell(Handle),
    SetSize(Handle, u64),
    SetFlags(Handle, u32),
    SetTimes(Handle, u32),
    FdStat(Handle),
    FileStat(Handle),
    Advise(Handle),
    Sync(Handle),
    Datasync(Handle),
    /// Reads the whole listing, with buffers of this length.
    List(Handle, u32),
    Mkdir(Handle, String),
    Rmdir(Handle, String),
    Unlink(Handle, String),
    Rename(Handle, String, String),
    /// Descriptor, lookup flags, old path, new path.
    Link(Handle, u32, String, String),
    /// Target, then descriptor and path.
    Symlink(String, Handle, String),
    /// Descriptor, path, length of the buffer.
    Readlink(Handle, String, u32),
    PathStat(Handle, u32, String),
    PathSetTimes(Handle, u32, String, u32),
}

impl Op {
    fn paths(&self) -> Vec<&str> {
        match self {
            Self::Open { path, .. }
            | Self::Mkdir(_, path)
            | Self::Rmdir(_, path)
            | Self::Unlink(_, path)
            | Self::Symlink(_, _, path)
            | Self::Readlink(_, path, _)
            | Self::PathStat(_, _, path)
            | Self::PathSetTimes(_, _, path, _) => vec![path],
            Self::Rename(_, from, to) | Self::Link(_, _, from, to) => vec![from, to],
            _ => Vec::new(),
        }
    }

    /// Returns true if the operation is on paths in `folder`.
    pub(super) fn is_in(&self, folder: &str) -> bool {
        let paths = self.paths();
        !paths.is_empty() && paths.iter().all(|path| path.starts_with(folder))
    }

    /// Returns true if a path ends in `/`, `.` or `..`.
    pub(super) fn has_trailing_slash(&self) -> bool {
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        (self.paths().iter()).any(|path| matches!(&*last(path), "" | "." | ".."))
    }

    /// Returns true if a different result can lead to different later results.
    pub(super) fn changes_state(&self) -> bool {
        !matches!(
            self,
            Self::Tell(_)
                | Self::Pread(..)
                // A permitted difference of flags is on a descriptor where they have no effect.
                | Self::SetFlags(..)
                | Self::SetTimes(..)
                | Self::FdStat(_)
                | Self::FileStat(_)
                | Self::Advise(_)
                | Self::Sync(_)
                | Self::Datasync(_)
                | Self::List(..)
                | Self::Readlink(..)
                | Self::PathStat(..)
                | Self::PathSetTimes(..)
        )
    }
}

/// Observation of an operation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Observation {
    Error(u16),
    /// The call trapped.
    Trap,
    Done,
    Opened,
    /// Bytes read or written.
    Count(u32),
    Bytes(Bytes),
    Offset(u64),
    /// File type and flags.
    FdStat(u8, u16),
    /// File type, and length and number of names except for folders, where file systems differ.
    Stat(u8, Option<(u64, u64)>),
    /// Names and file types, sorted: the order is that of the file system.
    Names(Vec<(String, u8)>),
}

/// Bytes, shown as runs of one value.
#[derive(Clone, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|a, b| a == b);
        f.debug_list()
            .entries(runs.map(|run| (run.len(), run[0])))
            .finish()
    }
}

impl Observation {
    pub(super) fn is_error(&self, errno: Errno) -> bool {
        *self == Self::Error(errno as u16)
    }

    pub(super) fn is_failure(&self) -> bool {
        matches!(self, Self::Error(_) | Self::Trap)
    }
}

pub(super) fn open(path: &str, oflags: u32, rights: u64) -> Op {
    Op::Open {
        dir: Handle::Root,
        path: path.into(),
        lookup: lookupflags::SYMLINK_FOLLOW,
        oflags,
        rights,
        fdflags: 0,
    }
}

pub(super) fn create(path: &str) -> Op {
    open(path, oflags::CREAT, rights::FD_READ | rights::FD_WRITE)
}

pub(super) fn mkdir(path: &str) -> Op {
    Op::Mkdir(Handle::Root, path.into())
}

pub(super) fn symlink(target: &str, path: &str) -> Op {
    Op::Symlink(target.into(), Handle::Root, path.into())
}
