//! The door: the one import besides WASI, `host.call`, and its one dispatcher.
//!
//! The guest's runner fetches its turn and reports the turn's end through it, as JSON frames. A
//! frame's size is checked before a byte of it is read; calls and bytes are counted and bounded.
//! A request that is refused is answered with `{"error": …}`, which the guest raises as a Python
//! exception: the run goes on. `turn` has the frames of a turn's begin and end, `outside` those of tools
//! (`flights` are the calls that go on beside the code, `contained` keeps a tool's panics from it, `told` is
//! what an event tells), `people` those that ask somebody.

mod contained;
mod flights;
mod outside;
mod people;
mod told;
mod turn;

pub(crate) use outside::Outside;
pub(crate) use turn::{TurnEnd, TurnRequest};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use wasmtime::{Caller, Linker};

use super::display::Display;
use super::host::{GuestState, Host};
use super::limits::Limits;
use super::wasi::Errno;
use outside::TOOLS;
use people::ASK;

/// The largest frame either side may send, in bytes.
const MAX_FRAME: u32 = 32 << 20;

/// `host.call` answered.
const ANSWERED: i32 = 0;
/// `host.call` found a fault in the call itself.
const FAULT: i32 = -2;

/// What the guest may ask: for the modules and the warm list while the base image is made, for its
/// turn, and to be heard about the turn's end. The first two are these bytes; the third begins so.
const BOOT: &[u8] = br#"{"op":"boot"}"#;
const BEGIN: &[u8] = br#"{"op":"begin"}"#;
const END: &[u8] = br#"{"op":"end""#;
/// Something to show: a picture, or a rich form of a value.
const DISPLAY: &[u8] = br#"{"op":"display""#;
/// Followed by a descriptor and `}`.
const DUP: &[u8] = br#"{"op":"dup","fd":"#;

/// The most displays of a turn.
const MAX_DISPLAYS: usize = 100;

#[derive(Deserialize)]
struct DisplayFrame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    mime: &'a str,
    data: &'a str,
}

/// The door's state during one turn.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// The boot frame or the turn, serialised; taken by the first `begin` or `boot`.
    pub(crate) pending: Option<Vec<u8>>,
    pub(crate) ended: Option<TurnEnd>,
    pub(crate) displays: Vec<Display>,
    pub(crate) outside: Outside,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    max_calls: u64,
    max_bytes: u64,
}

impl Door {
    pub(crate) fn new(limits: &Limits, pending: Vec<u8>, outside: Outside) -> Self {
        Self {
            pending: Some(pending),
            outside,
            max_calls: limits.door_calls,
            max_bytes: limits.door_bytes,
            ..Self::default()
        }
    }

    /// Serves one frame.
    fn serve(&mut self, frame: &[u8]) -> Vec<u8> {
        self.counted(frame, |door| door.answer(frame))
    }

    /// Counts a frame and its answer. Without an answer it is refused.
    fn counted(
        &mut self,
        frame: &[u8],
        answer: impl FnOnce(&mut Self) -> Option<Vec<u8>>,
    ) -> Vec<u8> {
        self.calls += 1;
        self.bytes += frame.len() as u64;
        let answer = answer(self).unwrap_or_else(|| self.refuse());
        self.bytes += answer.len() as u64;
        answer
    }

    fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        // The runner's own two calls are part of every turn and always pass, once each.
        if frame == BEGIN || frame == BOOT {
            self.pending.take()
        } else if self.ended.is_none() && frame.starts_with(END) {
            Some(match TurnEnd::read(frame) {
                Ok(end) => {
                    self.ended = Some(end);
                    b"{}".to_vec()
                }
                Err(why) => refusal(&why),
            })
        } else if frame.starts_with(DISPLAY) && self.has_budget() {
            Some(match self.take_display(frame) {
                Ok(()) => b"{}".to_vec(),
                Err(why) => refusal(&why),
            })
        } else {
            None
        }
    }

    fn has_budget(&self) -> bool {
        self.calls <= self.max_calls && self.bytes <= self.max_bytes
    }

    fn take_display(&mut self, frame: &[u8]) -> Result<(), String> {
        let frame: DisplayFrame =
            serde_json::from_slice(frame).map_err(|e| format!("this is no display: {e}"))?;
        let bytes = STANDARD
            .decode(frame.data)
            .map_err(|e| format!("the data is no base64: {e}"))?;
        self.show(frame.mime, bytes)
    }

    /// Adds to what the turn shows.
    fn show(&mut self, mime: &str, bytes: Vec<u8>) -> Result<(), String> {
        if self.displays.len() >= MAX_DISPLAYS {
            return Err(format!("a turn may show {MAX_DISPLAYS} things"));
        }
        let display = Display::new(&self.displays, mime, bytes)?;
        self.displays.push(display);
        Ok(())
    }

    fn refuse(&self) -> Vec<u8> {
        if self.calls > self.max_calls {
            refusal(&format!(
                "this turn's limit of {} calls to the host is used up",
                self.max_calls
            ))
        } else if self.bytes > self.max_bytes {
            refusal(&format!(
                "this turn's limit of {} bytes in calls to the host is used up",
                self.max_bytes
            ))
        } else {
            refusal("the host has nothing for this request")
        }
    }
}

/// A second descriptor for what `rest`, a frame without its beginning, names: the C library has no
/// call for it.
fn dup(state: &mut GuestState, rest: &[u8]) -> Option<Vec<u8>> {
    let fd = std::str::from_utf8(rest.strip_suffix(b"}")?).ok()?;
    let copied = match fd.parse() {
        Ok(fd) => state.fds.dup(fd, &mut state.tree),
        Err(_) => Err(Errno::Badf),
    };
    let answer = match copied {
        Ok(fd) => json!({ "fd": fd }),
        Err(errno) => json!({ "errno": errno as i32 }),
    };
    Some(answer.to_string().into_bytes())
}

fn refusal(why: &str) -> Vec<u8> {
    json!({ "error": why }).to_string().into_bytes()
}

pub(crate) fn add_to_linker(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        "host",
        "call",
        |mut caller: Caller<'_, Host>, (ptr, len, out_ptr, out_len): (u32, u32, u32, u32)| {
            Box::new(async move { call(&mut caller, ptr, len, out_ptr, out_len).await })
        },
    )?;
    Ok(())
}

async fn call(
    caller: &mut Caller<'_, Host>,
    ptr: u32,
    len: u32,
    out_ptr: u32,
    out_len: u32,
) -> wasmtime::Result<i32> {
    let host = caller.data();
    let (Some(memory), Some(alloc)) = (host.memory, host.alloc.clone()) else {
        return Ok(FAULT);
    };
    let (bytes, host) = memory.data_and_store_mut(&mut *caller);
    let start = ptr as usize;
    let frame = match len {
        0..=MAX_FRAME => bytes.get(start..start + len as usize),
        _ => None,
    };
    let outside = frame.filter(|frame| frame.starts_with(ASK) || frame.starts_with(TOOLS));
    let answer = if let Some(frame) = outside {
        host.door.calls += 1;
        host.door.bytes += u64::from(len);
        let answer = match (host.door.has_budget(), frame.strip_prefix(ASK)) {
            (false, _) => host.door.refuse(),
            (true, Some(question)) => people::ask(host, question).await?,
            (true, None) => outside::serve(host, frame).await?,
        };
        host.door.bytes += answer.len() as u64;
        host.work(4096 + u64::from(len) + answer.len() as u64)?;
        answer
    } else if len > MAX_FRAME {
        host.door.calls += 1;
        refusal(&format!(
            "a request to the host may have {MAX_FRAME} bytes, this one has {len}"
        ))
    } else {
        let Some(frame) = frame else {
            return Ok(FAULT);
        };
        let answer = match frame.strip_prefix(DUP) {
            Some(fd) => (host.door).counted(frame, |door| {
                door.has_budget().then(|| dup(&mut host.state, fd))?
            }),
            None => host.door.serve(frame),
        };
        // Reading JSON costs more than copying bytes.
        host.work(4096 + 16 * u64::from(len))?;
        answer
    };
    let answer_len = u32::try_from(answer.len()).unwrap_or(u32::MAX);
    let at = alloc.call_async(&mut *caller, answer_len).await?;
    let bytes = memory.data_mut(&mut *caller);
    let write = |bytes: &mut [u8], at: u32, what: &[u8]| -> Option<()> {
        let at = at as usize;
        bytes.get_mut(at..at + what.len())?.copy_from_slice(what);
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
