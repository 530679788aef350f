//! Encodings of messages in WebSocket frames: JSON, JSON with buffers, and `v1.kernel.websocket.jupyter.org`.
//!
//! Security boundary: frames are untrusted. Every offset is checked before it is used.
//! <https://jupyter-server.readthedocs.io/en/latest/developers/websocket-protocols.html>

use serde::Deserialize;
use serde_json::value::RawValue;

use super::request::{Channel, Request};

/// Name of the subprotocol with binary frames.
pub(super) const V1: &str = "v1.kernel.websocket.jupyter.org";
/// Limit of the parts of a binary frame. A message has five, and its buffers.
const MAX_PARTS: usize = 1024;

/// A message in JSON. Buffers are skipped: no message that a kernel answers has any.
#[derive(Deserialize)]
struct Frame {
    header: Box<RawValue>,
    content: Option<Box<RawValue>>,
    channel: Option<Channel>,
}

/// Reads a message in JSON. Without a channel it is for the shell.
pub(super) fn decode_text(text: &str) -> Result<Request, &'static str> {
    let frame: Frame =
        serde_json::from_str(text).map_err(|_| "the frame is not a message in JSON")?;
    let channel = frame.channel.unwrap_or(Channel::Shell);
    let content = frame.content.unwrap_or_else(empty);
    Request::new(channel, &frame.header, content)
}

/// Reads a binary frame of the default protocol: the number of parts and their offsets as big-endian integers of 32 bits,
/// a message in JSON, and buffers.
pub(super) fn decode_with_buffers(bytes: &[u8]) -> Result<Request, &'static str> {
    let invalid = "the binary frame has invalid offsets";
    let integer = |at: usize| {
        let field = bytes.get(at * 4..at * 4 + 4)?;
        usize::try_from(u32::from_be_bytes(field.try_into().ok()?)).ok()
    };
    let count = integer(0).filter(|count| (1..=MAX_PARTS).contains(count));
    let count = count.ok_or(invalid)?;
    let start = integer(1).ok_or(invalid)?;
    let end = match count {
        1 => bytes.len(),
        _ => integer(2).ok_or(invalid)?,
    };
    let text = bytes.get(start..end).ok_or(invalid)?;
    decode_text(std::str::from_utf8(text).map_err(|_| "the message is not UTF-8")?)
}

/// Reads a frame of the subprotocol: the number of offsets and the offsets as little-endian integers of 64 bits, then the
/// channel, header, parent header, metadata, content and buffers. The last offset is the end.
pub(super) fn decode_v1(bytes: &[u8]) -> Result<Request, &'static str> {
    let invalid = "the binary frame has invalid offsets";
    let integer = |at: usize| {
        let field = bytes.get(at * 8..at * 8 + 8)?;
        usize::try_from(u64::from_le_bytes(field.try_into().ok()?)).ok()
    };
    let count = integer(0).filter(|count| (6..=MAX_PARTS).contains(count));
    count.ok_or(invalid)?;
    let part = |number: usize| {
        let range = integer(number + 1)?..integer(number + 2)?;
        std::str::from_utf8(bytes.get(range)?).ok()
    };
    let channel = match part(0).ok_or(invalid)? {
        "shell" => Channel::Shell,
        "control" => Channel::Control,
        "stdin" => Channel::Stdin,
        "iopub" => Channel::Iopub,
        _ => return Err("the channel is not known"),
    };
    let raw = |number| {
        let text = part(number).ok_or(invalid)?;
        serde_json::from_str::<Box<RawValue>>(text).map_err(|_| "a part is not JSON")
    };
    Request::new(channel, &raw(1)?, raw(4)?)
}

/// Returns the frame of the subprotocol for a message of `parts`: header, parent header, metadata and content.
pub(super) fn encode_v1(channel: Channel, parts: &[Vec<u8>; 4]) -> Vec<u8> {
    let channel = channel.as_str().as_bytes();
    let parts: Vec<&[u8]> = std::iter::once(channel)
        .chain(parts.iter().map(Vec::as_slice))
        .collect();
    let count = parts.len() + 1;
    let mut offset = 8 * (1 + count);
    let size = offset + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut frame = Vec::with_capacity(size);
    frame.extend((count as u64).to_le_bytes());
    for part in &parts {
        frame.extend((offset as u64).to_le_bytes());
        offset += part.len();
    }
    frame.extend((offset as u64).to_le_bytes());
    for part in parts {
        frame.extend(part);
    }
    frame
}

fn empty() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"msg_id":"1","msg_type":"kernel_info_request"}"#;

    fn v1_frame() -> Vec<u8> {
        let parts = [HEADER, "{}", "{}", "{}"].map(|part| part.as_bytes().to_vec());
        encode_v1(Channel::Control, &parts)
    }

    #[test]
    fn a_frame_of_the_subprotocol_is_read_as_it_was_written() {
        let request = decode_v1(&v1_frame()).expect("a message");
        assert_eq!(request.channel, Channel::Control);
        assert_eq!(request.kind, "kernel_info_request");
    }

    #[test]
    fn a_frame_with_buffers_has_its_message_first() {
        let text = format!(r#"{{"header":{HEADER},"channel":"shell","content":{{}}}}"#);
        let mut frame = Vec::new();
        frame.extend(2u32.to_be_bytes());
        frame.extend(12u32.to_be_bytes());
        frame.extend((12 + text.len() as u32).to_be_bytes());
        frame.extend(text.as_bytes());
        frame.extend(b"buffer");
        let request = decode_with_buffers(&frame).expect("a message");
        assert_eq!(request.kind, "kernel_info_request");
    }

    #[test]
    fn no_cut_or_changed_frame_panics() {
        let frame = v1_frame();
        for end in 0..frame.len() {
            let _ = decode_v1(&frame[..end]);
            let _ = decode_with_buffers(&frame[..end]);
        }
        for at in 0..64 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = frame.clone();
                changed[at] = value;
                let _ = decode_v1(&changed);
                let _ = decode_with_buffers(&changed);
            }
        }
    }

    #[test]
    fn messages_with_missing_or_wrong_fields_are_refused() {
        for text in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"header":null}"#,
            r#"{"header":{}}"#,
            r#"{"header":{"msg_id":1,"msg_type":"x"}}"#,
            r#"{"header":{"msg_id":"1","msg_type":["x"]}}"#,
            r#"{"header":{"msg_id":"1","msg_type":"x"},"channel":"hb"}"#,
        ] {
            assert!(decode_text(text).is_err(), "{text}");
        }
        let deep = format!(
            r#"{{"header":{{"msg_id":"1","msg_type":"x","a":{}}}}}"#,
            "[".repeat(9000)
        );
        assert!(decode_text(&deep).is_err());
    }
}
