//! The calls that take a path.

use super::Host;
use super::abi::{Errno, Guest, Result};
use super::fds::Fd;
use super::stat::encode_stat;
use crate::sandbox::vfs::{Ino, Kind};

const LOOKUP_SYMLINK_FOLLOW: u32 = 1;
const OFLAGS_CREAT: u32 = 1;
const OFLAGS_DIRECTORY: u32 = 2;
const OFLAGS_EXCL: u32 = 4;
const OFLAGS_TRUNC: u32 = 8;
const FDFLAGS_APPEND: u32 = 1;
const RIGHTS_FD_READ: u64 = 1 << 1;
const RIGHTS_FD_WRITE: u64 = 1 << 6;
const FSTFLAGS_ATIM: u32 = 1;
const FSTFLAGS_ATIM_NOW: u32 = 2;
const FSTFLAGS_MTIM: u32 = 4;
const FSTFLAGS_MTIM_NOW: u32 = 8;

pub(super) struct OpenArgs {
    pub(super) oflags: u32,
    pub(super) rights: u64,
    pub(super) fdflags: u32,
}

pub(super) fn open(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    lookup: u32,
    (ptr, len): (u32, u32),
    args: &OpenArgs,
    out: u32,
) -> Result<()> {
    let (oflags, rights) = (args.oflags, args.rights);
    let now = h.realtime();
    let path = m.path(ptr, len)?;
    let from = h.state.fds.dir(fd)?;
    let create = oflags & OFLAGS_CREAT != 0;
    let exclusive = create && oflags & OFLAGS_EXCL != 0;
    let follow = lookup & LOOKUP_SYMLINK_FOLLOW != 0 && !exclusive;
    let read = rights & RIGHTS_FD_READ != 0;
    let write = rights & RIGHTS_FD_WRITE != 0;
    h.state.fds.check_room()?;
    let place = (h.state.tree).resolve(from, path, follow || path.ends_with('/'))?;
    let tree = &mut h.state.tree;
    let ino = match place.node {
        Some(_) if exclusive => return Err(Errno::Exist),
        Some(ino) => ino,
        None if create => tree.create_file(&place, &h.quota, now)?,
        None => return Err(Errno::Noent),
    };
    if tree.is_symlink(ino) {
        return Err(Errno::Loop);
    }
    let is_dir = tree.is_dir(ino);
    if !is_dir && (place.must_be_dir || oflags & OFLAGS_DIRECTORY != 0) {
        return Err(Errno::Notdir);
    }
    if is_dir {
        if write || create || oflags & OFLAGS_TRUNC != 0 {
            // What Linux answers to `open(folder, O_WRONLY)`. The C library asks for the write
            // right also where it only wants a folder, then with `O_DIRECTORY`.
            if oflags & OFLAGS_DIRECTORY == 0 {
                return Err(Errno::Isdir);
            }
        }
        let fd = Fd::Dir {
            ino,
            preopen: None,
            listing: None,
        };
        let new = h.state.fds.open(fd, tree)?;
        return m.write_u32(out, new);
    }
    let kind = &tree.node(ino)?.kind;
    if matches!(kind, Kind::Special(_)) {
        return Err(Errno::Access);
    }
    let null = matches!(kind, Kind::Null);
    if (write || oflags & OFLAGS_TRUNC != 0) && !null {
        tree.check_writable(ino)?;
    }
    tree.reopen(ino, write, oflags & OFLAGS_TRUNC != 0)?;
    if oflags & OFLAGS_TRUNC != 0 && !null {
        tree.resize(ino, 0, &h.quota, now)?;
    }
    let new = Fd::File {
        ino,
        offset: 0,
        append: args.fdflags & FDFLAGS_APPEND != 0,
        read,
        write,
    };
    let new = h.state.fds.open(new, tree)?;
    m.write_u32(out, new)
}

pub(super) fn create_directory(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let now = h.realtime();
    let place = (h.state.tree).resolve(h.state.fds.dir(fd)?, m.path(ptr, len)?, false)?;
    h.state.tree.create_dir(&place, &h.quota, now).map(|_| ())
}

pub(super) fn filestat_get(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    lookup: u32,
    (ptr, len): (u32, u32),
    out: u32,
) -> Result<()> {
    let ino = find(m, h, fd, lookup, ptr, len)?;
    let stat = h.state.tree.stat(ino)?;
    m.write(out, &encode_stat(&stat))
}

fn find(m: &mut Guest, h: &mut Host, fd: u32, lookup: u32, ptr: u32, len: u32) -> Result<Ino> {
    let follow = lookup & LOOKUP_SYMLINK_FOLLOW != 0;
    (h.state.tree).lookup(h.state.fds.dir(fd)?, m.path(ptr, len)?, follow)
}

pub(super) fn filestat_set_times(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    lookup: u32,
    (ptr, len): (u32, u32),
    (accessed, modified): (u64, u64),
    flags: u32,
) -> Result<()> {
    let ino = find(m, h, fd, lookup, ptr, len)?;
    set_times(h, ino, accessed, modified, flags)
}

pub(super) fn set_times(
    h: &mut Host,
    ino: Ino,
    accessed: u64,
    modified: u64,
    flags: u32,
) -> Result<()> {
    let now = h.realtime();
    let pick = |value, set: u32, set_now: u32| match (flags & set != 0, flags & set_now != 0) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Some(value)),
        (false, true) => Ok(Some(now)),
        (false, false) => Ok(None),
    };
    let accessed = pick(accessed, FSTFLAGS_ATIM, FSTFLAGS_ATIM_NOW)?;
    let modified = pick(modified, FSTFLAGS_MTIM, FSTFLAGS_MTIM_NOW)?;
    h.state.tree.set_times(ino, accessed, modified, now)
}

pub(super) fn link(
    m: &mut Guest,
    h: &mut Host,
    (old_fd, lookup, old_ptr, old_len): (u32, u32, u32, u32),
    (new_fd, new_ptr, new_len): (u32, u32, u32),
) -> Result<()> {
    let ino = find(m, h, old_fd, lookup, old_ptr, old_len)?;
    let place =
        (h.state.tree).resolve(h.state.fds.dir(new_fd)?, m.path(new_ptr, new_len)?, false)?;
    let now = h.realtime();
    h.state.tree.link(ino, &place, &h.quota, now)
}

pub(super) fn readlink(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    (ptr, len): (u32, u32),
    (buf, buf_len): (u32, u32),
    out: u32,
) -> Result<()> {
    let ino = find(m, h, fd, 0, ptr, len)?;
    let target = h.state.tree.read_link(ino)?;
    let n = target.len().min(buf_len as usize);
    m.write(buf, &target.as_bytes()[..n])?;
    m.write_u32(out, n as u32)
}

pub(super) fn remove_directory(
    m: &mut Guest,
    h: &mut Host,
    fd: u32,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let place = (h.state.tree).resolve(h.state.fds.dir(fd)?, m.path(ptr, len)?, false)?;
    h.state.tree.remove_dir(&place, h.realtime())
}

pub(super) fn rename(
    m: &mut Guest,
    h: &mut Host,
    (old_fd, old_ptr, old_len): (u32, u32, u32),
    (new_fd, new_ptr, new_len): (u32, u32, u32),
) -> Result<()> {
    let tree = &mut h.state.tree;
    let from = tree.resolve(h.state.fds.dir(old_fd)?, m.path(old_ptr, old_len)?, false)?;
    let to = tree.resolve(h.state.fds.dir(new_fd)?, m.path(new_ptr, new_len)?, false)?;
    h.state.tree.rename(&from, &to, h.realtime())
}

pub(super) fn symlink(
    m: &mut Guest,
    h: &mut Host,
    (target_ptr, target_len): (u32, u32),
    fd: u32,
    (ptr, len): (u32, u32),
) -> Result<()> {
    let target = m.path(target_ptr, target_len)?.to_owned();
    let place = (h.state.tree).resolve(h.state.fds.dir(fd)?, m.path(ptr, len)?, false)?;
    let now = h.realtime();
    (h.state.tree)
        .create_symlink(&place, &target, &h.quota, now)
        .map(|_| ())
}

pub(super) fn unlink_file(m: &mut Guest, h: &mut Host, fd: u32, ptr: u32, len: u32) -> Result<()> {
    let place = (h.state.tree).resolve(h.state.fds.dir(fd)?, m.path(ptr, len)?, false)?;
    h.state.tree.unlink(&place, h.realtime())
}
