//! What one turn has of the tools: the calls it has made, and the bounds on them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::net::{Connections, Network, Redactor};
use super::{ToolFailure, Tools, approval, listing, web};
use crate::sandbox::{FailureKind, Gate, OpenToolbox, ToolCall, ToolReply, no_such_tool};

pub(super) struct OpenTools {
    tools: Tools,
    /// How often each was called.
    calls: Mutex<HashMap<String, u64>>,
    network: Option<Arc<Connections>>,
    redactor: Option<Redactor>,
}

impl OpenTools {
    pub(super) fn new(tools: Tools) -> Self {
        let network = tools.network.as_ref();
        Self {
            network: network.map(|network| Arc::new(network.open())),
            redactor: (network.filter(|network| !network.secrets().is_empty()))
                .map(Network::redactor),
            tools,
            calls: Mutex::default(),
        }
    }

    /// Counts a call of `tool`; whether there may be one more.
    fn count(&self, tool: &str, most: u64) -> bool {
        // Nothing panics while holding it.
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let count = calls.entry(tool.to_owned()).or_insert(0);
        *count += 1;
        *count <= most
    }

    /// The call, once all that can be said against it has been looked at.
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
        let answer = (tool.call(call.args.into_json())).map_err(|e| told(&tool.name, e))?;
        Ok(async move {
            let limits = &tool.limits;
            let Ok(answer) = tokio::time::timeout(limits.time, answer).await else {
                let why = format!("{} took longer than {:?}", tool.name, limits.time);
                return ToolReply::failed(why);
            };
            match answer {
                Ok(payload) if payload.size() as u64 > limits.bytes_out => {
                    ToolReply::failed(format!(
                        "the answer of {} has about {} bytes; at most {} are taken",
                        tool.name,
                        payload.size(),
                        limits.bytes_out
                    ))
                }
                Ok(payload) => ToolReply::Done(payload),
                Err(failure) => told(&tool.name, failure),
            }
        })
    }
}

/// `reply` without the secrets that code is not to see.
fn redacted(reply: ToolReply, redactor: &Redactor) -> ToolReply {
    match reply {
        ToolReply::Done(payload) => ToolReply::Done(
            payload.map_text(&|text| redactor.text(text).into_owned(), &|bytes| {
                redactor.bytes(bytes)
            }),
        ),
        ToolReply::Failed { kind, message } => {
            ToolReply::of(kind, redactor.text(&message).into_owned())
        }
    }
}

/// A failure, with the tool's name where it is about the call.
fn told(tool: &str, failure: ToolFailure) -> ToolReply {
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

    fn gate(&self, call: &ToolCall) -> Gate {
        // Which hosts may be reached was said already.
        match web::is_one(&call.tool) {
            true => Gate::Open,
            false => match approval::gate(&self.tools.approvals, &call.tool) {
                // Nobody is bothered with a name that the code has made up.
                Gate::Ask if self.tools.find(&call.tool).is_none() => {
                    Gate::Closed(no_such_tool(&call.tool))
                }
                gate => gate,
            },
        }
    }

    fn call(&self, call: ToolCall) -> Pin<Box<dyn Future<Output = ToolReply> + Send>> {
        if web::is_one(&call.tool) {
            let network = self.network.clone();
            // Its answers have lost their secrets already.
            return Box::pin(async move { web::call(network.as_deref(), call).await });
        }
        let redactor = self.redactor.clone();
        match self.begin(call) {
            Ok(answer) => Box::pin(async move {
                let reply = answer.await;
                match redactor {
                    Some(redactor) => redacted(reply, &redactor),
                    None => reply,
                }
            }),
            Err(no) => Box::pin(std::future::ready(*no)),
        }
    }
}
