//! WASI preview 1, as far as the pack imports it, served from the tree in memory.
//!
//! Our own, because a session at rest must be data: descriptors, files, clocks and randomness
//! are plain values that can be copied into a checkpoint, and none of them is the host's. `abi`
//! checks every pointer; `files`, `stat` and `path` are the calls on descriptors and names; this file
//! the rest and the linker.

mod abi;
mod fds;
mod fds_data;
mod files;
mod path;
mod stat;

pub(crate) use abi::{Errno, Guest, Result};
pub(crate) use fds::Fds;
pub(crate) use fds_data::FdData;

use std::time::Duration;

use rand_chacha::rand_core::Rng;
use wasmtime::{Caller, Linker};

use super::clock;
use super::host::{Host, ProcessExit};
use super::tape::{self, Bytes, Call};

const MODULE: &str = "wasi_snapshot_preview1";
/// WASI's C library asks for at most 256 bytes at a time.
const MAX_RANDOM: u32 = 64 << 10;
/// Subscriptions one `poll_oneoff` may name.
const MAX_SUBSCRIPTIONS: u32 = 64;

/// Splits the caller into guest memory and host data, runs `f`, and answers its error number.
fn call(
    caller: &mut Caller<'_, Host>,
    f: impl FnOnce(&mut Guest<'_>, &mut Host) -> Result<()>,
) -> wasmtime::Result<i32> {
    let Some(memory) = caller.data().memory else {
        return Ok(Errno::Fault as i32);
    };
    let (bytes, host) = memory.data_and_store_mut(caller);
    let mut guest = Guest::new(bytes);
    let result = f(&mut guest, host);
    let looked_at = std::mem::take(&mut host.state.tree.looked_at);
    host.work(CALL_COST + guest.moved + looked_at * LOOK_COST)?;
    Ok(match result {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    })
}

/// What a call that moves nothing is taken to cost, in bytes moved.
const CALL_COST: u64 = 256;
/// What a name that the host is asked for is taken to cost.
const LOOK_COST: u64 = 4096;

/// Defines one call: its name, its parameters as wasm has them, and what serves it.
macro_rules! define {
    ($linker:ident, $( $name:literal ( $($arg:ident : $ty:ty),* ) => $serve:expr; )*) => {
        $( $linker.func_wrap(MODULE, $name, |mut caller: Caller<'_, Host>, $($arg: $ty),*| -> wasmtime::Result<i32> {
            call(&mut caller, |m, h| {
                let serve: fn(&mut Guest, &mut Host, $($ty),*) -> Result<()> = $serve;
                serve(m, h, $($arg),*)
            })
        })?; )*
    };
}

/// Adds all of it to `linker`.
pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    define! { linker,
        "fd_advise"(fd: u32, offset: u64, len: u64, advice: u32) => |m, h, fd, _, _, _| files::advise(m, h, fd);
        "fd_close"(fd: u32) => files::close;
        "fd_datasync"(fd: u32) => files::sync;
        "fd_sync"(fd: u32) => files::sync;
        "fd_fdstat_get"(fd: u32, out: u32) => stat::fdstat_get;
        "fd_fdstat_set_flags"(fd: u32, flags: u32) => stat::fdstat_set_flags;
        "fd_filestat_get"(fd: u32, out: u32) => stat::filestat_get;
        "fd_filestat_set_size"(fd: u32, size: u64) => stat::filestat_set_size;
        "fd_filestat_set_times"(fd: u32, atim: u64, mtim: u64, flags: u32) => stat::filestat_set_times;
        "fd_pread"(fd: u32, iovs: u32, n: u32, at: u64, out: u32) => files::pread;
        "fd_prestat_get"(fd: u32, out: u32) => stat::prestat_get;
        "fd_prestat_dir_name"(fd: u32, out: u32, len: u32) => stat::prestat_dir_name;
        "fd_pwrite"(fd: u32, iovs: u32, n: u32, at: u64, out: u32) => files::pwrite;
        "fd_readdir"(fd: u32, buf: u32, len: u32, cookie: u64, out: u32) => files::readdir;
        "fd_seek"(fd: u32, delta: i64, whence: u32, out: u32) => files::seek;
        "fd_tell"(fd: u32, out: u32) => files::tell;
        "fd_write"(fd: u32, iovs: u32, n: u32, out: u32) => files::write;
        "path_create_directory"(fd: u32, p: u32, n: u32) => path::create_directory;
        "path_filestat_get"(fd: u32, flags: u32, p: u32, n: u32, out: u32) =>
            |m, h, fd, flags, p, n, out| path::filestat_get(m, h, fd, flags, (p, n), out);
        "path_filestat_set_times"(fd: u32, lookup: u32, p: u32, n: u32, atim: u64, mtim: u64, flags: u32) =>
            |m, h, fd, lookup, p, n, atim, mtim, flags| path::filestat_set_times(m, h, fd, lookup, (p, n), (atim, mtim), flags);
        "path_link"(old_fd: u32, flags: u32, old: u32, old_n: u32, new_fd: u32, new: u32, new_n: u32) =>
            |m, h, old_fd, flags, old, old_n, new_fd, new, new_n| path::link(m, h, (old_fd, flags, old, old_n), (new_fd, new, new_n));
        "path_open"(fd: u32, lookup: u32, p: u32, n: u32, oflags: u32, rights: u64, inherit: u64, fdflags: u32, out: u32) =>
            |m, h, fd, lookup, p, n, oflags, rights, _, fdflags, out| {
                path::open(m, h, fd, lookup, (p, n), &path::OpenArgs { oflags, rights, fdflags }, out)
            };
        "path_readlink"(fd: u32, p: u32, n: u32, buf: u32, len: u32, out: u32) =>
            |m, h, fd, p, n, buf, len, out| path::readlink(m, h, fd, (p, n), (buf, len), out);
        "path_remove_directory"(fd: u32, p: u32, n: u32) => path::remove_directory;
        "path_rename"(old_fd: u32, old: u32, old_n: u32, new_fd: u32, new: u32, new_n: u32) =>
            |m, h, old_fd, old, old_n, new_fd, new, new_n| path::rename(m, h, (old_fd, old, old_n), (new_fd, new, new_n));
        "path_symlink"(target: u32, target_n: u32, fd: u32, p: u32, n: u32) =>
            |m, h, target, target_n, fd, p, n| path::symlink(m, h, (target, target_n), fd, (p, n));
        "path_unlink_file"(fd: u32, p: u32, n: u32) => path::unlink_file;
        "args_get"(argv: u32, buf: u32) => |m, _, argv, buf| {
            m.write_u32(argv, buf)?;
            m.write(buf, ARGV0)
        };
        "args_sizes_get"(count: u32, size: u32) => |m, _, count, size| {
            m.write_u32(count, 1)?;
            m.write_u32(size, ARGV0.len() as u32)
        };
        "environ_get"(env: u32, buf: u32) => environ_get;
        "environ_sizes_get"(count: u32, size: u32) => |m, _, count, size| {
            m.write_u32(count, ENVIRON.len() as u32)?;
            m.write_u32(size, ENVIRON.iter().map(|e| e.len() as u32 + 1).sum())
        };
        "clock_res_get"(id: u32, out: u32) => |m, _, _, out| m.write_u64(out, clock::RESOLUTION_NS);
        "clock_time_get"(id: u32, precision: u64, out: u32) => |m, h, id, _, out| {
            let now = if id == 0 { h.realtime() } else { h.monotonic() };
            m.write_u64(out, now)
        };
        "random_get"(buf: u32, len: u32) => |m, h, buf, len| {
            if len > MAX_RANDOM {
                return Err(Errno::Inval);
            }
            h.state.rng.fill_bytes(m.slice_mut(buf, len)?);
            Ok(())
        };
        "sched_yield"() => |_, _| Ok(());
        "sock_accept"(fd: u32, flags: u32, out: u32) => |_, _, _, _, _| Err(Errno::Notsock);
        "sock_recv"(fd: u32, iovs: u32, n: u32, flags: u32, out: u32, oflags: u32) => |_, _, _, _, _, _, _, _| Err(Errno::Notsock);
        "sock_send"(fd: u32, iovs: u32, n: u32, flags: u32, out: u32) => |_, _, _, _, _, _, _| Err(Errno::Notsock);
        "sock_shutdown"(fd: u32, how: u32) => |_, _, _, _| Err(Errno::Notsock);
    }
    linker.func_wrap(
        MODULE,
        "proc_exit",
        |_: Caller<'_, Host>, code: i32| -> wasmtime::Result<()> { Err(ProcessExit(code).into()) },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, Host>, (fd, iovs, n, out): (u32, u32, u32, u32)| {
            Box::new(async move {
                let host = caller.data();
                // Only stdin can make a reader wait.
                let typed = match host.state.fds.get(fd) {
                    Ok(fds::Fd::Stdin) => {
                        let (stdin, at) = (host.state.stdin.clone(), host.state.stdin_read);
                        let live = async {
                            let bytes = stdin.read(at, files::MAX_STDIN).await;
                            bytes.map(Bytes)
                        };
                        Some(tape::told_later(|| Call::Stdin { at }, live).await?)
                    }
                    _ => None,
                };
                call(&mut caller, |m, h| match typed {
                    Some(Some(Bytes(bytes))) => files::read_stdin(m, h, &bytes, (iovs, n), out),
                    Some(None) => Err(Errno::Fbig),
                    None => files::read(m, h, fd, iovs, n, out),
                })
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, Host>, (subs, events, n, out): (u32, u32, u32, u32)| {
            Box::new(async move {
                let mut wait = Duration::ZERO;
                let errno = call(&mut caller, |m, h| {
                    wait = poll(m, h, subs, events, n, out)?;
                    Ok(())
                });
                if !wait.is_zero() && !tape::is_replaying() {
                    tokio::time::sleep(wait).await;
                }
                errno
            })
        },
    )?;
    Ok(())
}

const ARGV0: &[u8] = b"python\0";
/// The whole environment: nothing is taken from the host's.
const ENVIRON: [&str; 6] = [
    "HOME=/home/user",
    "PWD=/home/user",
    "TMPDIR=/tmp",
    "MPLCONFIGDIR=/tmp/matplotlib",
    "PYTHONUNBUFFERED=1",
    "PYTHONDONTWRITEBYTECODE=1",
];

fn environ_get(m: &mut Guest, _: &mut Host, env: u32, buf: u32) -> Result<()> {
    let (mut slot, mut at) = (env, buf);
    for entry in ENVIRON {
        m.write_u32(slot, at)?;
        m.write(at, entry.as_bytes())?;
        m.write(at.wrapping_add(entry.len() as u32), &[0])?;
        slot = slot.wrapping_add(4);
        at = at.wrapping_add(entry.len() as u32 + 1);
    }
    Ok(())
}

/// Serves a poll: descriptors are always ready; with none of them, the soonest clock decides how
/// long to wait. The turn's wall time bounds the wait, whatever the guest asks for.
fn poll(m: &mut Guest, h: &Host, subs: u32, events: u32, n: u32, out: u32) -> Result<Duration> {
    if n == 0 || n > MAX_SUBSCRIPTIONS {
        return Err(Errno::Inval);
    }
    // (userdata, type, ready after)
    let mut asked = Vec::with_capacity(n as usize);
    for i in 0..n {
        let sub = subs.wrapping_add(i * 48);
        let userdata = m.read_u64(sub)?;
        let kind = m.slice(sub.wrapping_add(8), 1)?[0];
        let after = match kind {
            0 => {
                let id = m.read_u32(sub.wrapping_add(16))?;
                let timeout = m.read_u64(sub.wrapping_add(24))?;
                let absolute = m.read_u32(sub.wrapping_add(40))? & 1 != 0;
                let now = if id == 0 { h.realtime() } else { h.monotonic() };
                Duration::from_nanos(if absolute {
                    timeout.saturating_sub(now)
                } else {
                    timeout
                })
            }
            1 | 2 => Duration::ZERO,
            _ => return Err(Errno::Inval),
        };
        asked.push((userdata, kind, after));
    }
    let wait = asked.iter().map(|a| a.2).min().unwrap_or_default();
    let mut count = 0;
    for (userdata, kind, _) in asked.iter().filter(|a| a.2 <= wait) {
        let mut event = [0; 32];
        event[0..8].copy_from_slice(&userdata.to_le_bytes());
        event[10] = *kind;
        m.write(events.wrapping_add(count * 32), &event)?;
        count += 1;
    }
    m.write_u32(out, count)?;
    // Long enough for any limit, short enough for the timer.
    Ok(wait.min(Duration::from_secs(86_400)))
}
