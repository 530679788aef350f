//! Calls that read, write and seek open files, and list folders.

use crate::types::errno::{Errno, Result};
use crate::wasi::abi::GuestMemory;
use crate::wasi::ctx::WasiCtx;
use crate::wasi::fds::Fd;
use crate::wasi::preview1::{dirent, whence};
use codeact_base::event::Stream;

/// Maximum length of one read or write, in bytes. The guest's C library loops for the rest. The bound keeps one call
/// short, because the time limit is checked between calls.
const MAX_TRANSFER_BYTES: u32 = 16 << 20;
/// Maximum length of one read from stdin, in bytes.
pub(super) const MAX_STDIN_BYTES: usize = 64 << 10;
/// Cost of one entry of a listing, in bytes moved.
const DIR_ENTRY_COST: u64 = 64;

pub(super) fn advise(_: &mut GuestMemory, ctx: &mut WasiCtx, fd: u32) -> Result<()> {
    ctx.state.fds.get(fd).map(|_| ())
}

pub(super) fn close(_: &mut GuestMemory, ctx: &mut WasiCtx, fd: u32) -> Result<()> {
    ctx.state.fds.close(fd, &mut ctx.state.tree)
}

/// `fd_sync` and `fd_datasync`. A tree in memory has nothing to flush.
pub(super) fn sync(_: &mut GuestMemory, ctx: &mut WasiCtx, fd: u32) -> Result<()> {
    ctx.state.fds.get(fd).map(|_| ())
}

pub(super) fn read(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    out: u32,
) -> Result<()> {
    let total = match *ctx.state.fds.get(fd)? {
        Fd::File {
            ino,
            offset,
            read: true,
            ..
        } => {
            let total = read_file(memory, ctx, ino, offset, iovs, count)?;
            (ctx.state.fds).set_offset(fd, offset.saturating_add(total.into()))?;
            total
        }
        Fd::Dir { .. } => return Err(Errno::Isdir),
        _ => return Err(Errno::Badf),
    };
    memory.write_u32(out, total)
}

/// Copies `bytes`, read from stdin, to the guest's buffers, as far as they fit.
pub(super) fn read_stdin(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    bytes: &[u8],
    (iovs, count): (u32, u32),
    out: u32,
) -> Result<()> {
    let mut rest = bytes;
    for (ptr, len) in memory.iovecs(iovs, count)? {
        let (now, later) = rest.split_at(rest.len().min(len as usize));
        memory.write(ptr, now)?;
        rest = later;
    }
    let taken = bytes.len() - rest.len();
    ctx.state.stdin_read += taken;
    memory.write_u32(out, taken as u32)
}

fn read_file(
    memory: &mut GuestMemory,
    ctx: &WasiCtx,
    ino: u64,
    offset: u64,
    iovs: u32,
    count: u32,
) -> Result<u32> {
    let mut total = 0;
    for (ptr, len) in memory.iovecs(iovs, count)? {
        let len = len.min(MAX_TRANSFER_BYTES - total);
        let at = offset.checked_add(u64::from(total)).ok_or(Errno::Fbig)?;
        let n = ctx
            .state
            .tree
            .read_at(ino, memory.slice_mut(ptr, len)?, at)? as u32;
        total += n;
        if n < len || total == MAX_TRANSFER_BYTES {
            break;
        }
    }
    Ok(total)
}

/// Checks an offset, which is signed on Linux.
///
/// # Errors
///
/// Returns [`Errno::Inval`] if it is above `i64::MAX`.
fn check_offset(offset: u64) -> Result<()> {
    match i64::try_from(offset) {
        Ok(_) => Ok(()),
        Err(_) => Err(Errno::Inval),
    }
}

pub(super) fn pread(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    out: u32,
) -> Result<()> {
    let total = match *ctx.state.fds.get(fd)? {
        Fd::File {
            ino, read: true, ..
        } => {
            check_offset(offset)?;
            read_file(memory, ctx, ino, offset, iovs, count)?
        }
        Fd::File { .. } => return Err(Errno::Badf),
        Fd::Dir { .. } => return Err(Errno::Isdir),
        _ => return Err(Errno::Spipe),
    };
    memory.write_u32(out, total)
}

pub(super) fn write(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    out: u32,
) -> Result<()> {
    let total = match *ctx.state.fds.get(fd)? {
        Fd::Stdout => write_stream(memory, ctx, Stream::Stdout, iovs, count)?,
        Fd::Stderr => write_stream(memory, ctx, Stream::Stderr, iovs, count)?,
        Fd::File {
            ino,
            offset,
            append,
            write: true,
            ..
        } => {
            let at = if append {
                ctx.state.tree.stat(ino)?.size
            } else {
                offset
            };
            let total = write_file(memory, ctx, ino, at, iovs, count)?;
            (ctx.state.fds).set_offset(fd, at.saturating_add(total.into()))?;
            total
        }
        _ => return Err(Errno::Badf),
    };
    memory.write_u32(out, total)
}

fn write_stream(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    stream: Stream,
    iovs: u32,
    count: u32,
) -> Result<u32> {
    let mut total: u32 = 0;
    for (ptr, len) in memory.iovecs(iovs, count)? {
        ctx.output.write(stream, memory.slice(ptr, len)?);
        memory.work += u64::from(len);
        total = total.checked_add(len).ok_or(Errno::Inval)?;
    }
    Ok(total)
}

fn write_file(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    ino: u64,
    offset: u64,
    iovs: u32,
    count: u32,
) -> Result<u32> {
    let now = ctx.realtime();
    let mut total = 0;
    for (ptr, len) in memory.iovecs(iovs, count)? {
        let len = len.min(MAX_TRANSFER_BYTES - total);
        let at = offset.checked_add(u64::from(total)).ok_or(Errno::Fbig)?;
        let bytes = memory.slice(ptr, len)?;
        match ctx.state.tree.write_at(ino, bytes, at, &ctx.quota, now) {
            Ok(n) => {
                total += n as u32;
                memory.work += n as u64;
            }
            // A short write. The next call returns the error.
            Err(_) if total > 0 => break,
            Err(e) => return Err(e),
        }
        if total == MAX_TRANSFER_BYTES {
            break;
        }
    }
    Ok(total)
}

pub(super) fn pwrite(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    out: u32,
) -> Result<()> {
    let total = match *ctx.state.fds.get(fd)? {
        Fd::File {
            ino,
            append,
            write: true,
            ..
        } => {
            check_offset(offset)?;
            // As on Linux: data that is written in append mode is always appended.
            let at = match append {
                true => ctx.state.tree.stat(ino)?.size,
                false => offset,
            };
            write_file(memory, ctx, ino, at, iovs, count)?
        }
        Fd::Stdin | Fd::Stdout | Fd::Stderr => return Err(Errno::Spipe),
        _ => return Err(Errno::Badf),
    };
    memory.write_u32(out, total)
}

pub(super) fn seek(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    delta: i64,
    origin: u32,
    out: u32,
) -> Result<()> {
    let Fd::File { ino, offset, .. } = *ctx.state.fds.get(fd)? else {
        return Err(Errno::Spipe);
    };
    let base = match origin {
        whence::SET => 0,
        whence::CUR => offset,
        whence::END => ctx.state.tree.stat(ino)?.size,
        _ => return Err(Errno::Inval),
    };
    let to = base
        .checked_add_signed(delta)
        .filter(|to| *to <= i64::MAX as u64)
        .ok_or(Errno::Inval)?;
    ctx.state.fds.set_offset(fd, to)?;
    memory.write_u64(out, to)
}

pub(super) fn tell(memory: &mut GuestMemory, ctx: &mut WasiCtx, fd: u32, out: u32) -> Result<()> {
    let Fd::File { offset, .. } = *ctx.state.fds.get(fd)? else {
        return Err(Errno::Spipe);
    };
    memory.write_u64(out, offset)
}

pub(super) fn readdir(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    buf: u32,
    len: u32,
    cookie: u64,
    out: u32,
) -> Result<()> {
    let Fd::Dir { ino, listing, .. } = ctx.state.fds.get_mut(fd)? else {
        return Err(Errno::Notdir);
    };
    if cookie == 0 || listing.is_none() {
        let new = ctx.state.tree.list(*ino)?;
        *listing = None;
        ctx.state.fds.evict_listings(new.len());
        let Fd::Dir { listing, .. } = ctx.state.fds.get_mut(fd)? else {
            return Err(Errno::Notdir);
        };
        *listing = Some(std::sync::Arc::new(new));
    }
    let Fd::Dir { listing, .. } = ctx.state.fds.get_mut(fd)? else {
        return Err(Errno::Notdir);
    };
    let Some(entries) = listing.clone() else {
        return Err(Errno::Io);
    };
    // Each call costs in proportion to the listing, so that repeated calls with short buffers are charged.
    memory.work += entries.len() as u64 * DIR_ENTRY_COST;
    let start = usize::try_from(cookie).map_err(|_| Errno::Inval)?;
    let target = memory.slice_mut(buf, len)?;
    let mut used = 0;
    for (i, (name, ino, filetype)) in entries.iter().enumerate().skip(start) {
        let mut entry = [0; dirent::SIZE];
        entry[dirent::NEXT].copy_from_slice(&(i as u64 + 1).to_le_bytes());
        entry[dirent::INO].copy_from_slice(&ino.to_le_bytes());
        entry[dirent::NAMLEN].copy_from_slice(&(name.len() as u32).to_le_bytes());
        entry[dirent::TYPE] = *filetype;
        // The last entry may be truncated. The caller reads it again from its cookie.
        for bytes in [&entry[..], name.as_bytes()] {
            let n = bytes.len().min(target.len() - used);
            target[used..used + n].copy_from_slice(&bytes[..n]);
            used += n;
        }
        if used == target.len() {
            break;
        }
    }
    memory.write_u32(out, used as u32)
}
