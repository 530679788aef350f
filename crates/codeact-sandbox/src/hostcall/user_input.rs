//! Requests for user input: questions of the code, and approvals of tool calls.

use std::time::Duration;

use serde_json::{Value, json};

use crate::hostcall::frames::{MAX_VALUES, count_values, json_bytes, refusal};
use crate::hostcall::isolated::isolated;
use crate::hostcall::state::HostCalls;
use crate::journal::{self, Call};
use crate::types::cancellation::{Stop, Watch};
use crate::types::payload::is_too_deep;
use crate::types::toolbox::{Approval, FailureKind, ToolCall, ToolReply};
use crate::types::user_input::InputResponse;

/// Prefix of a request of the code.
pub(super) const ASK: &[u8] = br#"{"op":"ask","request":"#;
/// Time in which the user can answer. The turn's wall time is paused meanwhile.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// Kind of the next journal entry of a replayed turn.
enum Recorded {
    /// A call that was denied.
    Denied,
    /// A request for approval.
    Asked,
    /// Another entry, or none.
    Other,
}

/// Decides whether `call` may be made. Returns the refusal, or `None` if the call is approved.
pub(super) async fn approve(
    calls: &mut HostCalls,
    watch: &Watch,
    call: &ToolCall,
) -> Result<Option<ToolReply>, Stop> {
    let denied = || Call::Refused {
        tool: call.tool.clone(),
    };
    // A replayed turn repeats the recorded decision, whatever the rules are now.
    let recorded = journal::peek(|next| match next {
        Some(Call::Refused { .. }) => Recorded::Denied,
        Some(Call::Ask { request }) if request.get("approve").is_some() => Recorded::Asked,
        _ => Recorded::Other,
    });
    let decision = match recorded {
        Some(Recorded::Denied) => Some(Approval::Deny(String::new())),
        Some(Recorded::Asked) => Some(Approval::Ask),
        Some(Recorded::Other) => None,
        None => (calls.services.toolbox()).map(|toolbox| toolbox.approval(call)),
    };
    match decision {
        Some(Approval::Deny(reason)) => {
            let reason = journal::record_or_replay(denied, || reason)?;
            return Ok(Some(ToolReply::of(FailureKind::Denied, reason)));
        }
        Some(Approval::Ask) => {}
        Some(Approval::Allow) | None => return Ok(None),
    }
    let request = json!({ "approve": { "tool": call.tool, "arguments": call.args.summary() } });
    Ok(match request_answer(calls, watch, request).await? {
        InputResponse::Answer(Value::Bool(true)) => None,
        InputResponse::Refused(reason) => Some(ToolReply::of(FailureKind::Denied, reason)),
        // Any other answer does not approve.
        InputResponse::Answer(_) | InputResponse::Later => Some(ToolReply::of(
            FailureKind::Denied,
            "the call was not approved",
        )),
    })
}

/// Returns the answer to the question in `rest`, a frame without its prefix.
pub(super) async fn ask(
    calls: &mut HostCalls,
    watch: &Watch,
    rest: &[u8],
) -> Result<Vec<u8>, Stop> {
    let rest = (rest.strip_suffix(b"}")).and_then(|json| std::str::from_utf8(json).ok());
    let bounded = rest.filter(|json| count_values(json) <= MAX_VALUES);
    let Some(request) = bounded.and_then(|json| serde_json::from_str::<Value>(json).ok()) else {
        return Ok(refusal("this is not a question"));
    };
    if is_too_deep(&request) {
        return Ok(refusal("a question cannot be nested so deeply"));
    }
    // Only the host requests approvals, for calls that it has parsed.
    if request.get("approve").is_some() {
        return Ok(refusal("a question cannot have a key named `approve`"));
    }
    Ok(match request_answer(calls, watch, request).await? {
        InputResponse::Answer(answer) => json_bytes(&json!({ "answer": answer })),
        InputResponse::Refused(reason) => refusal(&reason),
        InputResponse::Later => refusal("there is no answer yet"),
    })
}

/// Returns the recorded response to `request`, or that of the turn's input handler, which is then recorded. If there is
/// no answer yet, the turn stops.
async fn request_answer(
    calls: &mut HostCalls,
    watch: &Watch,
    request: Value,
) -> Result<InputResponse, Stop> {
    let call = Call::Ask {
        request: request.clone(),
    };
    if let Some(response) = journal::replayed(&call)? {
        return Ok(response);
    }
    let response = match calls.services.input.clone() {
        None => InputResponse::Refused("no one can be asked here; decide without asking".into()),
        Some(handler) => {
            let _pause = ClockPause::new(watch);
            let question = request.clone();
            let ask = move || Box::pin(async move { handler.ask(question, MAX_WAIT).await });
            // The handler may need the caller's runtime.
            (isolated(calls.services.runtime.clone(), ask).await)
                .unwrap_or_else(|| InputResponse::Refused("the question could not be asked".into()))
        }
    };
    if response == InputResponse::Later && journal::is_full() {
        let why = "the turn has read too much to wait for an answer; ask in a turn of its own";
        return Ok(InputResponse::Refused(why.into()));
    }
    if response == InputResponse::Later {
        // Not recorded, so that the resumed turn makes the request again.
        calls.services.suspended = Some(request);
        return Err(Stop::Suspended);
    }
    Ok(journal::record(call, response))
}

/// Pauses the turn's wall time while it exists.
struct ClockPause<'a>(&'a Watch);

impl<'a> ClockPause<'a> {
    fn new(watch: &'a Watch) -> Self {
        watch.pause();
        Self(watch)
    }
}

impl Drop for ClockPause<'_> {
    fn drop(&mut self) {
        self.0.resume();
    }
}
