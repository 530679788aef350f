//! Host functions and handlers that one turn can reach.

use std::sync::Arc;

use codeact_base::event::EventSink;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::hostcall::isolated::isolated;
use crate::hostcall::pending_calls::PendingCalls;
use crate::types::toolbox::{OpenToolbox, SharedToolbox, ToolCall, ToolReply};
use crate::types::user_input::InputHandler;

/// Limit of a failure's message, in bytes. A longer one is shortened to as many characters.
const MAX_MESSAGE: usize = 64 << 10;

/// Toolbox, input handler and event sink of one turn.
#[derive(Default)]
pub(crate) struct HostServices {
    pub(super) input: Option<InputHandler>,
    toolbox: Option<SharedToolbox>,
    /// Runtime of the caller, in which tools run.
    pub(super) runtime: Option<Handle>,
    pub(super) events: EventSink,
    open: Option<Arc<dyn OpenToolbox>>,
    pub(super) pending: PendingCalls,
    /// The request without an answer, if it suspends the turn.
    pub(crate) suspended: Option<Value>,
}

impl std::fmt::Debug for HostServices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostServices({} running calls)", self.pending.len())
    }
}

impl HostServices {
    pub(crate) fn new(
        input: Option<InputHandler>,
        toolbox: Option<SharedToolbox>,
        runtime: Option<Handle>,
        events: EventSink,
    ) -> Self {
        Self {
            input,
            toolbox,
            runtime,
            events,
            ..Self::default()
        }
    }

    /// Returns the toolbox of this turn, opened on first use.
    pub(super) fn toolbox(&mut self) -> Option<Arc<dyn OpenToolbox>> {
        if self.open.is_none() {
            let _context = self.runtime.as_ref().map(Handle::enter);
            self.open = self.toolbox.as_ref().map(|toolbox| toolbox.0.open());
        }
        self.open.clone()
    }

    /// Returns the future of `call`, which runs in the context of the caller's runtime.
    pub(super) fn dispatch(
        &mut self,
        call: ToolCall,
    ) -> impl Future<Output = ToolReply> + Send + use<> {
        let toolbox = self.toolbox();
        let runtime = self.runtime.clone();
        async move {
            let Some(toolbox) = toolbox else {
                return ToolReply::unknown(&call.tool);
            };
            // The code does not see the message of a tool's panic.
            let reply = (isolated(runtime, move || toolbox.call(call)).await)
                .unwrap_or_else(|| ToolReply::failed("the tool failed in an unexpected way"));
            bounded(reply)
        }
    }
}

/// Returns `reply` if it is within its limits, otherwise a failure or a shorter message.
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
