//! What the code of a turn can call outside, as the sandbox sees it: a [`Toolbox`], whatever is behind
//! it.
//!
//! The sandbox asks it nothing but what a guest has asked through the door, bounds what goes in and
//! out, and writes each call down. [`tools`](crate::tools) has the toolbox that everybody uses.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::payload::Payload;

/// The longest name of a tool that is told, in characters: code may call any.
pub(crate) const MAX_NAME: usize = 100;

/// Calls that code can make, and how they are described to it. Shared by all sessions of a sandbox.
pub trait Toolbox: Send + Sync + 'static {
    /// What one turn has of it: made when the code first uses it, dropped when the turn ends.
    fn open(&self) -> Arc<dyn OpenToolbox>;

    /// What whoever writes the code should know beside the tools, in a few sentences.
    fn about(&self) -> Option<String> {
        None
    }
}

/// A [`Toolbox`] in the hands of one turn.
pub trait OpenToolbox: Send + Sync + 'static {
    /// What there is: `{"tools": [[NAME, SUMMARY], …]}`, names with dots between their namespaces.
    fn list(&self) -> Value;

    /// One tool as the guest makes a function of it, or `None` where there is no such tool.
    fn describe(&self, name: &str) -> Option<Value>;

    /// Whether `call` may be made.
    fn gate(&self, call: &ToolCall) -> Gate;

    /// Makes `call`. Dropping the future stops it.
    fn call(&self, call: ToolCall) -> Pin<Box<dyn Future<Output = ToolReply> + Send>>;
}

/// A call, as the code made it. The code chooses all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The tool's name.
    pub tool: String,
    /// The arguments: an object.
    pub args: Payload,
}

/// What comes back from a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ToolReply {
    /// A value.
    Done(Payload),
    /// No value, and why, in words for the code.
    Failed {
        /// What kind of failure it is: the class of the exception.
        kind: FailureKind,
        /// The exception's message.
        message: String,
    },
}

impl ToolReply {
    /// A failure of the tool, with its message.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::of(FailureKind::Failed, message)
    }

    /// There is no such tool; the code may have chosen any name.
    pub(crate) fn unknown(tool: &str) -> Self {
        Self::of(FailureKind::Unknown, no_such_tool(tool))
    }

    pub(crate) fn of(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self::Failed { kind, message }
    }
}

/// Says that there is no tool of that name.
pub(crate) fn no_such_tool(tool: &str) -> String {
    let shown: String = tool.chars().take(MAX_NAME).collect();
    format!("there is no tool {shown:?}")
}

/// Which exception a failed call raises in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// `ToolError`: the tool failed.
    Failed,
    /// `ToolArgumentError`: the arguments are not what the tool takes.
    Arguments,
    /// `ToolDenied`: somebody has said no.
    Denied,
    /// `ToolError`: there is no such tool.
    Unknown,
}

/// Whether a call may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gate {
    /// It may.
    Open,
    /// If a person says so: whoever answers the turn's questions.
    Ask,
    /// It may not, and why.
    Closed(String),
}

/// A shared toolbox that can be looked at in a debugger.
#[derive(Clone)]
pub(crate) struct SharedToolbox(pub(crate) Arc<dyn Toolbox>);

impl fmt::Debug for SharedToolbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Toolbox(..)")
    }
}
