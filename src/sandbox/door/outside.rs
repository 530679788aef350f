//! The frames by which code reaches the world outside: questions to people, and calls of tools.
//!
//! A call waits for its answer; a started one runs at the same time as the code, which waits for
//! whichever comes first. Each is one entry of the turn's tape, and one event. Whoever is to say whether
//! a call may be made is asked before it is written down: so a turn that is put away with that question
//! open has not made it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::contained::contained;
use super::turn::count_values;
use super::{MAX_FRAME, refusal};
use crate::event::{Event, EventSink};
use crate::sandbox::host::Host;
use crate::sandbox::payload::{Payload, is_too_deep};
use crate::sandbox::stop::{Stop, Watch};
use crate::sandbox::tape::{self, Answers, Call, Reply};
use crate::sandbox::toolbox::{FailureKind, Gate, OpenToolbox, SharedToolbox, ToolCall, ToolReply};

/// The frames of tools begin so.
pub(super) const TOOLS: &[u8] = br#"{"op":"tool"#;
/// A question to the world outside.
pub(super) const ASK: &[u8] = br#"{"op":"ask","request":"#;

/// The most values in the arguments of a call.
const MAX_VALUES: usize = 200_000;
/// The most calls that were started and are not done.
const MAX_STARTED: usize = 10_000;
/// What the arguments of such calls may take in memory, in bytes, about.
const MAX_ARGUMENTS: usize = 128 << 20;
/// So many of them run at the same time; the others wait for their turn.
const AT_ONCE: usize = 64;
/// What answers may take that nobody has waited for yet, in KiB; a call whose answer has no room is not
/// done, and others wait for it.
const MAX_ANSWERS: u32 = 64 << 10;
/// The longest message of a failure, in characters.
const MAX_MESSAGE: usize = 64 << 10;
/// The longest name of a tool that an event tells, in characters.
const MAX_NAME: usize = 100;
/// For so long a person is waited for. The turn's own time stands still meanwhile.
const MAX_ASKED: Duration = Duration::from_secs(3600);
/// How much of a call's arguments an event tells, in characters.
const MAX_TOLD: usize = 300;

/// What one turn has of the world outside.
#[derive(Default)]
pub(crate) struct Outside {
    answers: Option<Answers>,
    toolbox: Option<SharedToolbox>,
    /// The runtime of whoever runs the turn: where tools belong.
    runtime: Option<Handle>,
    events: EventSink,
    open: Option<Arc<dyn OpenToolbox>>,
    flights: Flights,
    /// What was asked and could not be answered yet.
    pub(crate) waiting: Option<Value>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outside({} calls under way)", self.flights.started.len())
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

    fn toolbox(&mut self) -> Option<Arc<dyn OpenToolbox>> {
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
                return unknown(&call.tool);
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

fn unknown(tool: &str) -> ToolReply {
    let shown: String = tool.chars().take(MAX_NAME).collect();
    ToolReply::of(FailureKind::Unknown, format!("there is no tool {shown:?}"))
}

/// The calls that were started and not yet waited for.
#[derive(Default)]
struct Flights {
    last: u32,
    started: BTreeMap<u32, Flight>,
    tasks: JoinSet<Landed>,
    calls: HashMap<Id, u32>,
    bounds: Option<Bounds>,
    /// What the arguments of those that are under way take.
    weight: usize,
}

/// What holds the calls that run beside the code.
#[derive(Clone)]
struct Bounds {
    turns: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// A call that is done, and its answer's room.
struct Landed {
    reply: ToolReply,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bounds {
    fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            answers: Arc::new(Semaphore::new(MAX_ANSWERS as usize)),
        }
    }

    /// Makes `call` when it is its turn. Neither semaphore is ever closed.
    async fn hold(self, call: impl Future<Output = ToolReply>) -> Landed {
        let _turn = self.turns.acquire_owned().await;
        let reply = call.await;
        let weight = match &reply {
            ToolReply::Done(payload) => payload.weight(),
            ToolReply::Failed { message, .. } => message.len(),
        };
        let room = u32::try_from(weight >> 10).unwrap_or(MAX_ANSWERS) + 1;
        let room = self.answers.acquire_many_owned(room.min(MAX_ANSWERS));
        Landed {
            reply,
            _room: room.await.ok(),
        }
    }
}

struct Flight {
    told: Told,
    /// What its arguments take.
    weight: usize,
    /// `None` where it was started by the turn whose tape this one replays.
    abort: Option<AbortHandle>,
}

/// What an event tells of a call.
struct Told {
    tool: String,
    arguments: String,
    bytes_in: usize,
    began: Instant,
}

impl Told {
    fn of(call: &ToolCall, events: &EventSink) -> Self {
        let text = match events.is_listening() {
            true => call.args.shown().to_string(),
            false => String::new(),
        };
        Self {
            tool: call.tool.chars().take(MAX_NAME).collect(),
            arguments: text.chars().take(MAX_TOLD).collect(),
            bytes_in: call.args.size(),
            began: Instant::now(),
        }
    }
}

impl Flights {
    /// Starts `call`, or only counts it.
    fn start(
        &mut self,
        told: Told,
        weight: usize,
        work: Option<(Handle, impl Future<Output = ToolReply> + Send + 'static)>,
    ) -> u32 {
        self.last += 1;
        let number = self.last;
        let abort = work.map(|(runtime, call)| {
            let bounds = self.bounds.get_or_insert_with(Bounds::new).clone();
            let abort = self.tasks.spawn_on(bounds.hold(call), &runtime);
            self.calls.insert(abort.id(), number);
            abort
        });
        self.weight += weight;
        let flight = Flight {
            told,
            weight,
            abort,
        };
        self.started.insert(number, flight);
        number
    }

    fn take(&mut self, number: u32) -> Option<Flight> {
        let flight = self.started.remove(&number)?;
        self.weight -= flight.weight;
        Some(flight)
    }

    /// The next one that is done, within `time`.
    async fn next(&mut self, time: Option<Duration>) -> Option<(u32, ToolReply)> {
        let cut = (self.started.iter()).find(|(_, flight)| flight.abort.is_none());
        if let Some((number, _)) = cut {
            let why = "it was under way when the turn was put away, and was cut off; it may or may not \
                       have had an effect";
            return Some((*number, ToolReply::failed(why)));
        }
        let done = async {
            while let Some(done) = self.tasks.join_next_with_id().await {
                let (id, reply) = match done {
                    Ok((id, landed)) => (id, landed.reply),
                    Err(e) => (
                        e.id(),
                        ToolReply::failed("the tool was stopped from outside"),
                    ),
                };
                // One that was cancelled is no longer waited for.
                if let Some(number) = self.calls.remove(&id)
                    && self.started.contains_key(&number)
                {
                    return Some((number, reply));
                }
            }
            None
        };
        match time {
            None => done.await,
            Some(time) => tokio::time::timeout(time, done).await.ok().flatten(),
        }
    }

    fn cancel(&mut self, number: u32) {
        if let Some(Flight {
            abort: Some(abort), ..
        }) = self.take(number)
        {
            abort.abort();
        }
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
                None => Ok(answer(host, None, unknown(&name))),
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
    if host.door.outside.flights.started.len() >= MAX_STARTED {
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

/// Asks whoever has to say whether `call` may be made. `None`: it may.
async fn gate(host: &mut Host, call: &ToolCall) -> Result<Option<ToolReply>, Stop> {
    // What was said when the turn was recorded is said again, whatever the rules are now.
    let refused = || Call::Refused {
        tool: call.tool.clone(),
    };
    if tape::next_is(|next| matches!(next, Call::Refused { .. })) == Some(true) {
        let why = tape::told(refused, String::new)?;
        return Ok(Some(ToolReply::of(FailureKind::Denied, why)));
    }
    let asks = match tape::next_is(
        |next| matches!(next, Call::Ask { request } if request.get("approve").is_some()),
    ) {
        Some(asks) => asks,
        None => match host
            .door
            .outside
            .toolbox()
            .map(|toolbox| toolbox.gate(call))
        {
            Some(Gate::Closed(why)) => {
                let why = tape::told(refused, || why)?;
                return Ok(Some(ToolReply::of(FailureKind::Denied, why)));
            }
            Some(Gate::Ask) => true,
            Some(Gate::Open) | None => false,
        },
    };
    if !asks {
        return Ok(None);
    }
    let request = json!({ "approve": { "tool": call.tool, "arguments": call.args.shown() } });
    Ok(match question(host, request).await? {
        Reply::Now(Value::Bool(true)) => None,
        Reply::Refused(why) => Some(ToolReply::of(FailureKind::Denied, why)),
        // Whatever else was said is no approval.
        Reply::Now(_) | Reply::Later => Some(ToolReply::of(
            FailureKind::Denied,
            "the call was not approved",
        )),
    })
}

/// Asks the world outside what `rest`, a frame without its beginning, holds; the guest waits.
pub(super) async fn ask(host: &mut Host, rest: &[u8]) -> Result<Vec<u8>, Stop> {
    let rest = (rest.strip_suffix(b"}")).and_then(|json| std::str::from_utf8(json).ok());
    let few = rest.filter(|json| count_values(json) <= MAX_VALUES);
    let Some(request) = few.and_then(|json| serde_json::from_str::<Value>(json).ok()) else {
        return Ok(refusal("this is no question"));
    };
    if is_too_deep(&request) {
        return Ok(refusal("a question cannot be nested so deeply"));
    }
    // Only the door asks that, of calls that it knows.
    if request.get("approve").is_some() {
        return Ok(refusal("a question cannot have a key named `approve`"));
    }
    Ok(match question(host, request).await? {
        Reply::Now(answer) => text(&json!({ "answer": answer })),
        Reply::Refused(why) => refusal(&why),
        Reply::Later => refusal("there is no answer yet"),
    })
}

/// Puts a question to whoever answers the turn's. One without an answer stops the turn.
async fn question(host: &mut Host, request: Value) -> Result<Reply, Stop> {
    let answers = host.door.outside.answers.clone();
    let reply = {
        let _held = Held::new(&host.watch);
        let asked = Answers::ask(answers.as_ref(), request.clone(), MAX_ASKED);
        // Whoever answers may need what only that runtime has.
        match contained(host.door.outside.runtime.clone(), move || Box::pin(asked)).await {
            Some(reply) => reply?,
            None => Reply::Refused("nobody could be asked".into()),
        }
    };
    if reply == Reply::Later {
        host.door.outside.waiting = Some(request);
        return Err(Stop::PutAway);
    }
    Ok(reply)
}

/// The turn's time stands still while this is there.
struct Held<'a>(&'a Watch);

impl<'a> Held<'a> {
    fn new(watch: &'a Watch) -> Self {
        watch.hold();
        Self(watch)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

fn text(value: &Value) -> Vec<u8> {
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

fn emit(events: &EventSink, told: Told, reply: &ToolReply) {
    // Names that are no Python names are the runner's own doings.
    if !events.is_listening() || told.tool.starts_with('$') {
        return;
    }
    let (error, bytes_out) = match reply {
        ToolReply::Done(payload) => (None, payload.size()),
        ToolReply::Failed { message, .. } => (Some(message.clone()), message.len()),
    };
    events.emit(Event::Tool {
        tool: told.tool,
        arguments: told.arguments,
        error,
        wall_ms: u64::try_from(told.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        bytes_in: told.bytes_in as u64,
        bytes_out: bytes_out as u64,
    });
}
