//! Summary of a tool call for [`Event::Tool`].

use std::time::Instant;

use crate::types::toolbox::{MAX_NAME, ToolCall, ToolReply};
use codeact_base::event::{Event, EventSink};

/// Limit of the arguments in an event, in characters.
const MAX_ARGUMENTS: usize = 300;

/// Summary of a tool call for [`Event::Tool`], made before the call.
pub(super) struct CallSummary {
    tool: String,
    arguments: String,
    bytes_in: usize,
    began: Instant,
}

impl CallSummary {
    /// Returns the summary of `call`. Its arguments are empty if no sink listens.
    pub(super) fn of(call: &ToolCall, events: &EventSink) -> Self {
        let text = match events.is_listening() {
            true => call.args.summary().to_string(),
            false => String::new(),
        };
        Self {
            tool: call.tool.chars().take(MAX_NAME).collect(),
            arguments: text.chars().take(MAX_ARGUMENTS).collect(),
            bytes_in: call.args.size(),
            began: Instant::now(),
        }
    }
}

/// Emits the event of a call that has ended.
pub(super) fn emit(events: &EventSink, summary: CallSummary, reply: &ToolReply) {
    // Names that are not Python names are internal calls of the runner.
    if !events.is_listening() || summary.tool.starts_with('$') {
        return;
    }
    let (error, bytes_out) = match reply {
        ToolReply::Done(payload) => (None, payload.size()),
        ToolReply::Failed { message, .. } => (Some(message.clone()), message.len()),
    };
    events.emit(Event::Tool {
        tool: summary.tool,
        arguments: summary.arguments,
        error,
        wall_ms: u64::try_from(summary.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        bytes_in: summary.bytes_in as u64,
        bytes_out: bytes_out as u64,
    });
}
