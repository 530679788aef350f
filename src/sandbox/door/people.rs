//! Questions to people: those of the code, and whether a call may be made.

use std::time::Duration;

use serde_json::{Value, json};

use super::contained::contained;
use super::outside::{MAX_VALUES, text};
use super::refusal;
use super::turn::count_values;
use crate::sandbox::host::Host;
use crate::sandbox::payload::is_too_deep;
use crate::sandbox::stop::{Stop, Watch};
use crate::sandbox::tape::{self, Answers, Call, Reply};
use crate::sandbox::toolbox::{FailureKind, Gate, ToolCall, ToolReply};

/// A question to the world outside.
pub(super) const ASK: &[u8] = br#"{"op":"ask","request":"#;
/// For so long a person is waited for. The turn's own time stands still meanwhile.
const MAX_ASKED: Duration = Duration::from_secs(3600);

/// Asks whoever has to say whether `call` may be made. `None`: it may.
pub(super) async fn gate(host: &mut Host, call: &ToolCall) -> Result<Option<ToolReply>, Stop> {
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
