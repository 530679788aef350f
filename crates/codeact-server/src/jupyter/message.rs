//! Messages of a kernel.
//!
//! <https://jupyter-client.readthedocs.io/en/stable/messaging.html>

use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use axum::extract::ws;
use serde_json::{Value, json};

use super::request::Channel;
use super::{frames, ids};

/// Version of the message protocol.
pub(super) const PROTOCOL_VERSION: &str = "5.3";

/// A message of a kernel, with both encodings made when a socket first needs them.
pub(super) struct Message {
    channel: Channel,
    kind: &'static str,
    header: Value,
    parent: Arc<Value>,
    content: Value,
    metadata: Value,
    text: OnceLock<ws::Utf8Bytes>,
    binary: OnceLock<ws::Message>,
}

impl Message {
    /// Returns a message about the request with the header `parent`; an empty object if it is about none.
    pub(super) fn new(
        session: &str,
        channel: Channel,
        parent: &Arc<Value>,
        kind: &'static str,
        content: Value,
    ) -> Self {
        // Without randomness the identifier is empty, which clients do not use.
        let id = ids::uuid().unwrap_or_default();
        Self {
            channel,
            kind,
            header: json!({
                "msg_id": id,
                "msg_type": kind,
                "username": "codeact",
                "session": session,
                "date": ids::timestamp(SystemTime::now()),
                "version": PROTOCOL_VERSION,
            }),
            parent: parent.clone(),
            content,
            metadata: json!({}),
            text: OnceLock::new(),
            binary: OnceLock::new(),
        }
    }

    /// Returns the frame of the message; `v1` selects the encoding of the subprotocol.
    pub(super) fn frame(&self, v1: bool) -> ws::Message {
        if v1 {
            let parts = [&self.header, &*self.parent, &self.metadata, &self.content];
            let encode = || {
                let parts = parts.map(|part| part.to_string().into_bytes());
                ws::Message::Binary(frames::encode_v1(self.channel, &parts).into())
            };
            return self.binary.get_or_init(encode).clone();
        }
        let encode = || {
            json!({
                "header": self.header,
                "msg_id": self.header["msg_id"],
                "msg_type": self.kind,
                "parent_header": *self.parent,
                "metadata": self.metadata,
                "content": self.content,
                "buffers": [],
                "channel": self.channel.as_str(),
            })
            .to_string()
            .into()
        };
        ws::Message::Text(self.text.get_or_init(encode).clone())
    }
}
