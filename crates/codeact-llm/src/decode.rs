//! Decoder of response bodies: a stream of events, or one JSON document from a server that does not stream.

use serde_json::Value;

use crate::api_key::excerpt;
use crate::sse::{SseEvent, SseParser};

/// An item of a response body.
#[derive(Debug, PartialEq)]
pub(super) enum StreamItem {
    /// A chunk, a complete completion or an error object.
    Json(Value),
    /// The `[DONE]` of a stream.
    Done,
}

/// Reason why a body cannot be decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DecodeError {
    /// An item or the whole body exceeds its limit.
    TooLarge,
    /// The body is neither JSON nor a stream of events with JSON. Contains an excerpt.
    Format(String),
}

/// Incremental decoder of a response body.
#[derive(Debug)]
pub(super) struct Decoder {
    limit: usize,
    /// Bytes that the body may still have.
    left: usize,
    form: BodyFormat,
}

#[derive(Debug)]
enum BodyFormat {
    /// Only white space so far.
    Unknown,
    Document(Vec<u8>),
    Events(SseParser),
}

/// Maximum ratio of the size of a body to the limit of one item. Most of a body is JSON syntax and reasoning text.
const MAX_OVERHEAD_FACTOR: usize = 64;

/// Maximum size of a body, in bytes, unless one item may be larger. A token in an event of its own has some hundred bytes.
const MAX_BODY_BYTES: usize = 256 << 20;

/// Maximum length of an excerpt, in characters. It is larger than that in an error, so that a key is not cut before
/// it is redacted.
pub(super) const MAX_EXCERPT_CHARS: usize = 4000;

impl Decoder {
    /// Returns a decoder for a reply with at most `max_reply_bytes` of text.
    pub fn new(max_reply_bytes: usize) -> Self {
        // JSON can encode one byte as `\u0000`, which has six bytes. The constant is for the JSON around a small
        // reply.
        let limit = max_reply_bytes.saturating_mul(6).saturating_add(64 << 10);
        Self {
            limit,
            left: limit
                .saturating_mul(MAX_OVERHEAD_FACTOR)
                .min(MAX_BODY_BYTES.max(limit)),
            form: BodyFormat::Unknown,
        }
    }

    /// Decodes the next bytes. Returns the items that are now complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<StreamItem>, DecodeError> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(DecodeError::TooLarge)?;
        if matches!(self.form, BodyFormat::Unknown) {
            let Some(start) = bytes.iter().position(|b| !b.is_ascii_whitespace()) else {
                return Ok(Vec::new());
            };
            bytes = &bytes[start..];
            self.form = match bytes[0] {
                b'{' | b'[' | b'<' => BodyFormat::Document(Vec::new()),
                _ => BodyFormat::Events(SseParser::new(self.limit)),
            };
        }
        match &mut self.form {
            BodyFormat::Unknown => Ok(Vec::new()),
            BodyFormat::Document(document) => {
                if bytes.len() > self.limit - document.len() {
                    return Err(DecodeError::TooLarge);
                }
                document.extend_from_slice(bytes);
                Ok(Vec::new())
            }
            BodyFormat::Events(parser) => {
                let events = parser.push(bytes).map_err(|_| DecodeError::TooLarge)?;
                events.into_iter().map(stream_item).collect()
            }
        }
    }

    /// Ends the body. Returns the last item if it was still open.
    pub fn finish(self) -> Result<Option<StreamItem>, DecodeError> {
        match self.form {
            BodyFormat::Unknown => Ok(None),
            BodyFormat::Document(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => Ok(Some(StreamItem::Json(value))),
                Err(error) => Err(DecodeError::Format(format!(
                    "not JSON, {error}: {}",
                    excerpt(&String::from_utf8_lossy(&bytes), MAX_EXCERPT_CHARS)
                ))),
            },
            BodyFormat::Events(parser) => {
                let event = parser.finish().map_err(|_| DecodeError::TooLarge)?;
                // If the connection ended within an event, the event is ignored: the reply is then incomplete, which
                // is an error of its own.
                Ok(event.and_then(|event| stream_item(event).ok()))
            }
        }
    }
}

fn stream_item(event: SseEvent) -> Result<StreamItem, DecodeError> {
    let data = event.data.trim();
    if data == "[DONE]" {
        return Ok(StreamItem::Done);
    }
    if data.is_empty() {
        return Ok(StreamItem::Json(Value::Null));
    }
    match serde_json::from_str(data) {
        // The data of an `error` event is the error itself.
        Ok(value @ Value::Object(_)) if event.event == "error" && value.get("error").is_none() => {
            Ok(StreamItem::Json(serde_json::json!({"error": value})))
        }
        Ok(value) => Ok(StreamItem::Json(value)),
        Err(_) if event.event == "error" => {
            Ok(StreamItem::Json(serde_json::json!({"error": data})))
        }
        Err(error) => Err(DecodeError::Format(format!(
            "an event's data is not JSON, {error}: {}",
            excerpt(data, MAX_EXCERPT_CHARS)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(pieces: &[&str]) -> Result<Vec<StreamItem>, DecodeError> {
        let mut decoder = Decoder::new(1000);
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(decoder.push(piece.as_bytes())?);
        }
        all.extend(decoder.finish()?);
        Ok(all)
    }

    #[test]
    fn events_and_documents_are_distinguished() {
        let events = decode(&["\r\n", ": hi\n\ndata: {\"a\"", ":1}\n\ndata: [DONE]"]);
        assert_eq!(
            events,
            Ok(vec![StreamItem::Json(json!({"a": 1})), StreamItem::Done])
        );
        let document = decode(&[" ", "{\"a\":\n", "\n1}\n"]);
        assert_eq!(document, Ok(vec![StreamItem::Json(json!({"a": 1}))]));
        assert_eq!(decode(&[]), Ok(vec![]));
    }

    #[test]
    fn an_error_event_becomes_an_error_object() {
        for data in ["{\"message\":\"m\"}", "{\"error\":{\"message\":\"m\"}}"] {
            let text = format!("event: error\ndata: {data}\n\n");
            let expected = json!({"error": {"message": "m"}});
            assert_eq!(decode(&[&text]), Ok(vec![StreamItem::Json(expected)]));
        }
        let expected = StreamItem::Json(json!({"error": "boom"}));
        assert_eq!(
            decode(&["event: error\ndata: boom\n\n"]),
            Ok(vec![expected])
        );
    }

    #[test]
    fn the_error_for_another_format_has_an_excerpt() {
        for text in ["<html>\n<b>Hi</b>", "data: <html> <b>Hi</b>\n\n"] {
            match decode(&[text]) {
                Err(DecodeError::Format(reason)) => assert!(reason.contains("<html> <b>Hi</b>")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_document_or_line_above_the_limit_is_rejected() {
        for start in ["{", "data: "] {
            let text = format!("{start}{}", "x".repeat(80_000));
            assert_eq!(decode(&[&text]), Err(DecodeError::TooLarge));
        }
    }
}
