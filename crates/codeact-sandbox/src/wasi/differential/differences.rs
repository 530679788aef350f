//! The permitted differences between this implementation and `wasmtime-wasi`.
//!
//! Not observed, because preview 1 leaves it open: inode and device numbers, times, rights, the numbers of new
//! descriptors, the order of listings, and the length and number of names of a folder.

use crate::types::errno::Errno;
use crate::wasi::differential::ops::{Handle, Observation, Op, create, mkdir, open, symlink};
use crate::wasi::preview1::{fstflags, oflags, rights, whence};

/// A permitted difference of file operations.
pub(super) struct Difference {
    pub(super) reason: &'static str,
    /// True if the difference applies to an operation with our observation and that of `wasmtime-wasi`.
    pub(super) applies: fn(&Op, &Observation, &Observation) -> bool,
    /// Returns operations of which the last one has the difference.
    pub(super) example: fn() -> Vec<Op>,
}

/// All permitted differences of file operations. Of those that apply, the first one is used.
pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        reason: "A preopened folder cannot be closed here, because later turns need it.",
        applies: |op, ours, theirs| {
            *op == Op::Close(Handle::Root)
                && ours.is_error(Errno::Notsup)
                && *theirs == Observation::Done
        },
        example: || vec![Op::Close(Handle::Root)],
    },
    Difference {
        reason: "The streams are character devices here. In wasmtime-wasi their type is unknown unless they are a \
                 terminal.",
        applies: |op, ours, theirs| {
            matches!(
                (op, ours, theirs),
                (
                    Op::FdStat(Handle::Stdin | Handle::Stdout),
                    Observation::FdStat(2, 0),
                    Observation::FdStat(0, 0)
                ) | (
                    Op::FileStat(Handle::Stdin | Handle::Stdout),
                    Observation::Stat(2, Some((0, 1))),
                    Observation::Stat(0, Some((0, 0)))
                )
            )
        },
        example: || vec![Op::FileStat(Handle::Stdout)],
    },
    Difference {
        reason: "The guest may not write to all folders here.",
        applies: |op, ours, _| ours.is_error(Errno::Access) && !op.is_in("tmp/"),
        example: || vec![mkdir("usr/a")],
    },
    Difference {
        reason: "Absolute paths and links are resolved here, and `..` of the root is the root. In wasmtime-wasi they leave \
                 the preopened folder.",
        applies: |_, ours, theirs| theirs.is_error(Errno::Perm) && !ours.is_failure(),
        example: || vec![open("../tmp", 0, rights::FD_READ)],
    },
    Difference {
        reason: "A descriptor of the wrong type is `badf` in wasmtime-wasi, and the error of Linux here.",
        applies: |_, ours, theirs| {
            let linux = [Errno::Notdir, Errno::Isdir, Errno::Spipe, Errno::Inval];
            theirs.is_error(Errno::Badf) && linux.iter().any(|errno| ours.is_error(*errno))
        },
        example: || vec![Op::Seek(Handle::Root, 0, whence::SET)],
    },
    Difference {
        reason: "Synchronisation, advice and flags have no effect on folders and streams here, and are no error, as on \
                 Linux.",
        applies: |op, ours, theirs| {
            matches!(
                op,
                Op::Sync(_) | Op::Datasync(_) | Op::Advise(_) | Op::SetFlags(..)
            ) && *ours == Observation::Done
                && theirs.is_error(Errno::Badf)
        },
        example: || vec![Op::Sync(Handle::Root)],
    },
    Difference {
        reason: "An invalid value of an enum traps in wasmtime-wasi. Here it is an error.",
        applies: |op, ours, theirs| {
            matches!(op, Op::Seek(_, _, whence) if *whence > whence::END)
                && *theirs == Observation::Trap
                && ours.is_failure()
        },
        example: || vec![create("tmp/a"), Op::Seek(Handle::Opened(0), 0, 3)],
    },
    Difference {
        reason: "A position above `i64::MAX` is an error here, as on Linux. wasmtime-wasi accepts it.",
        applies: |op, ours, theirs| {
            matches!(op, Op::Seek(..))
                && ours.is_error(Errno::Inval)
                && matches!(theirs, Observation::Offset(offset) if *offset > i64::MAX as u64)
        },
        example: || {
            vec![
                create("tmp/a"),
                Op::Seek(Handle::Opened(0), i64::MAX, whence::SET),
                Op::Seek(Handle::Opened(0), 1, whence::CUR),
            ]
        },
    },
    Difference {
        reason: "`fd_pread` returns at most 64 KiB in wasmtime-wasi.",
        applies: |op, ours, theirs| match (op, ours, theirs) {
            (Op::Pread(..), Observation::Bytes(ours), Observation::Bytes(theirs)) => {
                theirs.len() == 1 << 16 && ours.starts_with(theirs)
            }
            _ => false,
        },
        example: || {
            vec![
                create("tmp/a"),
                Op::SetSize(Handle::Opened(0), 70_000),
                Op::Pread(Handle::Opened(0), 70_000, 0),
            ]
        },
    },
    Difference {
        reason: "In wasmtime-wasi a descriptor that creates or truncates a file is writable without the right to write, and \
                 one without rights is readable.",
        applies: |op, ours, theirs| {
            matches!(
                op,
                Op::Write(..) | Op::Pwrite(..) | Op::SetSize(..) | Op::Read(..) | Op::Pread(..)
            ) && (ours.is_error(Errno::Badf) || ours.is_error(Errno::Inval))
                && !theirs.is_failure()
        },
        example: || {
            vec![
                open("tmp/a", oflags::CREAT, rights::FD_READ),
                Op::Write(Handle::Opened(0), 1, 0),
            ]
        },
    },
    Difference {
        reason: "A folder can be opened here with the right to write and `oflags::directory`, which C libraries request.",
        applies: |op, ours, theirs| {
            matches!(op, Op::Open { oflags, .. } if oflags & oflags::DIRECTORY != 0)
                && *ours == Observation::Opened
                && theirs.is_error(Errno::Isdir)
        },
        example: || {
            let rights = rights::FD_READ | rights::FD_WRITE;
            vec![open("tmp", oflags::DIRECTORY, rights)]
        },
    },
    Difference {
        reason: "A trailing slash of a removed folder is `inval` in wasmtime-wasi. POSIX permits it.",
        applies: |op, ours, theirs| {
            matches!(op, Op::Rmdir(_, path) if path.ends_with('/'))
                && *ours == Observation::Done
                && theirs.is_error(Errno::Inval)
        },
        example: || vec![mkdir("tmp/d"), Op::Rmdir(Handle::Root, "tmp/d/".into())],
    },
    Difference {
        reason: "Without flags, wasmtime-wasi does not check whether the file whose times are set exists, or may be changed.",
        applies: |op, ours, theirs| {
            matches!(op, Op::PathSetTimes(_, _, _, 0) | Op::SetTimes(_, 0))
                && ours.is_failure()
                && *theirs == Observation::Done
        },
        example: || vec![Op::PathSetTimes(Handle::Root, 0, "tmp/none".into(), 0)],
    },
    Difference {
        reason: "If several arguments are invalid, the error of any of them is returned.",
        applies: |op, ours, theirs| {
            matches!(
                op,
                Op::SetTimes(..) | Op::PathSetTimes(..) | Op::Link(..) | Op::Rename(..)
            ) && ours.is_failure()
                && theirs.is_failure()
        },
        example: || {
            let flags = fstflags::ATIM | fstflags::ATIM_NOW;
            vec![Op::SetTimes(Handle::Invalid, flags)]
        },
    },
    Difference {
        reason: "The error for a path that ends in `/`, `.` or `..`, or in a link to such a path, is that of Linux here.",
        applies: |op, ours, theirs| {
            let is_link_to_folder = matches!(
                op,
                Op::Open { .. } if theirs.is_error(Errno::Isdir)
                    && (ours.is_error(Errno::Loop) || ours.is_error(Errno::Notdir))
            );
            ours.is_failure()
                && theirs.is_failure()
                && (op.has_trailing_slash() || is_link_to_folder)
        },
        example: || {
            vec![
                symlink("none", "tmp/l"),
                Op::Rmdir(Handle::Root, "tmp/l/".into()),
            ]
        },
    },
];

/// Returns the difference that applies, or `None` if the observations must be equal.
pub(super) fn difference(
    op: &Op,
    ours: &Observation,
    theirs: &Observation,
) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .find(|difference| (difference.applies)(op, ours, theirs))
}
