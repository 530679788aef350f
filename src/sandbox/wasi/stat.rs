//! What a descriptor is: its kind, rights, sizes, times, and the folders that are there from the
//! start.

use super::abi::{Errno, Guest, Result};
use super::fds::Fd;
use super::{Host, path};
use crate::sandbox::vfs::Stat;

const FDFLAGS_APPEND: u16 = 1;
const RIGHTS_ALL: u64 = u64::MAX >> 34;
const RIGHTS_FD_READ: u64 = 1 << 1;
const RIGHTS_FD_SEEK: u64 = 1 << 2;
const RIGHTS_FD_TELL: u64 = 1 << 5;
const RIGHTS_FD_WRITE: u64 = 1 << 6;
/// What setting a length is taken to cost, in bytes moved: chunks are dropped, none is filled.
const TRUNCATE_COST: u64 = 16 << 10;
const CHARACTER_DEVICE: u8 = 2;
const DIRECTORY: u8 = 3;

pub(super) fn fdstat_get(m: &mut Guest, h: &mut Host, fd: u32, out: u32) -> Result<()> {
    let (filetype, flags, rights) = match h.state.fds.get(fd)? {
        Fd::Stdin => (CHARACTER_DEVICE, 0, RIGHTS_FD_READ | RIGHTS_FD_SEEK),
        // The C library takes a stream that can neither seek nor tell for a terminal. What is
        // captured is none.
        Fd::Stdout | Fd::Stderr => (CHARACTER_DEVICE, 0, RIGHTS_FD_WRITE | RIGHTS_FD_SEEK),
        Fd::Dir { .. } => (DIRECTORY, 0, RIGHTS_ALL),
        Fd::File {
            ino,
            append,
            read,
            write,
            ..
        } => {
            let mut rights = RIGHTS_ALL & !(RIGHTS_FD_READ | RIGHTS_FD_WRITE);
            if *read {
                rights |= RIGHTS_FD_READ;
            }
            if *write {
                rights |= RIGHTS_FD_WRITE;
            }
            let flags = if *append { FDFLAGS_APPEND } else { 0 };
            (
                h.state.tree.stat(*ino)?.filetype,
                flags,
                rights | RIGHTS_FD_SEEK | RIGHTS_FD_TELL,
            )
        }
    };
    let mut stat = [0; 24];
    stat[0] = filetype;
    stat[2..4].copy_from_slice(&flags.to_le_bytes());
    stat[8..16].copy_from_slice(&rights.to_le_bytes());
    stat[16..24].copy_from_slice(&RIGHTS_ALL.to_le_bytes());
    m.write(out, &stat)
}

pub(super) fn fdstat_set_flags(_: &mut Guest, h: &mut Host, fd: u32, flags: u32) -> Result<()> {
    if let Fd::File { append, .. } = h.state.fds.get_mut(fd)? {
        *append = flags & u32::from(FDFLAGS_APPEND) != 0;
    }
    Ok(())
}

pub(super) fn encode_stat(s: &Stat) -> [u8; 64] {
    let mut b = [0; 64];
    b[0..8].copy_from_slice(&s.dev.to_le_bytes());
    b[8..16].copy_from_slice(&s.ino.to_le_bytes());
    b[16] = s.filetype;
    b[24..32].copy_from_slice(&u64::from(s.links).to_le_bytes());
    b[32..40].copy_from_slice(&s.size.to_le_bytes());
    b[40..48].copy_from_slice(&s.accessed.to_le_bytes());
    b[48..56].copy_from_slice(&s.modified.to_le_bytes());
    b[56..64].copy_from_slice(&s.changed.to_le_bytes());
    b
}

pub(super) fn filestat_get(m: &mut Guest, h: &mut Host, fd: u32, out: u32) -> Result<()> {
    let stat = match h.state.fds.get(fd)? {
        Fd::Dir { ino, .. } | Fd::File { ino, .. } => h.state.tree.stat(*ino)?,
        Fd::Stdin | Fd::Stdout | Fd::Stderr => Stat {
            dev: 0,
            ino: u64::MAX - u64::from(fd),
            filetype: CHARACTER_DEVICE,
            links: 1,
            size: 0,
            accessed: 0,
            modified: 0,
            changed: 0,
        },
    };
    m.write(out, &encode_stat(&stat))
}

pub(super) fn filestat_set_size(m: &mut Guest, h: &mut Host, fd: u32, size: u64) -> Result<()> {
    let Fd::File {
        ino, write: true, ..
    } = *h.state.fds.get(fd)?
    else {
        return Err(Errno::Inval);
    };
    let now = h.realtime();
    m.moved += TRUNCATE_COST;
    h.state.tree.resize(ino, size, &h.quota, now)
}

pub(super) fn filestat_set_times(
    _: &mut Guest,
    h: &mut Host,
    fd: u32,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<()> {
    let (Fd::Dir { ino, .. } | Fd::File { ino, .. }) = *h.state.fds.get(fd)? else {
        return Err(Errno::Inval);
    };
    path::set_times(h, ino, accessed, modified, flags)
}

pub(super) fn prestat_get(m: &mut Guest, h: &mut Host, fd: u32, out: u32) -> Result<()> {
    let Fd::Dir {
        preopen: Some(path),
        ..
    } = h.state.fds.get(fd)?
    else {
        return Err(Errno::Badf);
    };
    m.write_u32(out, 0)?;
    m.write_u32(out.wrapping_add(4), path.len() as u32)
}

pub(super) fn prestat_dir_name(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    out: u32,
    len: u32,
) -> Result<()> {
    let Fd::Dir {
        preopen: Some(path),
        ..
    } = h.state.fds.get(fd)?
    else {
        return Err(Errno::Badf);
    };
    if (len as usize) < path.len() {
        return Err(Errno::Nametoolong);
    }
    m.write(out, path.as_bytes())
}
