//! Calls about time: reading clocks, and waiting for them.

use std::time::Duration;

use crate::types::errno::{Errno, Result};
use crate::wasi::abi::GuestMemory;
use crate::wasi::clock::RESOLUTION_NS;
use crate::wasi::ctx::WasiCtx;
use crate::wasi::preview1::{clockid, event, eventtype, subscription};

/// Maximum number of subscriptions of one call.
const MAX_SUBSCRIPTIONS: u32 = 64;
/// Maximum wait of one call: longer than any limit of wall time, and short enough for the timer.
const MAX_WAIT: Duration = Duration::from_secs(86_400);

pub(super) fn clock_res_get(
    memory: &mut GuestMemory,
    _: &mut WasiCtx,
    id: u32,
    out: u32,
) -> Result<()> {
    check_id(id)?;
    memory.write_u64(out, RESOLUTION_NS)
}

pub(super) fn clock_time_get(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    id: u32,
    out: u32,
) -> Result<()> {
    check_id(id)?;
    let now = match id {
        clockid::REALTIME => ctx.realtime(),
        // CPU time as well: a guest has one thread, and its CPU time is not measured.
        _ => ctx.monotonic(),
    };
    memory.write_u64(out, now)
}

/// # Errors
///
/// Returns [`Errno::Inval`] if preview 1 has no clock `id`.
fn check_id(id: u32) -> Result<()> {
    if id > clockid::THREAD_CPUTIME_ID {
        return Err(Errno::Inval);
    }
    Ok(())
}

/// A subscription of a poll.
struct Subscription {
    userdata: u64,
    eventtype: u8,
    /// Time until the event is ready.
    wait: Duration,
}

/// Writes the events of the subscriptions that are ready first, and returns how long the caller has to wait for them.
///
/// Descriptors are always ready. Without any, the clock with the shortest time-out determines the wait. The wall time
/// of the turn bounds it in any case.
pub(super) fn poll_oneoff(
    memory: &mut GuestMemory,
    ctx: &mut WasiCtx,
    subscriptions: u32,
    events: u32,
    count: u32,
    out: u32,
) -> Result<Duration> {
    if count == 0 || count > MAX_SUBSCRIPTIONS {
        return Err(Errno::Inval);
    }
    let subscriptions = (0..count)
        .map(|i| {
            let at = subscriptions.wrapping_add(i * subscription::SIZE);
            read_subscription(memory, ctx, at)
        })
        .collect::<Result<Vec<_>>>()?;
    let waits = subscriptions.iter().map(|s| s.wait);
    let wait = waits.min().unwrap_or_default();
    let mut ready = 0;
    for subscription in subscriptions.iter().filter(|s| s.wait <= wait) {
        let mut bytes = [0; event::SIZE];
        bytes[event::USERDATA].copy_from_slice(&subscription.userdata.to_le_bytes());
        bytes[event::TYPE] = subscription.eventtype;
        memory.write(events.wrapping_add(ready * event::SIZE as u32), &bytes)?;
        ready += 1;
    }
    memory.write_u32(out, ready)?;
    Ok(wait.min(MAX_WAIT))
}

fn read_subscription(memory: &GuestMemory, ctx: &mut WasiCtx, at: u32) -> Result<Subscription> {
    let eventtype = memory.read_u8(at.wrapping_add(subscription::TAG))?;
    let wait = match eventtype {
        eventtype::CLOCK => {
            let id = memory.read_u32(at.wrapping_add(subscription::CLOCK_ID))?;
            let timeout = memory.read_u64(at.wrapping_add(subscription::CLOCK_TIMEOUT))?;
            let flags = memory.read_u16(at.wrapping_add(subscription::CLOCK_FLAGS))?;
            check_id(id)?;
            let now = match id {
                clockid::REALTIME => ctx.realtime(),
                _ => ctx.monotonic(),
            };
            Duration::from_nanos(if flags & subscription::FLAG_ABSTIME != 0 {
                timeout.saturating_sub(now)
            } else {
                timeout
            })
        }
        eventtype::FD_READ | eventtype::FD_WRITE => {
            let fd = memory.read_u32(at.wrapping_add(subscription::FD))?;
            ctx.state.fds.get(fd)?;
            Duration::ZERO
        }
        _ => return Err(Errno::Inval),
    };
    Ok(Subscription {
        userdata: memory.read_u64(at.wrapping_add(subscription::USERDATA))?,
        eventtype,
        wait,
    })
}
