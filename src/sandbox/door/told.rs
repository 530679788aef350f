//! What an event tells of a call.

use std::time::Instant;

use crate::event::{Event, EventSink};
use crate::sandbox::toolbox::{MAX_NAME, ToolCall, ToolReply};

/// How much of a call's arguments an event tells, in characters.
const MAX_TOLD: usize = 300;

/// What an event tells of a call.
pub(super) struct Told {
    tool: String,
    arguments: String,
    bytes_in: usize,
    began: Instant,
}

impl Told {
    pub(super) fn of(call: &ToolCall, events: &EventSink) -> Self {
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

pub(super) fn emit(events: &EventSink, told: Told, reply: &ToolReply) {
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
