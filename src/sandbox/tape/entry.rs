//! What is on a tape: a call and its answer.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::sandbox::toolbox::ToolCall;

/// What the guest asks of the world outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Call {
    /// The time of day.
    Realtime,
    /// The time since some moment.
    Monotonic,
    /// Stdin from a position on.
    Stdin { at: usize },
    /// The names in a mount's folder.
    List { path: Arc<str> },
    /// A mount's file, opened.
    Open { path: Arc<str> },
    /// A part of a mount's file.
    Read { path: Arc<str>, at: u64, len: usize },
    /// Somebody outside.
    Ask { request: serde_json::Value },
    /// Which tools there are.
    Tools,
    /// What a tool takes and gives.
    Describe { tool: String },
    /// A tool's answer to a call.
    Tool { call: Option<Box<ToolCall>> },
    /// Why a call may not be made, whoever would be asked.
    Refused { tool: String },
    /// The begin of a call that goes on beside the code.
    Start { call: Option<Box<ToolCall>> },
    /// The first of those that is done within a time, in nanoseconds.
    Wait { ns: Option<u64> },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Realtime => write!(f, "the time of day"),
            Self::Monotonic => write!(f, "the monotonic clock"),
            Self::Stdin { at } => write!(f, "a read of stdin at byte {at}"),
            Self::List { path } => write!(f, "a listing of {path:?} in a mount"),
            Self::Open { path } => write!(f, "an opening of {path:?} in a mount"),
            Self::Read { path, at, len } => {
                write!(
                    f,
                    "a read of {len} bytes at byte {at} of {path:?} in a mount"
                )
            }
            Self::Tools => write!(f, "the list of tools"),
            Self::Describe { tool } => write!(f, "the description of {tool:?}"),
            Self::Tool { call } | Self::Start { call } => {
                let (tool, args) = match call {
                    Some(call) => (&*call.tool, call.args.shown().to_string()),
                    None => ("?", String::new()),
                };
                let args: String = args.chars().take(200).collect();
                write!(f, "a call of {tool:?} with {args}")
            }
            Self::Refused { tool } => write!(f, "a call of {tool:?} that is not allowed"),
            Self::Wait { .. } => write!(f, "a wait for the calls under way"),
            Self::Ask { request } => {
                let request: String = request.to_string().chars().take(200).collect();
                write!(f, "a question outside, {request}")
            }
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(super) call: Call,
    pub(super) answer: Box<RawValue>,
}

impl Entry {
    pub(super) fn new(call: Call, answer: &impl Serialize) -> Option<Self> {
        let answer = serde_json::value::to_raw_value(answer).ok()?;
        Some(Self { call, answer })
    }

    /// About what it takes in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let call = match &self.call {
            Call::List { path } | Call::Open { path } | Call::Read { path, .. } => path.len(),
            Call::Ask { request } => request.to_string().len(),
            Call::Tool { call: Some(call) } | Call::Start { call: Some(call) } => {
                call.args.weight()
            }
            Call::Describe { tool } | Call::Refused { tool } => tool.len(),
            _ => 0,
        };
        size_of::<Self>() + call + self.answer.get().len()
    }
}

/// Bytes as an answer: base64 in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        STANDARD.encode(&self.0).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}
