//! The tools of one turn: routing of calls, and the limits of the turn.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use codeact_sandbox::{
    Approval, FailureKind, OpenToolbox, ToolCall, ToolReply, Toolbox, no_such_tool,
};
use serde_json::Value;

use super::approval;
use super::source::OpenNetwork;
use super::tool::ToolFailure;
use super::tools::{Tools, listing};

impl Toolbox for Tools {
    fn open(&self) -> Arc<dyn OpenToolbox> {
        Arc::new(OpenTools::new(self.clone()))
    }

    fn about(&self) -> Option<String> {
        Some(self.network.as_ref()?.about())
    }
}

/// The tools of one turn.
struct OpenTools {
    tools: Tools,
    /// Number of calls of each tool.
    calls: Mutex<HashMap<String, u64>>,
    network: Option<Arc<dyn OpenNetwork>>,
}

impl OpenTools {
    fn new(tools: Tools) -> Self {
        Self {
            network: tools.network.as_ref().map(|network| network.open()),
            tools,
            calls: Mutex::default(),
        }
    }

    /// Counts a call of `tool`. Returns true if at most `max` were made.
    fn count(&self, tool: &str, max: u64) -> bool {
        // No code panics while it holds the lock.
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(tool.to_owned()).or_insert(0);
        *count += 1;
        *count <= max
    }

    /// Validates the call and returns a future that runs it.
    fn begin(
        &self,
        call: ToolCall,
    ) -> Result<impl Future<Output = ToolReply> + Send + use<>, Box<ToolReply>> {
        let Some(tool) = self.tools.find(&call.tool) else {
            return Err(Box::new(ToolReply::unknown(&call.tool)));
        };
        let limits = &tool.limits;
        if !self.count(&tool.name, limits.calls) {
            let why = format!(
                "this turn's limit of {} calls of {} is used up",
                limits.calls, tool.name
            );
            return Err(Box::new(ToolReply::failed(why)));
        }
        let size = call.args.size() as u64;
        if size > limits.bytes_in {
            let why = format!(
                "the arguments of {} may have {} bytes, these have about {size}",
                tool.name, limits.bytes_in
            );
            return Err(Box::new(ToolReply::of(FailureKind::Arguments, why)));
        }
        let reply = (tool.call(call.args)).map_err(|e| tool_error(&tool.name, e))?;
        Ok(async move {
            let limits = &tool.limits;
            let Ok(reply) = tokio::time::timeout(limits.time, reply).await else {
                let why = format!("{} took longer than {:?}", tool.name, limits.time);
                return ToolReply::failed(why);
            };
            match reply {
                Ok(payload) if payload.size() as u64 > limits.bytes_out => {
                    ToolReply::failed(format!(
                        "the answer of {} has about {} bytes; at most {} are allowed",
                        tool.name,
                        payload.size(),
                        limits.bytes_out
                    ))
                }
                Ok(payload) => ToolReply::Done(payload),
                Err(failure) => tool_error(&tool.name, failure),
            }
        })
    }
}

/// Returns the reply of a failure, with the name of the tool if the arguments are invalid.
fn tool_error(tool: &str, failure: ToolFailure) -> ToolReply {
    match failure.kind {
        FailureKind::Arguments => ToolReply::of(
            FailureKind::Arguments,
            format!("{tool}: {}", failure.message),
        ),
        kind => ToolReply::of(kind, failure.message),
    }
}

impl OpenToolbox for OpenTools {
    fn list(&self) -> Value {
        listing(&self.tools)
    }

    fn describe(&self, name: &str) -> Option<Value> {
        Some(self.tools.find(name)?.signature.to_json())
    }

    fn approval(&self, call: &ToolCall) -> Approval {
        // The host rules of the network decide on its calls.
        match is_network_call(&call.tool) {
            true => Approval::Allow,
            false => match approval::decide(&self.tools.approvals, &call.tool) {
                // The user is not asked about a tool that does not exist.
                Approval::Ask if self.tools.find(&call.tool).is_none() => {
                    Approval::Deny(no_such_tool(&call.tool))
                }
                decision => decision,
            },
        }
    }

    fn call(&self, call: ToolCall) -> Pin<Box<dyn Future<Output = ToolReply> + Send>> {
        let network = self.network.clone();
        if is_network_call(&call.tool) {
            return match network {
                // The network itself redacts its replies.
                Some(network) => network.call(call),
                None => Box::pin(std::future::ready(ToolReply::of(
                    FailureKind::Unknown,
                    "there is no network access",
                ))),
            };
        }
        match self.begin(call) {
            Ok(reply) => Box::pin(async move {
                let reply = reply.await;
                match network {
                    Some(network) => network.redact(reply),
                    None => reply,
                }
            }),
            Err(refusal) => Box::pin(std::future::ready(*refusal)),
        }
    }
}

/// True for the calls of the guest's sockets, whose names are not Python names.
fn is_network_call(tool: &str) -> bool {
    tool.starts_with('$')
}
