//! WASI preview 1, as far as the pack imports it, served from the file tree in memory.
//!
//! It is an own implementation because a session between turns must be data: descriptors, files, clocks and random
//! state are plain values that a checkpoint copies, and none of them belongs to the host. `differential` compares it
//! with `wasmtime-wasi`.
//!
//! `abi` validates pointers, and `preview1` has the constants of the specification. `files`, `stat`, `path`, `time`
//! and `process` are the calls. `fds` is the descriptor table, `fds_data` its form in a snapshot, and `ctx` the
//! state of all calls. This file adds them to a linker.

mod abi;
mod clock;
mod ctx;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod differential;
mod fds;
mod fds_data;
mod files;
mod path;
mod preview1;
mod process;
mod stat;
mod time;

pub(crate) use clock::Clock;
pub(crate) use ctx::{GuestState, ProcessExit, WasiCtx, WasiView, charge_fuel};
pub(crate) use fds::Fds;
pub(crate) use fds_data::FdData;

use std::time::Duration;

use rand_chacha::rand_core::Rng;
use wasmtime::{Caller, Linker};

use crate::journal;
use crate::journal::Call;
use crate::types::bytes::Bytes;
use crate::types::errno::{Errno, Result};
use abi::GuestMemory;
use preview1::MODULE;

/// Maximum length of one `random_get`, in bytes. WASI's C library requests at most 256 bytes at a time.
const MAX_RANDOM_BYTES: u32 = 64 << 10;
/// Cost of a call that moves nothing, in bytes moved.
const CALL_COST: u64 = 256;
/// Cost of looking up one name on the host, in bytes moved.
const HOST_LOOKUP_COST: u64 = 4096;

/// Runs `f` with the guest's memory and the host's state, charges its work, and returns its error number.
fn call<T: WasiView>(
    caller: &mut Caller<'_, T>,
    f: impl FnOnce(&mut GuestMemory<'_>, &mut WasiCtx) -> Result<()>,
) -> wasmtime::Result<i32> {
    let Some(memory) = caller.data().memory() else {
        return Ok(Errno::Fault as i32);
    };
    let (bytes, data) = memory.data_and_store_mut(&mut *caller);
    let ctx = data.wasi();
    let mut memory = GuestMemory::new(bytes);
    let result = f(&mut memory, ctx);
    let host_lookups = std::mem::take(&mut ctx.state.tree.host_lookups);
    let work = CALL_COST + memory.work;
    let stop = ctx.charge_work(work + host_lookups * HOST_LOOKUP_COST);
    // Before the turn can be stopped, so that a replay is stopped at the same fuel.
    charge_fuel(caller, work);
    stop?;
    Ok(match result {
        Ok(()) => 0,
        Err(errno) => errno as i32,
    })
}

/// Adds calls to a linker. Each has its name, its parameters with their WebAssembly types, and the function that serves
/// it.
macro_rules! define {
    ($linker:ident, $( $name:literal ( $($arg:ident : $ty:ty),* ) => $serve:expr; )*) => {
        $( $linker.func_wrap(MODULE, $name, |mut caller: Caller<'_, T>, $($arg: $ty),*| -> wasmtime::Result<i32> {
            call(&mut caller, |memory, ctx| {
                let serve: fn(&mut GuestMemory, &mut WasiCtx, $($ty),*) -> Result<()> = $serve;
                serve(memory, ctx, $($arg),*)
            })
        })?; )*
    };
}

/// Adds all calls to `linker`.
pub(crate) fn add_to_linker<T: WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    define! { linker,
        "fd_advise"(fd: u32, offset: u64, len: u64, advice: u32) => |memory, ctx, fd, _, _, _| files::advise(memory, ctx, fd);
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
            |memory, ctx, fd, flags, p, n, out| path::filestat_get(memory, ctx, fd, flags, (p, n), out);
        "path_filestat_set_times"(fd: u32, lookup: u32, p: u32, n: u32, atim: u64, mtim: u64, flags: u32) =>
            |memory, ctx, fd, lookup, p, n, atim, mtim, flags| path::filestat_set_times(memory, ctx, fd, lookup, (p, n), (atim, mtim), flags);
        "path_link"(old_fd: u32, flags: u32, old: u32, old_n: u32, new_fd: u32, new: u32, new_n: u32) =>
            |memory, ctx, old_fd, flags, old, old_n, new_fd, new, new_n| path::link(memory, ctx, (old_fd, flags, old, old_n), (new_fd, new, new_n));
        "path_open"(fd: u32, lookup: u32, p: u32, n: u32, oflags: u32, rights: u64, inherit: u64, fdflags: u32, out: u32) =>
            |memory, ctx, fd, lookup, p, n, oflags, rights, _, fdflags, out| {
                path::open(memory, ctx, fd, lookup, (p, n), &path::OpenArgs { oflags, rights, fdflags }, out)
            };
        "path_readlink"(fd: u32, p: u32, n: u32, buf: u32, len: u32, out: u32) =>
            |memory, ctx, fd, p, n, buf, len, out| path::readlink(memory, ctx, fd, (p, n), (buf, len), out);
        "path_remove_directory"(fd: u32, p: u32, n: u32) => path::remove_directory;
        "path_rename"(old_fd: u32, old: u32, old_n: u32, new_fd: u32, new: u32, new_n: u32) =>
            |memory, ctx, old_fd, old, old_n, new_fd, new, new_n| path::rename(memory, ctx, (old_fd, old, old_n), (new_fd, new, new_n));
        "path_symlink"(target: u32, target_n: u32, fd: u32, p: u32, n: u32) =>
            |memory, ctx, target, target_n, fd, p, n| path::symlink(memory, ctx, (target, target_n), fd, (p, n));
        "path_unlink_file"(fd: u32, p: u32, n: u32) => path::unlink_file;
        "args_get"(argv: u32, buf: u32) => process::args_get;
        "args_sizes_get"(count: u32, size: u32) => process::args_sizes_get;
        "environ_get"(environ: u32, buf: u32) => process::environ_get;
        "environ_sizes_get"(count: u32, size: u32) => process::environ_sizes_get;
        "clock_res_get"(id: u32, out: u32) => time::clock_res_get;
        "clock_time_get"(id: u32, precision: u64, out: u32) => |memory, ctx, id, _, out| time::clock_time_get(memory, ctx, id, out);
        "random_get"(buf: u32, len: u32) => |memory, ctx, buf, len| {
            if len > MAX_RANDOM_BYTES {
                return Err(Errno::Inval);
            }
            ctx.state.rng.fill_bytes(memory.slice_mut(buf, len)?);
            Ok(())
        };
        "sched_yield"() => |_, _| Ok(());
        "sock_accept"(fd: u32, flags: u32, out: u32) => |_, ctx, fd, _, _| not_a_socket(ctx, fd);
        "sock_recv"(fd: u32, iovs: u32, n: u32, flags: u32, out: u32, oflags: u32) => |_, ctx, fd, _, _, _, _, _| not_a_socket(ctx, fd);
        "sock_send"(fd: u32, iovs: u32, n: u32, flags: u32, out: u32) => |_, ctx, fd, _, _, _, _| not_a_socket(ctx, fd);
        "sock_shutdown"(fd: u32, how: u32) => |_, ctx, fd, _| not_a_socket(ctx, fd);
    }
    linker.func_wrap(
        MODULE,
        "proc_exit",
        |_: Caller<'_, T>, code: i32| -> wasmtime::Result<()> { Err(ProcessExit(code).into()) },
    )?;
    linker.func_wrap_async(
        MODULE,
        "fd_read",
        |mut caller: Caller<'_, T>, (fd, iovs, n, out): (u32, u32, u32, u32)| {
            Box::new(async move {
                let ctx = caller.data_mut().wasi();
                // Only a read from stdin can wait.
                let input = match ctx.state.fds.get(fd) {
                    Ok(fds::Fd::Stdin) => {
                        let (stdin, at) = (ctx.state.stdin.clone(), ctx.state.stdin_read);
                        let live = async {
                            let bytes = stdin.read(at, files::MAX_STDIN_BYTES).await;
                            bytes.map(Bytes)
                        };
                        Some(journal::record_or_replay_async(|| Call::Stdin { at }, live).await?)
                    }
                    _ => None,
                };
                call(&mut caller, |memory, ctx| match input {
                    Some(Some(Bytes(bytes))) => {
                        files::read_stdin(memory, ctx, &bytes, (iovs, n), out)
                    }
                    Some(None) => Err(Errno::Fbig),
                    None => files::read(memory, ctx, fd, iovs, n, out),
                })
            })
        },
    )?;
    linker.func_wrap_async(
        MODULE,
        "poll_oneoff",
        |mut caller: Caller<'_, T>, (subscriptions, events, n, out): (u32, u32, u32, u32)| {
            Box::new(async move {
                let mut wait = Duration::ZERO;
                let errno = call(&mut caller, |memory, ctx| {
                    wait = time::poll_oneoff(memory, ctx, subscriptions, events, n, out)?;
                    Ok(())
                });
                if !wait.is_zero() && !journal::is_replaying() {
                    tokio::time::sleep(wait).await;
                }
                errno
            })
        },
    )?;
    Ok(())
}

/// Returns the error of a call for sockets: there are none.
fn not_a_socket(ctx: &WasiCtx, fd: u32) -> Result<()> {
    ctx.state.fds.get(fd)?;
    Err(Errno::Notsock)
}
