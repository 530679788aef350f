//! The door: the one import besides WASI, `host.call`, and its one dispatcher.
//!
//! The guest's runner fetches its turn and reports the turn's end through it, as JSON frames. A
//! frame's size is checked before a byte of it is read; calls and bytes are counted and bounded.
//! A request that is refused is answered with `{"error": …}`, which the guest raises as a Python
//! exception: the run goes on.

use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use wasmtime::{Caller, Linker};

use super::display::Display;
use super::execution::Exception;
use super::host::{GuestState, Host};
use super::limits::Limits;
use super::stop::Stop;
use super::tape::{Answers, Reply};
use super::wasi::Errno;

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

/// A question to the world outside.
const ASK: &[u8] = br#"{"op":"ask","request":"#;

/// The most displays of a turn.
const MAX_DISPLAYS: usize = 100;

/// The largest report of a turn's end, in bytes; the runner shortens what it sends to far less.
const MAX_END: usize = 4 << 20;
/// The most values in an answer; the runner sends no more.
const MAX_VALUES: usize = 500_000;

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
    /// The folder of packages beside the pack's own, on the first turn.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "as_str_option"
    )]
    pub(crate) site: Option<Arc<str>>,
    /// Nothing follows: run what `atexit` has registered.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) last: bool,
    /// Tell the variables at the end.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) variables: bool,
    /// Offer `final_answer`.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) agent: bool,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn as_str_option<S: serde::Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

fn as_str<S: serde::Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// How a turn ended, as the guest tells it. All of it is the guest's word: data, never trusted.
#[derive(Debug, Default)]
pub(crate) struct TurnEnd {
    /// The final expression's `repr`.
    pub(crate) result: Option<String>,
    /// The uncaught exception.
    pub(crate) error: Option<Exception>,
    /// The status given to `sys.exit`.
    pub(crate) exit: Option<i64>,
    /// The value given to `final_answer`, if it was called.
    pub(crate) answer: Option<Value>,
    /// Name, type and short form of each variable, where they were asked for.
    pub(crate) variables: Vec<(String, String, String)>,
}

/// The frame that tells it. Fields that are not asked for are skipped without being stored, and
/// an answer is taken apart only after its size is known.
#[derive(Deserialize)]
struct EndFrame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    #[serde(default)]
    result: Option<String>,
    #[serde(default)]
    error: Option<Exception>,
    #[serde(default)]
    exit: Option<i64>,
    #[serde(default, borrow)]
    answer: Option<AnswerFrame<'a>>,
    #[serde(default)]
    variables: Vec<(String, String, String)>,
}

#[derive(Deserialize)]
struct AnswerFrame<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

#[derive(Deserialize)]
struct DisplayFrame<'a> {
    #[serde(rename = "op")]
    _op: IgnoredAny,
    mime: &'a str,
    data: &'a str,
}

impl TurnEnd {
    fn read(frame: &[u8]) -> Result<Self, String> {
        if frame.len() > MAX_END {
            return Err(format!(
                "the turn's result and answer have {} bytes; at most {MAX_END} are taken",
                frame.len()
            ));
        }
        let unreadable = |e| format!("the host cannot read this report: {e}");
        let frame: EndFrame = serde_json::from_slice(frame).map_err(unreadable)?;
        let answer = match frame.answer {
            None => None,
            Some(AnswerFrame { value }) => {
                // Each value but the first follows one of these; text may hold some as well.
                let values = value.get().bytes().filter(|b| b",[{".contains(b)).count();
                if values > MAX_VALUES {
                    return Err(format!("the answer has more than {MAX_VALUES} values"));
                }
                Some(serde_json::from_str(value.get()).map_err(unreadable)?)
            }
        };
        Ok(Self {
            result: frame.result,
            error: frame.error,
            exit: frame.exit,
            answer,
            variables: frame.variables,
        })
    }
}

/// The door's state during one turn.
#[derive(Debug, Default)]
pub(crate) struct Door {
    /// The boot frame or the turn, serialised; taken by the first `begin` or `boot`.
    pub(crate) pending: Option<Vec<u8>>,
    pub(crate) ended: Option<TurnEnd>,
    pub(crate) displays: Vec<Display>,
    answers: Option<Answers>,
    /// What was asked and could not be answered yet.
    pub(crate) waiting: Option<Value>,
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
    max_calls: u64,
    max_bytes: u64,
}

impl Door {
    pub(crate) fn new(limits: &Limits, pending: Vec<u8>, answers: Option<Answers>) -> Self {
        Self {
            pending: Some(pending),
            answers,
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
        if self.displays.len() >= MAX_DISPLAYS {
            return Err(format!("a turn may show {MAX_DISPLAYS} things"));
        }
        let frame: DisplayFrame =
            serde_json::from_slice(frame).map_err(|e| format!("this is no display: {e}"))?;
        let display = Display::new(&self.displays, frame.mime, frame.data)?;
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

/// Asks the world outside what `rest`, a frame without its beginning, holds; the guest waits. A door
/// whose budget is used up asks nobody.
async fn ask(host: &mut Host, rest: &[u8]) -> Result<Vec<u8>, Stop> {
    let request = (rest.strip_suffix(b"}")).and_then(|json| serde_json::from_slice(json).ok());
    let Some(request) = request else {
        return Ok(refusal("this is no question"));
    };
    let reply = Answers::ask(host.door.answers.clone().as_ref(), Value::clone(&request)).await?;
    Ok(match reply {
        Reply::Now(answer) => json!({ "answer": answer }).to_string().into_bytes(),
        Reply::Refused(why) => refusal(&why),
        Reply::Later => {
            host.door.waiting = Some(request);
            return Err(Stop::PutAway);
        }
    })
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
    let question = bytes
        .get(start..start.saturating_add(len.min(MAX_FRAME) as usize))
        .and_then(|frame| frame.strip_prefix(ASK));
    let answer = if let (Some(question), 0..=MAX_FRAME) = (question, len) {
        host.door.calls += 1;
        host.door.bytes += u64::from(len);
        let answer = match host.door.has_budget() {
            true => ask(host, question).await?,
            false => host.door.refuse(),
        };
        host.door.bytes += answer.len() as u64;
        host.work(4096 + 16 * (u64::from(len) + answer.len() as u64))?;
        answer
    } else if len > MAX_FRAME {
        host.door.calls += 1;
        refusal(&format!(
            "a request to the host may have {MAX_FRAME} bytes, this one has {len}"
        ))
    } else {
        let Some(frame) = bytes.get(start..start + len as usize) else {
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
