//! Calls that take a path.

use crate::fs::vfs::{Ino, Kind};
use crate::types::errno::{Errno, Result};
use crate::wasi::abi::GuestMemory;
use crate::wasi::ctx::WasiCtx;
use crate::wasi::fds::Fd;
use crate::wasi::preview1::{fdflags, lookupflags, oflags, rights};
use crate::wasi::stat::{self, encode_stat};

/// The flags of `path_open`.
pub(super) struct OpenArgs {
    pub(super) oflags: u32,
    pub(super) rights: u64,
    pub(super) fdflags: u32,
}

pub(super) fn open(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    (ptr, len): (u32, u32),
    args: &OpenArgs,
    out: u32,
) -> Result<()> {
    let now = ctx.realtime();
    let path = memory.path(ptr, len)?;
    let from = ctx.state.fds.dir(fd)?;
    let has = |flag| args.oflags & flag != 0;
    let create = has(oflags::CREAT);
    let exclusive = create && has(oflags::EXCL);
    let must_be_dir = has(oflags::DIRECTORY);
    let truncate = has(oflags::TRUNC);
    let follow = lookup & lookupflags::SYMLINK_FOLLOW != 0 && !exclusive;
    let read = args.rights & rights::FD_READ != 0;
    let write = args.rights & rights::FD_WRITE != 0;
    ctx.state.fds.check_limit()?;
    let target = (ctx.state.tree).resolve(from, path, follow || path.ends_with('/'))?;
    let tree = &mut ctx.state.tree;
    let ino = match target.node {
        Some(_) if exclusive => return Err(Errno::Exist),
        Some(ino) => ino,
        None if create => tree.create_file(&target, &ctx.quota, now)?,
        None => return Err(Errno::Noent),
    };
    if tree.is_symlink(ino) {
        return Err(Errno::Loop);
    }
    let is_dir = tree.is_dir(ino);
    if !is_dir && (target.must_be_dir || must_be_dir) {
        return Err(Errno::Notdir);
    }
    if is_dir {
        // As `open(folder, O_WRONLY)` on Linux. The C library requests the right to write also to open a folder, then
        // with `O_DIRECTORY`.
        if (write || create || truncate) && !must_be_dir {
            return Err(Errno::Isdir);
        }
        let fd = Fd::Dir {
            ino,
            preopen: None,
            listing: None,
        };
        let new = ctx.state.fds.open(fd, tree)?;
        return memory.write_u32(out, new);
    }
    let kind = &tree.node(ino)?.kind;
    if matches!(kind, Kind::Special(_)) {
        return Err(Errno::Access);
    }
    let null = matches!(kind, Kind::Null);
    if (write || truncate) && !null {
        tree.check_writable(ino)?;
    }
    tree.reopen(ino, write, truncate)?;
    if truncate && !null {
        tree.resize(ino, 0, &ctx.quota, now)?;
    }
    let new = Fd::File {
        ino,
        offset: 0,
        append: args.fdflags & fdflags::APPEND != 0,
        read,
        write,
        shared: None,
    };
    let new = ctx.state.fds.open(new, tree)?;
    memory.write_u32(out, new)
}

pub(super) fn create_directory(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let now = ctx.realtime();
    let target = (ctx.state.tree).resolve(ctx.state.fds.dir(fd)?, memory.path(ptr, len)?, false)?;
    ctx.state
        .tree
        .create_dir(&target, &ctx.quota, now)
        .map(|_| ())
}

pub(super) fn filestat_get(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    (ptr, len): (u32, u32),
    out: u32,
) -> Result<()> {
    let ino = find(memory, ctx, fd, lookup, ptr, len)?;
    let stat = ctx.state.tree.stat(ino)?;
    memory.write(out, &encode_stat(&stat))
}

/// Returns the node at a path.
fn find(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    ptr: u32,
    len: u32,
) -> Result<Ino> {
    let follow = lookup & lookupflags::SYMLINK_FOLLOW != 0;
    (ctx.state.tree).lookup(ctx.state.fds.dir(fd)?, memory.path(ptr, len)?, follow)
}

pub(super) fn filestat_set_times(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    lookup: u32,
    (ptr, len): (u32, u32),
    (accessed, modified): (u64, u64),
    flags: u32,
) -> Result<()> {
    let ino = find(memory, ctx, fd, lookup, ptr, len)?;
    stat::set_times(ctx, ino, accessed, modified, flags)
}

pub(super) fn link(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    (old_fd, lookup, old_ptr, old_len): (u32, u32, u32, u32),
    (new_fd, new_ptr, new_len): (u32, u32, u32),
) -> Result<()> {
    let ino = find(memory, ctx, old_fd, lookup, old_ptr, old_len)?;
    let target = (ctx.state.tree).resolve(
        ctx.state.fds.dir(new_fd)?,
        memory.path(new_ptr, new_len)?,
        false,
    )?;
    let now = ctx.realtime();
    ctx.state.tree.link(ino, &target, &ctx.quota, now)
}

pub(super) fn readlink(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    (ptr, len): (u32, u32),
    (buf, buf_len): (u32, u32),
    out: u32,
) -> Result<()> {
    let ino = find(memory, ctx, fd, 0, ptr, len)?;
    let content = ctx.state.tree.read_link(ino)?;
    let n = content.len().min(buf_len as usize);
    memory.write(buf, &content.as_bytes()[..n])?;
    memory.write_u32(out, n as u32)
}

pub(super) fn remove_directory(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let target = (ctx.state.tree).resolve(ctx.state.fds.dir(fd)?, memory.path(ptr, len)?, false)?;
    ctx.state.tree.remove_dir(&target, ctx.realtime())
}

pub(super) fn rename(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    (old_fd, old_ptr, old_len): (u32, u32, u32),
    (new_fd, new_ptr, new_len): (u32, u32, u32),
) -> Result<()> {
    let tree = &mut ctx.state.tree;
    let from = tree.resolve(
        ctx.state.fds.dir(old_fd)?,
        memory.path(old_ptr, old_len)?,
        false,
    )?;
    let to = tree.resolve(
        ctx.state.fds.dir(new_fd)?,
        memory.path(new_ptr, new_len)?,
        false,
    )?;
    ctx.state.tree.rename(&from, &to, ctx.realtime())
}

pub(super) fn symlink(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    (content_ptr, content_len): (u32, u32),
    fd: u32,
    (ptr, len): (u32, u32),
) -> Result<()> {
    let content = memory.path(content_ptr, content_len)?.to_owned();
    let target = (ctx.state.tree).resolve(ctx.state.fds.dir(fd)?, memory.path(ptr, len)?, false)?;
    let now = ctx.realtime();
    (ctx.state.tree)
        .create_symlink(&target, &content, &ctx.quota, now)
        .map(|_| ())
}

pub(super) fn unlink_file(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    fd: u32,
    ptr: u32,
    len: u32,
) -> Result<()> {
    let target = (ctx.state.tree).resolve(ctx.state.fds.dir(fd)?, memory.path(ptr, len)?, false)?;
    ctx.state.tree.unlink(&target, ctx.realtime())
}
