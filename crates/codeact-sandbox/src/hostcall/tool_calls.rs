//! Requests of the code for tools.
//!
//! `tool.call` waits for the reply. `tool.start` starts a call that runs concurrently with the code, and `tool.wait`
//! waits for the first that completes. Each call is one journal entry and one event. A call is approved before it is
//! recorded, so a turn that is suspended for the approval has not made the call.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;

use crate::hostcall::call_summary::{CallSummary, emit};
use crate::hostcall::frames::{MAX_FRAME, MAX_VALUES, count_values, json_bytes, refusal};
use crate::hostcall::pending_calls::{MAX_ARGUMENT_BYTES, MAX_STARTED};
use crate::hostcall::state::HostCalls;
use crate::hostcall::user_input::approve;
use crate::journal::{self, Call};
use crate::types::cancellation::{Stop, Watch};
use crate::types::payload::{Payload, is_too_deep};
use crate::types::toolbox::{FailureKind, ToolCall, ToolReply};

/// Prefix of the requests for tools.
pub(super) const TOOLS: &[u8] = br#"{"op":"tool"#;

/// A request for tools, without the bytes that follow it.
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
    /// Returns the call; `tail` are the bytes that follow the frame.
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

/// Returns the answer to a request for tools. An error stops the turn.
pub(super) async fn serve(
    calls: &mut HostCalls,
    watch: &Watch,
    frame: &[u8],
) -> Result<Vec<u8>, Stop> {
    let split = frame.iter().position(|byte| *byte == 0);
    let (head, tail) = match split {
        Some(at) => (&frame[..at], &frame[at + 1..]),
        None => (frame, &[][..]),
    };
    let Ok(head) = std::str::from_utf8(head) else {
        return Ok(refusal("this call is not UTF-8"));
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
            let live = || match calls.services.toolbox() {
                Some(toolbox) => toolbox.list(),
                None => json!({ "tools": [] }),
            };
            Ok(json_bytes(&journal::record_or_replay(
                || Call::Tools,
                live,
            )?))
        }
        "tool.describe" => {
            let name = parsed.tool.into_owned();
            let describe = || calls.services.toolbox()?.describe(&name);
            let call = || Call::Describe { tool: name.clone() };
            match journal::record_or_replay(call, describe)? {
                Some(summary) => Ok(json_bytes(&summary)),
                None => Ok(answer(calls, None, ToolReply::unknown(&name))),
            }
        }
        "tool.call" => match parsed.call(tail) {
            Ok(call) => {
                let summary = CallSummary::of(&call, &calls.services.events);
                let reply = make(calls, watch, call).await?;
                emit(&calls.services.events, summary, &reply);
                Ok(answer(calls, None, reply))
            }
            Err(why) => Ok(refusal(&why)),
        },
        "tool.start" => match parsed.call(tail) {
            Ok(call) => start(calls, watch, call).await,
            Err(why) => Ok(refusal(&why)),
        },
        "tool.wait" => {
            let ns = parsed.ns;
            let next = calls.services.pending.next(ns.map(Duration::from_nanos));
            let done = journal::record_or_replay_async(|| Call::Wait { ns }, next).await?;
            let Some((number, reply)) = done else {
                return Ok(b"{}".to_vec());
            };
            let services = &mut calls.services;
            if let Some(pending_call) = services.pending.take(number) {
                emit(&services.events, pending_call.summary, &reply);
            }
            Ok(answer(calls, Some(number), reply))
        }
        "tool.cancel" => {
            calls.services.pending.cancel(parsed.call);
            Ok(b"{}".to_vec())
        }
        _ => Ok(refusal("the host does not know this request")),
    }
}

/// Makes a call and returns its reply.
async fn make(calls: &mut HostCalls, watch: &Watch, call: ToolCall) -> Result<ToolReply, Stop> {
    if let Some(refusal) = approve(calls, watch, &call).await? {
        return Ok(refusal);
    }
    let written = journal::is_on().then(|| call.clone());
    let reply = calls.services.dispatch(call);
    let entry = || Call::Tool {
        // `Some` whenever this is called.
        call: written.map(Box::new),
    };
    journal::record_or_replay_async(entry, reply).await
}

/// Starts a call and returns its number in a frame.
async fn start(calls: &mut HostCalls, watch: &Watch, call: ToolCall) -> Result<Vec<u8>, Stop> {
    if calls.services.pending.len() >= MAX_STARTED {
        return Ok(refusal(&format!(
            "{MAX_STARTED} calls are running; wait for some of them first"
        )));
    }
    let (running, weight) = (calls.services.pending.weight, call.args.weight());
    if running > 0 && running + weight > MAX_ARGUMENT_BYTES {
        return Ok(refusal(
            "the arguments of the running calls are too large together; wait for some of them first",
        ));
    }
    let summary = CallSummary::of(&call, &calls.services.events);
    if let Some(refusal) = approve(calls, watch, &call).await? {
        emit(&calls.services.events, summary, &refusal);
        return Ok(answer(calls, None, refusal));
    }
    let written = journal::is_on().then(|| call.clone());
    let entry = || Call::Start {
        call: written.map(Box::new),
    };
    let services = &mut calls.services;
    let mut work = None;
    journal::record_or_replay(entry, || {
        let runtime = services.runtime.clone().unwrap_or_else(Handle::current);
        work = Some((runtime, services.dispatch(call)));
    })?;
    let number = services.pending.start(summary, weight, work);
    Ok(json_bytes(&json!({ "call": number })))
}

/// Returns the frame of a reply; `number` is that of a started call.
fn answer(calls: &mut HostCalls, number: Option<u32>, reply: ToolReply) -> Vec<u8> {
    let mut frame = b"{".to_vec();
    if let Some(number) = number {
        frame.extend_from_slice(format!("\"call\":{number},").as_bytes());
    }
    let head = frame.len();
    let (kind, message) = match reply {
        ToolReply::Done(payload) => {
            for (mime, bytes) in payload.displays() {
                // A picture beyond the limits is dropped; the code still gets the reply.
                calls.bytes += bytes.len() as u64;
                if calls.has_budget() {
                    let _ = calls.show(mime, bytes.to_vec());
                }
            }
            match payload.write(&mut frame) {
                Ok(()) if frame.len() <= MAX_FRAME as usize => return frame,
                Ok(()) => (
                    FailureKind::Failed,
                    format!(
                        "the tool's answer has {} bytes; at most {MAX_FRAME} are allowed",
                        frame.len()
                    ),
                ),
                Err(_) => (
                    FailureKind::Failed,
                    "the tool's answer cannot be encoded".into(),
                ),
            }
        }
        ToolReply::Failed { kind, message } => (kind, message),
    };
    frame.truncate(head);
    let failed = json!({ "failed": kind, "message": message }).to_string();
    frame.extend_from_slice(&failed.as_bytes()[1..]);
    frame
}
