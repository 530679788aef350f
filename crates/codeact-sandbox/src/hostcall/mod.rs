//! Host calls: the only import besides WASI, `host.call`, and its dispatcher.
//!
//! Security boundary: every frame is untrusted. The guest's runner fetches its turn and reports the turn's end with JSON
//! frames. The size of a frame is checked before it is read, and calls and bytes are counted. The answer to a refused
//! request is `{"error": …}`, which the guest raises as a Python exception; the turn goes on.
//!
//! `frames` has the common parts of frames; `turn_frames` are those that begin and end a turn; `state` is the state
//! during one turn; `services` are the functions and handlers of the host; `tool_calls` serves requests for tools;
//! `pending_calls` are the calls that run concurrently with the code; `bundles` are what a rich turn shows; `scrypt` derives keys; `isolated` contains panics of tools;
//! `call_summary` makes the event of a call; `user_input` serves requests for user input.

mod bundles;
mod call_summary;
mod frames;
mod isolated;
mod pending_calls;
mod scrypt;
mod services;
mod state;
mod tool_calls;
mod turn_frames;
mod user_input;

pub(crate) use services::HostServices;
pub(crate) use state::HostCalls;
pub(crate) use turn_frames::{TurnEnd, TurnFrame};

use serde_json::json;
use wasmtime::{Caller, Linker, TypedFunc};

use crate::types::errno::Errno;
use crate::wasi::{GuestState, WasiCtx, WasiView, charge_fuel};
use frames::{MAX_FRAME, json_bytes, refusal};
use scrypt::{Mix, SCRYPT};
use state::DUP;
use tool_calls::TOOLS;
use user_input::ASK;

/// Result of `host.call` if there is an answer.
const ANSWERED: i32 = 0;
/// Result of `host.call` if its arguments are invalid.
const FAULT: i32 = -2;

/// The part of a store's data that host calls need.
pub(crate) trait HostCallView: WasiView {
    /// Returns the allocator of the guest for answers; `None` until the instance exists.
    fn alloc(&self) -> Option<TypedFunc<u32, u32>>;
    /// Returns the state of the host calls and of the WASI calls.
    fn host_calls(&mut self) -> (&mut HostCalls, &mut WasiCtx);
}

/// Duplicates the descriptor in `rest`, a frame without its prefix: `FD}`, or `FD,"to":NUMBER}`. WASI has no call for it.
fn dup(state: &mut GuestState, rest: &[u8]) -> Option<Vec<u8>> {
    let numbers = std::str::from_utf8(rest.strip_suffix(b"}")?).ok()?;
    let (fd, to) = match numbers.split_once(",\"to\":") {
        Some((fd, to)) => (fd.parse(), Some(to.parse())),
        None => (numbers.parse(), None),
    };
    let copied = match (fd, to) {
        (Ok(fd), None) => state.fds.dup(fd, &mut state.tree),
        (Ok(fd), Some(Ok(to))) => state.fds.dup_to(fd, to, &mut state.tree),
        _ => Err(Errno::Badf),
    };
    let answer = match copied {
        Ok(fd) => json!({ "fd": fd }),
        Err(errno) => json!({ "errno": errno as i32 }),
    };
    Some(json_bytes(&answer))
}

/// Cost of a call, in bytes moved.
const CALL_COST: u64 = 4096;

/// Adds `host.call`.
pub(crate) fn add_to_linker<T: HostCallView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        "host",
        "call",
        |mut caller: Caller<'_, T>, (ptr, len, out_ptr, out_len): (u32, u32, u32, u32)| {
            Box::new(async move { call(&mut caller, ptr, len, out_ptr, out_len).await })
        },
    )?;
    Ok(())
}

async fn call<T: HostCallView>(
    caller: &mut Caller<'_, T>,
    ptr: u32,
    len: u32,
    out_ptr: u32,
    out_len: u32,
) -> wasmtime::Result<i32> {
    let data = caller.data();
    let (Some(memory), Some(alloc)) = (data.memory(), data.alloc()) else {
        return Ok(FAULT);
    };
    let (bytes, data) = memory.data_and_store_mut(&mut *caller);
    let (calls, wasi) = data.host_calls();
    let start = ptr as usize;
    let frame = match len {
        0..=MAX_FRAME => bytes.get(start..start + len as usize),
        _ => None,
    };
    let external = frame.filter(|frame| frame.starts_with(ASK) || frame.starts_with(TOOLS));
    let answer = if let Some(frame) = external {
        calls.calls += 1;
        calls.bytes += u64::from(len);
        let answer = match (calls.has_budget(), frame.strip_prefix(ASK)) {
            (false, _) => calls.refuse(),
            (true, Some(question)) => user_input::ask(calls, &wasi.watch, question).await?,
            (true, None) => tool_calls::serve(calls, &wasi.watch, frame).await?,
        };
        calls.bytes += answer.len() as u64;
        let work = CALL_COST + u64::from(len) + answer.len() as u64;
        let stop = wasi.charge_work(work);
        charge_fuel(caller, work);
        stop?;
        answer
    } else if len > MAX_FRAME {
        calls.calls += 1;
        refusal(&format!(
            "a request to the host may have {MAX_FRAME} bytes, this one has {len}"
        ))
    } else {
        let Some(frame) = frame else {
            return Ok(FAULT);
        };
        let answer = if let Some(fd) = frame.strip_prefix(DUP) {
            calls.counted(frame, |calls| {
                calls.has_budget().then(|| dup(&mut wasi.state, fd))?
            })
        } else if frame.starts_with(SCRYPT) {
            let mix = Mix::read(frame);
            wasi.charge_work(mix.as_ref().map_or(0, Mix::work))?;
            calls.counted(frame, |calls| {
                let run = || mix.map_or_else(|refused| refused, Mix::run);
                calls.has_budget().then(run)
            })
        } else {
            calls.serve(frame)
        };
        // Parsing JSON costs more than copying bytes.
        let work = CALL_COST + 16 * u64::from(len);
        let stop = wasi.charge_work(work);
        charge_fuel(caller, work);
        stop?;
        answer
    };
    let answer_len = u32::try_from(answer.len()).unwrap_or(u32::MAX);
    let at = alloc.call_async(&mut *caller, answer_len).await?;
    let bytes = memory.data_mut(&mut *caller);
    let write = |bytes: &mut [u8], at: u32, source: &[u8]| -> Option<()> {
        let at = at as usize;
        (bytes.get_mut(at..at + source.len())?).copy_from_slice(source);
        Some(())
    };
    if at == 0
        || write(bytes, at, &answer).is_none()
        || write(bytes, out_ptr, &at.to_le_bytes()).is_none()
        || write(bytes, out_len, &answer_len.to_le_bytes()).is_none()
    {
        return Ok(FAULT);
    }
    Ok(ANSWERED)
}
