//! Calls that read and set the attributes of descriptors: file type, rights, size, times, and the names of preopened
//! folders.

use crate::fs::vfs::{Ino, Stat, filetype};
use crate::types::errno::{Errno, Result};
use crate::wasi::abi::GuestMemory;
use crate::wasi::ctx::WasiCtx;
use crate::wasi::fds::Fd;
use crate::wasi::preview1::{fdflags, fdstat, filestat, fstflags, prestat, rights};

/// Cost of setting a length, in bytes moved. It drops chunks and fills none.
const TRUNCATE_COST: u64 = 16 << 10;

pub(super) fn fdstat_get(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    out: u32,
) -> Result<()> {
    let (filetype, flags, base) = match ctx.state.fds.get(fd)? {
        Fd::Stdin => (
            filetype::CHARACTER_DEVICE,
            0,
            rights::FD_READ | rights::FD_SEEK,
        ),
        // The C library treats a character device without the rights to seek and tell as a terminal. Captured output is
        // not a terminal.
        Fd::Stdout | Fd::Stderr => (
            filetype::CHARACTER_DEVICE,
            0,
            rights::FD_WRITE | rights::FD_SEEK,
        ),
        Fd::Dir { .. } => (filetype::DIRECTORY, 0, rights::ALL),
        Fd::File {
            ino,
            append,
            read,
            write,
            ..
        } => {
            let mut base = rights::ALL & !(rights::FD_READ | rights::FD_WRITE);
            if *read {
                base |= rights::FD_READ;
            }
            if *write {
                base |= rights::FD_WRITE;
            }
            let flags = if *append { fdflags::APPEND } else { 0 };
            (ctx.state.tree.stat(*ino)?.filetype, flags, base)
        }
    };
    let mut stat = [0; fdstat::SIZE];
    stat[fdstat::FILETYPE] = filetype;
    stat[fdstat::FLAGS].copy_from_slice(&(flags as u16).to_le_bytes());
    stat[fdstat::RIGHTS_BASE].copy_from_slice(&base.to_le_bytes());
    stat[fdstat::RIGHTS_INHERITING].copy_from_slice(&rights::ALL.to_le_bytes());
    memory.write(out, &stat)
}

pub(super) fn fdstat_set_flags(
    _: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    flags: u32,
) -> Result<()> {
    if let Fd::File { append, .. } = ctx.state.fds.get_mut(fd)? {
        *append = flags & fdflags::APPEND != 0;
    }
    Ok(())
}

/// Returns `stat` as a `filestat`.
pub(super) fn encode_stat(stat: &Stat) -> [u8; filestat::SIZE] {
    let mut bytes = [0; filestat::SIZE];
    bytes[filestat::DEV].copy_from_slice(&stat.dev.to_le_bytes());
    bytes[filestat::INO].copy_from_slice(&stat.ino.to_le_bytes());
    bytes[filestat::FILETYPE] = stat.filetype;
    bytes[filestat::NLINK].copy_from_slice(&u64::from(stat.links).to_le_bytes());
    bytes[filestat::LEN].copy_from_slice(&stat.size.to_le_bytes());
    bytes[filestat::ATIM].copy_from_slice(&stat.accessed.to_le_bytes());
    bytes[filestat::MTIM].copy_from_slice(&stat.modified.to_le_bytes());
    bytes[filestat::CTIM].copy_from_slice(&stat.changed.to_le_bytes());
    bytes
}

pub(super) fn filestat_get(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    out: u32,
) -> Result<()> {
    let stat = match ctx.state.fds.get(fd)? {
        Fd::Dir { ino, .. } | Fd::File { ino, .. } => ctx.state.tree.stat(*ino)?,
        Fd::Stdin | Fd::Stdout | Fd::Stderr => Stat {
            dev: 0,
            ino: u64::MAX - u64::from(fd),
            filetype: filetype::CHARACTER_DEVICE,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        },
    };
    memory.write(out, &encode_stat(&stat))
}

pub(super) fn filestat_set_size(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    size: u64,
) -> Result<()> {
    let Fd::File {
        ino, write: true, ..
    } = *ctx.state.fds.get(fd)?
    else {
        return Err(Errno::Inval);
    };
    // As on Linux, where lengths are signed.
    if size > i64::MAX as u64 {
        return Err(Errno::Inval);
    }
    let now = ctx.realtime();
    memory.work += TRUNCATE_COST;
    ctx.state.tree.resize(ino, size, &ctx.quota, now)
}

pub(super) fn filestat_set_times(
    _: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<()> {
    let (Fd::Dir { ino, .. } | Fd::File { ino, .. }) = *ctx.state.fds.get(fd)? else {
        return Err(Errno::Inval);
    };
    set_times(ctx, ino, accessed, modified, flags)
}

pub(super) fn prestat_get(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    out: u32,
) -> Result<()> {
    let Fd::Dir {
        preopen: Some(path),
        ..
    } = ctx.state.fds.get(fd)?
    else {
        return Err(Errno::Badf);
    };
    memory.write_u32(out, prestat::TAG_DIR)?;
    memory.write_u32(out.wrapping_add(prestat::NAME_LEN), path.len() as u32)
}

pub(super) fn prestat_dir_name(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    out: u32,
    len: u32,
) -> Result<()> {
    let Fd::Dir {
        preopen: Some(path),
        ..
    } = ctx.state.fds.get(fd)?
    else {
        return Err(Errno::Notdir);
    };
    if (len as usize) < path.len() {
        return Err(Errno::Nametoolong);
    }
    memory.write(out, path.as_bytes())
}

/// Sets the times of `ino`, as the `fstflags` in `flags` say.
pub(super) fn set_times(
    ctx: &mut WasiCtx,
    ino: Ino,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<()> {
    let now = ctx.realtime();
    let pick = |value, set: u32, set_now: u32| match (flags & set != 0, flags & set_now != 0) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Some(value)),
        (false, true) => Ok(Some(now)),
        (false, false) => Ok(None),
    };
    let accessed = pick(accessed, fstflags::ATIM, fstflags::ATIM_NOW)?;
    let modified = pick(modified, fstflags::MTIM, fstflags::MTIM_NOW)?;
    ctx.state.tree.set_times(ino, accessed, modified, now)
}
