//! Reading and writing open descriptors, and listing folders.

use super::Host;
use super::abi::{Errno, Guest, Result};
use super::fds::Fd;
use crate::event::Stream;

/// The most one read or write moves; the guest's C library loops for the rest. Keeps one call
/// short, so that time-outs hold.
const MAX_TRANSFER: u32 = 16 << 20;
/// The most one read takes from stdin.
pub(super) const MAX_STDIN: usize = 64 << 10;

pub(super) fn advise(_: &mut Guest, h: &mut Host, fd: u32) -> Result<()> {
    h.state.fds.get(fd).map(|_| ())
}

pub(super) fn close(_: &mut Guest, h: &mut Host, fd: u32) -> Result<()> {
    h.state.fds.close(fd, &mut h.state.tree)
}

/// `fd_sync` and `fd_datasync`: a tree in memory has nothing to flush.
pub(super) fn sync(_: &mut Guest, h: &mut Host, fd: u32) -> Result<()> {
    h.state.fds.get(fd).map(|_| ())
}

pub(super) fn read(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    iovs: u32,
    count: u32,
    out: u32,
) -> Result<()> {
    let total = match *h.state.fds.get(fd)? {
        Fd::File {
            ino,
            offset,
            read: true,
            ..
        } => {
            let total = read_file(m, h, ino, offset, iovs, count)?;
            if let Fd::File { offset, .. } = h.state.fds.get_mut(fd)? {
                *offset += u64::from(total);
            }
            total
        }
        Fd::Dir { .. } => return Err(Errno::Isdir),
        _ => return Err(Errno::Badf),
    };
    m.write_u32(out, total)
}

/// Hands `bytes`, taken from stdin, to the guest, as much of it as its buffers hold.
pub(super) fn read_stdin(
    m: &mut Guest,
    h: &mut Host,
    bytes: &[u8],
    (iovs, count): (u32, u32),
    out: u32,
) -> Result<()> {
    let mut rest = bytes;
    for (ptr, len) in m.iovecs(iovs, count)? {
        let (now, later) = rest.split_at(rest.len().min(len as usize));
        m.write(ptr, now)?;
        rest = later;
    }
    let taken = bytes.len() - rest.len();
    h.state.stdin_read += taken;
    m.write_u32(out, taken as u32)
}

fn read_file(m: &mut Guest, h: &Host, ino: u64, offset: u64, iovs: u32, count: u32) -> Result<u32> {
    let mut total = 0;
    for (ptr, len) in m.iovecs(iovs, count)? {
        let len = len.min(MAX_TRANSFER - total);
        let at = offset.checked_add(u64::from(total)).ok_or(Errno::Fbig)?;
        let n = h.state.tree.read_at(ino, m.slice_mut(ptr, len)?, at)? as u32;
        total += n;
        if n < len || total == MAX_TRANSFER {
            break;
        }
    }
    Ok(total)
}

pub(super) fn pread(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    out: u32,
) -> Result<()> {
    let total = match *h.state.fds.get(fd)? {
        Fd::File {
            ino, read: true, ..
        } => read_file(m, h, ino, offset, iovs, count)?,
        Fd::File { .. } => return Err(Errno::Badf),
        Fd::Dir { .. } => return Err(Errno::Isdir),
        _ => return Err(Errno::Spipe),
    };
    m.write_u32(out, total)
}

pub(super) fn write(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    iovs: u32,
    count: u32,
    out: u32,
) -> Result<()> {
    let total = match *h.state.fds.get(fd)? {
        Fd::Stdout => write_stream(m, h, Stream::Stdout, iovs, count)?,
        Fd::Stderr => write_stream(m, h, Stream::Stderr, iovs, count)?,
        Fd::File {
            ino,
            offset,
            append,
            write: true,
            ..
        } => {
            let at = if append {
                h.state.tree.stat(ino)?.size
            } else {
                offset
            };
            let total = write_file(m, h, ino, at, iovs, count)?;
            if let Fd::File { offset, .. } = h.state.fds.get_mut(fd)? {
                *offset = at + u64::from(total);
            }
            total
        }
        _ => return Err(Errno::Badf),
    };
    m.write_u32(out, total)
}

fn write_stream(m: &mut Guest, h: &mut Host, stream: Stream, iovs: u32, count: u32) -> Result<u32> {
    let mut total: u32 = 0;
    for (ptr, len) in m.iovecs(iovs, count)? {
        h.output.write(stream, m.slice(ptr, len)?);
        m.moved += u64::from(len);
        total = total.checked_add(len).ok_or(Errno::Inval)?;
    }
    Ok(total)
}

fn write_file(
    m: &mut Guest,
    h: &mut Host,
    ino: u64,
    offset: u64,
    iovs: u32,
    count: u32,
) -> Result<u32> {
    let now = h.realtime();
    let mut total = 0;
    for (ptr, len) in m.iovecs(iovs, count)? {
        let len = len.min(MAX_TRANSFER - total);
        let at = offset.checked_add(u64::from(total)).ok_or(Errno::Fbig)?;
        let bytes = m.slice(ptr, len)?;
        match h.state.tree.write_at(ino, bytes, at, &h.quota, now) {
            Ok(n) => {
                total += n as u32;
                m.moved += n as u64;
            }
            // What has been written counts; the next call meets the error again.
            Err(_) if total > 0 => break,
            Err(e) => return Err(e),
        }
        if total == MAX_TRANSFER {
            break;
        }
    }
    Ok(total)
}

pub(super) fn pwrite(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    iovs: u32,
    count: u32,
    offset: u64,
    out: u32,
) -> Result<()> {
    let total = match *h.state.fds.get(fd)? {
        Fd::File {
            ino, write: true, ..
        } => write_file(m, h, ino, offset, iovs, count)?,
        Fd::Stdin | Fd::Stdout | Fd::Stderr => return Err(Errno::Spipe),
        _ => return Err(Errno::Badf),
    };
    m.write_u32(out, total)
}

pub(super) fn seek(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    delta: i64,
    whence: u32,
    out: u32,
) -> Result<()> {
    let Fd::File { ino, offset, .. } = *h.state.fds.get(fd)? else {
        return Err(Errno::Spipe);
    };
    let base = match whence {
        0 => 0,
        1 => offset,
        2 => h.state.tree.stat(ino)?.size,
        _ => return Err(Errno::Inval),
    };
    let to = base
        .checked_add_signed(delta)
        .filter(|to| *to <= i64::MAX as u64)
        .ok_or(Errno::Inval)?;
    if let Fd::File { offset, .. } = h.state.fds.get_mut(fd)? {
        *offset = to;
    }
    m.write_u64(out, to)
}

pub(super) fn tell(m: &mut Guest, h: &mut Host, fd: u32, out: u32) -> Result<()> {
    let Fd::File { offset, .. } = *h.state.fds.get(fd)? else {
        return Err(Errno::Spipe);
    };
    m.write_u64(out, offset)
}

pub(super) fn readdir(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    buf: u32,
    len: u32,
    cookie: u64,
    out: u32,
) -> Result<()> {
    let Fd::Dir { ino, listing, .. } = h.state.fds.get_mut(fd)? else {
        return Err(Errno::Notdir);
    };
    if cookie == 0 || listing.is_none() {
        let new = h.state.tree.list(*ino)?;
        *listing = None;
        h.state.fds.make_room(new.len());
        let Fd::Dir { listing, .. } = h.state.fds.get_mut(fd)? else {
            return Err(Errno::Notdir);
        };
        *listing = Some(std::sync::Arc::new(new));
    }
    let Fd::Dir { listing, .. } = h.state.fds.get_mut(fd)? else {
        return Err(Errno::Notdir);
    };
    let Some(entries) = listing.clone() else {
        return Err(Errno::Io);
    };
    // Taking a listing costs by its length, and so does asking for it again and again.
    m.moved += entries.len() as u64 * 64;
    let start = usize::try_from(cookie).map_err(|_| Errno::Inval)?;
    let target = m.slice_mut(buf, len)?;
    let mut used = 0;
    for (i, (name, ino, filetype)) in entries.iter().enumerate().skip(start) {
        let mut entry = [0; 24];
        entry[0..8].copy_from_slice(&(i as u64 + 1).to_le_bytes());
        entry[8..16].copy_from_slice(&ino.to_le_bytes());
        entry[16..20].copy_from_slice(&(name.len() as u32).to_le_bytes());
        entry[20] = *filetype;
        // A cut-off last entry is allowed: the caller asks again from its cookie.
        for bytes in [&entry[..], name.as_bytes()] {
            let n = bytes.len().min(target.len() - used);
            target[used..used + n].copy_from_slice(&bytes[..n]);
            used += n;
        }
        if used == target.len() {
            break;
        }
    }
    m.write_u32(out, used as u32)
}
