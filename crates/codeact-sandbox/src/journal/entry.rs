//! An entry of a journal: a call and its answer.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::types::toolbox::ToolCall;

/// A nondeterministic input that a turn requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// A reading of the wall clock.
    Realtime,
    /// A reading of the monotonic clock.
    Monotonic,
    /// A read of stdin from position `at`.
    Stdin { at: usize },
    /// The names in a folder of a mount.
    List { path: Arc<str> },
    /// The metadata of a file of a mount, when it is opened.
    Open { path: Arc<str> },
    /// A read from a file of a mount.
    Read { path: Arc<str>, at: u64, len: usize },
    /// A request for user input.
    Ask { request: serde_json::Value },
    /// The list of tools.
    Tools,
    /// The description of a tool.
    Describe { tool: String },
    /// The reply to a tool call.
    Tool { call: Option<Box<ToolCall>> },
    /// The reason why a rule denies a tool call.
    Refused { tool: String },
    /// The start of a tool call that runs concurrently with the code.
    Start { call: Option<Box<ToolCall>> },
    /// The first started call that completes within a time, in nanoseconds.
    Wait { ns: Option<u64> },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realtime => write!(f, "a reading of the wall clock"),
            Self::Monotonic => write!(f, "a reading of the monotonic clock"),
            Self::Stdin { at } => write!(f, "a read of stdin at byte {at}"),
            Self::List { path } => write!(f, "a listing of {path:?} in a mount"),
            Self::Open { path } => write!(f, "an opening of {path:?} in a mount"),
            Self::Read { path, at, len } => {
                write!(
                    f,
                    "a read of {len} bytes at byte {at} of {path:?} in a mount"
                )
            }
            Self::Tools => write!(f, "a request for the list of tools"),
            Self::Describe { tool } => write!(f, "a request for the description of {tool:?}"),
            Self::Tool { call } | Self::Start { call } => {
                let (tool, args) = match call {
                    Some(call) => (&*call.tool, call.args.summary().to_string()),
                    None => ("?", String::new()),
                };
                let args: String = args.chars().take(200).collect();
                write!(f, "a call of {tool:?} with {args}")
            }
            Self::Refused { tool } => write!(f, "a call of {tool:?} that is denied"),
            Self::Wait { .. } => write!(f, "a wait for running calls"),
            Self::Ask { request } => {
                let request: String = request.to_string().chars().take(200).collect();
                write!(f, "a request for user input, {request}")
            }
        }
    }
}

/// A call and its answer as JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) call: Call,
    pub(crate) answer: Box<RawValue>,
}

impl Entry {
    /// Returns the entry; `None` if `answer` cannot be serialised.
    pub(crate) fn new(call: Call, answer: &impl Serialize) -> Option<Self> {
        let answer = serde_json::value::to_raw_value(answer).ok()?;
        Some(Self { call, answer })
    }
}
