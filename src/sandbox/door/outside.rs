//! The frames by which code calls tools, and what one turn has of the world outside.
//!
//! A call waits for its answer; a started one runs at the same time as the code, which waits for
//! whichever comes first. Each is one entry of the turn's tape, and one event. Whoever is to say whether
//! a call may be made is asked before it is written down: so a turn that is put away with that question
//! open has not made it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::contained::contained;
use super::flights::{Flights, MAX_ARGUMENTS, MAX_STARTED};
use super::people::gate;
use super::told::{Told, emit};
use super::turn::count_values;
use super::{MAX_FRAME, refusal};
use crate::event::EventSink;
use crate::sandbox::host::Host;
use crate::sandbox::payload::{Payload, is_too_deep};
use crate::sandbox::stop::Stop;
use crate::sandbox::tape::{self, Answers, Call};
use crate::sandbox::toolbox::{FailureKind, OpenToolbox, SharedToolbox, ToolCall, ToolReply};

/// The frames of tools begin so.
pub(super) const TOOLS: &[u8] = br#"{"op":"tool"#;

/// The most values in the arguments of a call.
pub(super) const MAX_VALUES: usize = 200_000;
/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 64 << 10;

/// What one turn has of the world outside.
#[derive(Default)]
pub(crate) struct Outside {
    pub(super) answers: Option<Answers>,
    toolbox: Option<SharedToolbox>,
    /// The runtime of whoever runs the turn: where tools belong.
    pub(super) runtime: Option<Handle>,
    events: EventSink,
    open: Option<Arc<dyn OpenToolbox>>,
    flights: Flights,
    /// What was asked and could not be answered yet.
    pub(crate) waiting: Option<Value>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outside({} calls under way)", self.flights.under_way())
    }
}

impl Outside {
    pub(crate) fn new(
        answers: Option<Answers>,
        toolbox: Option<SharedToolbox>,
        runtime: Option<Handle>,
        events: EventSink,
    ) -> Self {
        Self {
            answers,
            toolbox,
            runtime,
            events,
            ..Self::default()
        }
    }

    pub(super) fn toolbox(&mut self) -> Option<Arc<dyn OpenToolbox>> {
        if self.open.is_none() {
            let _context = self.runtime.as_ref().map(Handle::enter);
            self.open = self.toolbox.as_ref().map(|toolbox| toolbox.0.open());
        }
        self.open.clone()
    }

    /// What makes `call`, in the context of the runtime that tools belong to.
    fn calling(&mut self, call: ToolCall) -> impl Future<Output = ToolReply> + Send + use<> {
        let toolbox = self.toolbox();
        let runtime = self.runtime.clone();
        async move {
            let Some(toolbox) = toolbox else {
                return ToolReply::unknown(&call.tool);
            };
            // A tool that panics has failed; nothing of it reaches the code.
            let reply = (contained(runtime, move || toolbox.call(call)).await)
                .unwrap_or_else(|| ToolReply::failed("the tool failed in an unexpected way"));
            bounded(reply)
        }
    }
}

/// `reply`, where it can be told and written down.
fn bounded(reply: ToolReply) -> ToolReply {
    match reply {
        ToolReply::Done(payload) if payload.is_too_deep() => {
            ToolReply::failed("the tool's answer is nested too deeply")
        }
        ToolReply::Failed { kind, message } if message.len() > MAX_MESSAGE => {
            ToolReply::of(kind, message.chars().take(MAX_MESSAGE).collect::<String>())
        }
        reply => reply,
    }
}

/// A frame about tools, without the bytes behind it.
#[derive(Deserialize)]
struct ToolFrame<'a> {
    op: &'a str,
    #[serde(default, borrow)]
    tool: Cow<'a, str>,
    #[serde(default, borrow)]
    args: Option<&'a RawValue>,
    #[serde(default)]
    blobs: Vec<u32>,
    #[serde(default)]
    marker: String,
    #[serde(default)]
    ns: Option<u64>,
    #[serde(default)]
    call: u32,
}

impl ToolFrame<'_> {
    fn call(self, tail: &[u8]) -> Result<ToolCall, String> {
        let args = self.args.ok_or("a call has arguments")?.get();
        let args: Value = serde_json::from_str(args)
            .map_err(|e| format!("the host cannot read these arguments: {e}"))?;
        if !args.is_object() {
            return Err("the arguments of a call are named".into());
        }
        if is_too_deep(&args) {
            return Err("the arguments of a call are nested too deeply".into());
        }
        Ok(ToolCall {
            tool: self.tool.into_owned(),
            args: Payload::received(args, &self.blobs, self.marker, tail)?,
        })
    }
}

/// Serves one frame about tools. An error stops the turn.
pub(super) async fn serve(host: &mut Host, frame: &[u8]) -> Result<Vec<u8>, Stop> {
    let split = frame.iter().position(|byte| *byte == 0);
    let (head, tail) = match split {
        Some(at) => (&frame[..at], &frame[at + 1..]),
        None => (frame, &[][..]),
    };
    let Ok(head) = std::str::from_utf8(head) else {
        return Ok(refusal("a call is UTF-8"));
    };
    if count_values(head) > MAX_VALUES {
        return Ok(refusal(&format!(
            "the arguments of a call may have {MAX_VALUES} values; bytes are one, whatever their size"
        )));
    }
    let parsed: ToolFrame = match serde_json::from_str(head) {
        Ok(parsed) => parsed,
        Err(e) => return Ok(refusal(&format!("the host cannot read this call: {e}"))),
    };
    match parsed.op {
        "tools" => {
            let live = || match host.door.outside.toolbox() {
                Some(toolbox) => toolbox.list(),
                None => json!({ "tools": [] }),
            };
            Ok(text(&tape::told(|| Call::Tools, live)?))
        }
        "tool.describe" => {
            let name = parsed.tool.into_owned();
            let describe = || host.door.outside.toolbox()?.describe(&name);
            let call = || Call::Describe { tool: name.clone() };
            match tape::told(call, describe)? {
                Some(told) => Ok(text(&told)),
                None => Ok(answer(host, None, ToolReply::unknown(&name))),
            }
        }
        "tool.call" => match parsed.call(tail) {
            Ok(call) => {
                let told = Told::of(&call, &host.door.outside.events);
                let reply = make(host, call).await?;
                emit(&host.door.outside.events, told, &reply);
                Ok(answer(host, None, reply))
            }
            Err(why) => Ok(refusal(&why)),
        },
        "tool.start" => match parsed.call(tail) {
            Ok(call) => start(host, call).await,
            Err(why) => Ok(refusal(&why)),
        },
        "tool.wait" => {
            let ns = parsed.ns;
            let next = host.door.outside.flights.next(ns.map(Duration::from_nanos));
            let done = tape::told_later(|| Call::Wait { ns }, next).await?;
            let Some((number, reply)) = done else {
                return Ok(b"{}".to_vec());
            };
            let outside = &mut host.door.outside;
            if let Some(flight) = outside.flights.take(number) {
                emit(&outside.events, flight.told, &reply);
            }
            Ok(answer(host, Some(number), reply))
        }
        "tool.cancel" => {
            host.door.outside.flights.cancel(parsed.call);
            Ok(b"{}".to_vec())
        }
        _ => Ok(refusal("the host has nothing for this request")),
    }
}

/// Makes a call and waits for it.
async fn make(host: &mut Host, call: ToolCall) -> Result<ToolReply, Stop> {
    if let Some(no) = gate(host, &call).await? {
        return Ok(no);
    }
    let written = tape::is_on().then(|| call.clone());
    let calling = host.door.outside.calling(call);
    let entry = || Call::Tool {
        // There whenever this is called.
        call: written.map(Box::new),
    };
    tape::told_later(entry, calling).await
}

/// Starts a call.
async fn start(host: &mut Host, call: ToolCall) -> Result<Vec<u8>, Stop> {
    if host.door.outside.flights.under_way() >= MAX_STARTED {
        return Ok(refusal(&format!(
            "{MAX_STARTED} calls are under way; wait for some of them first"
        )));
    }
    let (under_way, weight) = (host.door.outside.flights.weight, call.args.weight());
    if under_way > 0 && under_way + weight > MAX_ARGUMENTS {
        return Ok(refusal(
            "the arguments of the calls under way are too large together; wait for some of them first",
        ));
    }
    let told = Told::of(&call, &host.door.outside.events);
    if let Some(no) = gate(host, &call).await? {
        emit(&host.door.outside.events, told, &no);
        return Ok(answer(host, None, no));
    }
    let written = tape::is_on().then(|| call.clone());
    let entry = || Call::Start {
        call: written.map(Box::new),
    };
    let outside = &mut host.door.outside;
    let mut work = None;
    tape::told(entry, || {
        let runtime = outside.runtime.clone().unwrap_or_else(Handle::current);
        work = Some((runtime, outside.calling(call)));
    })?;
    let number = outside.flights.start(told, weight, work);
    Ok(text(&json!({ "call": number })))
}

pub(super) fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A reply as the guest gets it; `number` is that of a started call.
fn answer(host: &mut Host, number: Option<u32>, reply: ToolReply) -> Vec<u8> {
    let mut frame = b"{".to_vec();
    if let Some(number) = number {
        frame.extend_from_slice(format!("\"call\":{number},").as_bytes());
    }
    let head = frame.len();
    let (kind, message) = match reply {
        ToolReply::Done(payload) => {
            for (mime, bytes) in payload.displays() {
                // One more than can be shown is not worth the call's answer.
                host.door.bytes += bytes.len() as u64;
                if host.door.has_budget() {
                    let _ = host.door.show(mime, bytes.to_vec());
                }
            }
            match payload.write(&mut frame) {
                Ok(()) if frame.len() <= MAX_FRAME as usize => return frame,
                Ok(()) => (
                    FailureKind::Failed,
                    format!(
                        "the tool's answer has {} bytes; at most {MAX_FRAME} are taken",
                        frame.len()
                    ),
                ),
                Err(_) => (FailureKind::Failed, "the tool's answer is no value".into()),
            }
        }
        ToolReply::Failed { kind, message } => (kind, message),
    };
    frame.truncate(head);
    let failed = json!({ "failed": kind, "message": message }).to_string();
    frame.extend_from_slice(&failed.as_bytes()[1..]);
    frame
}
