//! Interface between the sandbox and the tools that guest code can call.
//!
//! The sandbox forwards the guest's calls, limits their size, and records them in the journal. The crate
//! `codeact-tools` has an implementation.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::types::payload::Payload;

/// Limit of a tool's name in messages and events, in characters. The code chooses the name of a call.
pub(crate) const MAX_NAME: usize = 100;

/// Tools that guest code can call, with their descriptions. Shared by all sessions of a sandbox.
pub trait Toolbox: Send + Sync + 'static {
    /// Returns the toolbox of one turn. Called when the code first uses a tool; the result is dropped when the turn
    /// ends.
    fn open(&self) -> Arc<dyn OpenToolbox>;

    /// Returns a few sentences for the author of the code, in addition to the descriptions of the tools.
    fn about(&self) -> Option<String> {
        None
    }
}

/// A [`Toolbox`] during one turn.
pub trait OpenToolbox: Send + Sync + 'static {
    /// Returns the list of tools, `{"tools": [[NAME, SUMMARY], …]}`. Dots separate the namespaces of a name.
    fn list(&self) -> Value;

    /// Returns the description of which the guest makes a function; `None` if there is no such tool.
    fn describe(&self, name: &str) -> Option<Value>;

    /// Returns the decision whether `call` may be made.
    fn approval(&self, call: &ToolCall) -> Approval;

    /// Makes `call`. Dropping the future stops it.
    fn call(&self, call: ToolCall) -> Pin<Box<dyn Future<Output = ToolReply> + Send>>;
}

/// A call of a tool. The code chooses all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// Name of the tool.
    pub tool: String,
    /// Arguments, an object.
    pub args: Payload,
}

impl ToolCall {
    /// Returns a call of `tool`, for tests of toolboxes. `args` is an object.
    pub fn new(tool: impl Into<String>, args: Payload) -> Self {
        Self {
            tool: tool.into(),
            args,
        }
    }
}

/// Result of a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolReply {
    /// A value.
    Done(Payload),
    /// A failure, which the code gets as an exception.
    Failed {
        /// Class of the exception.
        kind: FailureKind,
        /// Message of the exception.
        message: String,
    },
}

impl ToolReply {
    /// Returns a failure of the tool.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Failed, message)
    }

    /// Returns the failure that there is no tool of this name. The code chooses the name, so the message is bounded.
    pub fn unknown(tool: &str) -> Self {
        Self::of(FailureKind::Unknown, no_such_tool(tool))
    }

    /// Returns a failure of `kind`.
    pub fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Failed { kind, message }
    }
}

/// Returns the message of a call to a tool that does not exist.
pub fn no_such_tool(tool: &str) -> String {
    let shown: String = tool.chars().take(MAX_NAME).collect();
    format!("there is no tool {shown:?}")
}

/// Kind of a failure: the exception that the call raises in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// `ToolError`: the tool failed.
    Failed,
    /// `ToolArgumentError`: the arguments do not match the tool's schema.
    Arguments,
    /// `ToolDenied`: the call was not approved.
    Denied,
    /// `ToolError`: there is no such tool.
    Unknown,
}

/// Decision whether a call may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Approval {
    /// The call is made.
    Allow,
    /// The turn's input handler decides.
    Ask,
    /// The call is refused, for this reason.
    Deny(String),
}

/// A shared toolbox that implements `Debug`.
#[derive(Clone)]
pub(crate) struct SharedToolbox(pub(crate) Arc<dyn Toolbox>);

impl fmt::Debug for SharedToolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Toolbox(..)")
    }
}
