//! The door: the one import besides WASI, `host.call`, and its one dispatcher.
//!
//! The guest's runner fetches its turn and reports the turn's end through it, as JSON frames. A
//! frame's size is checked before a byte of it is read; calls and bytes are counted and bounded.
//! A request that is refused is answered with `{"error": …}`, which the guest raises as a Python
//! exception: the run goes on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wasmtime::{Caller, Linker};

use super::execution::Exception;
use super::host::Host;
use super::limits::Limits;

/// The largest frame either side may send, in bytes.
const MAX_FRAME: u32 = 32 << 20;

/// `host.call` answered.
const ANSWERED: i32 = 0;
/// `host.call` found a fault in the call itself.
const FAULT: i32 = -2;

/// What the guest may ask.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
enum Request {
    /// The modules and the warm list, while the base image is made.
    Boot,
    /// The turn to run.
    Begin,
    /// The turn's end.
    End(Box<TurnEnd>),
}

/// A turn, as the guest's runner gets it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TurnRequest {
    #[serde(serialize_with = "as_str")]
    pub(crate) code: Arc<str>,
    /// The file name in tracebacks, e.g. `<turn 3>`.
    pub(crate) name: String,
    /// `sys.argv`, set when given.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) argv: Vec<String>,
    /// Added to `os.environ`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<(String, String)>,
    /// Names bound to strings before the code runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) bind: Vec<(String, String)>,
    /// The session's first turn: seed what is seeded.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) first: bool,
    /// Nothing follows: run what `atexit` has registered.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) last: bool,
    /// Offer `final_answer`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) agent: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn as_str<S: serde::Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// How a turn ended, as the guest tells it. All of it is the guest's word: data, never trusted.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TurnEnd {
    /// The final expression's `repr`.
    #[serde(default)]
    pub(crate) result: Option<String>,
    /// The uncaught exception.
    #[serde(default)]
    pub(crate) error: Option<Exception>,
    /// The status given to `sys.exit`.
    #[serde(default)]
    pub(crate) exit: Option<i64>,
    /// Whether `final_answer` was called, and its value.
    #[serde(default)]
    pub(crate) answer: Option<Answer>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) value: serde_json::Value,
}

/// The door's state during one turn.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// The boot frame or the turn, serialised; taken by the first `begin` or `boot`.
    pub(crate) pending: Option<Vec<u8>>,
    pub(crate) ended: Option<TurnEnd>,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    max_calls: u64,
    max_bytes: u64,
}

impl Door {
    pub(crate) fn new(limits: &Limits, pending: Vec<u8>) -> Self {
        Self {
            pending: Some(pending),
            max_calls: limits.door_calls,
            max_bytes: limits.door_bytes,
            ..Self::default()
        }
    }

    /// Serves one frame.
    fn serve(&mut self, frame: &[u8]) -> Vec<u8> {
        self.calls += 1;
        self.bytes += frame.len() as u64;
        // The runner's own two calls are part of every turn and always pass, once each.
        let parsed = (frame.len() as u64 <= self.max_bytes || self.ended.is_none())
            .then(|| serde_json::from_slice::<Request>(frame));
        let answer = match parsed {
            Some(Ok(Request::Boot | Request::Begin)) if self.pending.is_some() => {
                self.pending.take().unwrap_or_default()
            }
            Some(Ok(Request::End(end))) if self.ended.is_none() => {
                self.ended = Some(*end);
                b"{}".to_vec()
            }
            _ if self.calls > self.max_calls => refusal(&format!(
                "this turn's limit of {} calls to the host is used up",
                self.max_calls
            )),
            _ if self.bytes > self.max_bytes => refusal(&format!(
                "this turn's limit of {} bytes in calls to the host is used up",
                self.max_bytes
            )),
            Some(Err(e)) => refusal(&format!("the host cannot read this request: {e}")),
            _ => refusal("the host has nothing for this request"),
        };
        self.bytes += answer.len() as u64;
        answer
    }
}

fn refusal(why: &str) -> Vec<u8> {
    serde_json::json!({ "error": why }).to_string().into_bytes()
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
    let answer = if len > MAX_FRAME {
        host.door.calls += 1;
        refusal(&format!(
            "a request to the host may have {MAX_FRAME} bytes, this one has {len}"
        ))
    } else {
        let Some(frame) = bytes.get(start..start + len as usize) else {
            return Ok(FAULT);
        };
        let answer = host.door.serve(frame);
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
