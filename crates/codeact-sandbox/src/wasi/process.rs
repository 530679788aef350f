//! Arguments and environment of the guest's process.

use crate::types::errno::Result;
use crate::wasi::abi::GuestMemory;
use crate::wasi::ctx::WasiCtx;

pub(super) const ARGS: [&str; 1] = ["python"];
/// The whole environment. No variable comes from the host.
pub(super) const ENVIRON: [&str; 6] = [
    "HOME=/home/user",
    "PWD=/home/user",
    "TMPDIR=/tmp",
    "MPLCONFIGDIR=/tmp/matplotlib",
    "PYTHONUNBUFFERED=1",
    "PYTHONDONTWRITEBYTECODE=1",
];

pub(super) fn args_get(
    memory: &mut GuestMemory,
    _: &mut WasiCtx,
    argv: u32,
    buf: u32,
) -> Result<()> {
    write_strings(memory, &ARGS, argv, buf)
}

pub(super) fn args_sizes_get(
    memory: &mut GuestMemory,
    _: &mut WasiCtx,
    count: u32,
    size: u32,
) -> Result<()> {
    write_sizes(memory, &ARGS, count, size)
}

pub(super) fn environ_get(
    memory: &mut GuestMemory,
    _: &mut WasiCtx,
    environ: u32,
    buf: u32,
) -> Result<()> {
    write_strings(memory, &ENVIRON, environ, buf)
}

pub(super) fn environ_sizes_get(
    memory: &mut GuestMemory,
    _: &mut WasiCtx,
    count: u32,
    size: u32,
) -> Result<()> {
    write_sizes(memory, &ENVIRON, count, size)
}

/// Writes `strings`, each with a NUL after it, to `buf`, and a pointer to each to `pointers`.
fn write_strings(
    memory: &mut GuestMemory,
    strings: &[&str],
    pointers: u32,
    buf: u32,
) -> Result<()> {
    let (mut slot, mut at) = (pointers, buf);
    for string in strings {
        let len = string.len() as u32;
        memory.write_u32(slot, at)?;
        memory.write(at, string.as_bytes())?;
        memory.write(at.wrapping_add(len), &[0])?;
        slot = slot.wrapping_add(4);
        at = at.wrapping_add(len + 1);
    }
    Ok(())
}

/// Writes the number of `strings`, and the bytes that they take with a NUL after each.
fn write_sizes(memory: &mut GuestMemory, strings: &[&str], count: u32, size: u32) -> Result<()> {
    memory.write_u32(count, strings.len() as u32)?;
    memory.write_u32(size, strings.iter().map(|s| s.len() as u32 + 1).sum())
}
