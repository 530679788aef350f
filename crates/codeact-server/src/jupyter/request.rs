//! Messages of a client, and the channels of a kernel.
//!
//! <https://jupyter-client.readthedocs.io/en/stable/messaging.html>

use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Limit of a request's header, in bytes. Every message about the request repeats it.
const MAX_HEADER_BYTES: usize = 16 << 10;
/// Limit of the type of a message, in bytes.
const MAX_TYPE_BYTES: usize = 128;

/// A channel of a kernel. The heartbeat is not offered on WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Channel {
    Shell,
    Control,
    Iopub,
    Stdin,
}

impl Channel {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Control => "control",
            Self::Iopub => "iopub",
            Self::Stdin => "stdin",
        }
    }
}

/// A message of a client.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) channel: Channel,
    pub(super) kind: String,
    /// The header, as the client sent it.
    pub(super) header: Arc<Value>,
    content: Box<RawValue>,
}

impl Request {
    /// Checks the parts of a message. The error is for the client.
    pub(super) fn new(
        channel: Channel,
        header: &RawValue,
        content: Box<RawValue>,
    ) -> Result<Self, &'static str> {
        if header.get().len() > MAX_HEADER_BYTES {
            return Err("the header is too long");
        }
        let header: Map<String, Value> =
            serde_json::from_str(header.get()).map_err(|_| "the header is not an object")?;
        let text = |key: &str| header.get(key).and_then(Value::as_str);
        let (Some(kind), Some(_)) = (text("msg_type"), text("msg_id")) else {
            return Err("the header needs msg_id and msg_type, as texts");
        };
        if kind.len() > MAX_TYPE_BYTES {
            return Err("msg_type is too long");
        }
        Ok(Self {
            channel,
            kind: kind.to_owned(),
            header: Arc::new(Value::Object(header)),
            content,
        })
    }

    /// Reads the content. Fields that are not known are skipped.
    pub(super) fn content<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.content.get())
    }

    /// Returns the approximate memory of the message, in bytes.
    pub(super) fn size(&self) -> usize {
        self.content.get().len() + MAX_HEADER_BYTES / 16
    }
}
