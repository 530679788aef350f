//! Cuts an answer's bytes into JSON payloads, whether the server streams events or sends one
//! JSON document although a stream was asked for.

use serde_json::Value;

use super::secret::excerpt;
use super::sse::{SseEvent, SseParser};

/// One piece of an answer.
#[derive(Debug, PartialEq)]
pub(super) enum Payload {
    /// A chunk, a whole completion or an error object.
    Json(Value),
    /// The stream's `[DONE]`.
    Done,
}

/// Why the bytes are no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Undecodable {
    /// More than the bound in one piece or in all.
    TooLarge,
    /// Neither JSON nor events with JSON; says what it is, with an excerpt.
    Format(String),
}

/// Takes bytes as they arrive.
#[derive(Debug)]
pub(super) struct Decoder {
    limit: usize,
    /// How many more bytes may come in all.
    left: usize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Only white space yet.
    Unknown,
    Document(Vec<u8>),
    Events(SseParser),
}

/// Frames and thinking around a reply's text may be this many times larger than the text.
const OVERHEAD: usize = 64;

/// Characters of a strange answer that are kept: more than an error shows, so that a key at the
/// cut is still whole when it is scrubbed.
pub(super) const EXCERPT: usize = 4000;

impl Decoder {
    /// A decoder for a reply whose text has at most `max_reply_bytes`.
    pub fn new(max_reply_bytes: usize) -> Self {
        // JSON may write one byte as `\u0000`, and a small reply still has its frame.
        let limit = max_reply_bytes.saturating_mul(6).saturating_add(64 << 10);
        Self {
            limit,
            left: limit.saturating_mul(OVERHEAD),
            form: Form::Unknown,
        }
    }

    /// Takes the next bytes and gives the payloads that they complete.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<Payload>, Undecodable> {
        self.left = self
            .left
            .checked_sub(bytes.len())
            .ok_or(Undecodable::TooLarge)?;
        if matches!(self.form, Form::Unknown) {
            let Some(start) = bytes.iter().position(|b| !b.is_ascii_whitespace()) else {
                return Ok(Vec::new());
            };
            bytes = &bytes[start..];
            self.form = match bytes[0] {
                b'{' | b'[' | b'<' => Form::Document(Vec::new()),
                _ => Form::Events(SseParser::new(self.limit)),
            };
        }
        match &mut self.form {
            Form::Unknown => Ok(Vec::new()),
            Form::Document(document) => {
                if bytes.len() > self.limit - document.len() {
                    return Err(Undecodable::TooLarge);
                }
                document.extend_from_slice(bytes);
                Ok(Vec::new())
            }
            Form::Events(parser) => {
                let events = parser.push(bytes).map_err(|_| Undecodable::TooLarge)?;
                events.into_iter().map(payload).collect()
            }
        }
    }

    /// The answer has ended: gives what is still open.
    pub fn finish(self) -> Result<Option<Payload>, Undecodable> {
        match self.form {
            Form::Unknown => Ok(None),
            Form::Document(bytes) => match serde_json::from_slice(&bytes) {
                Ok(value) => Ok(Some(Payload::Json(value))),
                Err(error) => Err(Undecodable::Format(format!(
                    "not JSON, {error}: {}",
                    excerpt(&String::from_utf8_lossy(&bytes), EXCERPT)
                ))),
            },
            Form::Events(parser) => {
                let event = parser.finish().map_err(|_| Undecodable::TooLarge)?;
                // An event that the connection's end cut off in the middle is no fault of format:
                // the answer is then without an end, which is noticed elsewhere.
                Ok(event.and_then(|event| payload(event).ok()))
            }
        }
    }
}

fn payload(event: SseEvent) -> Result<Payload, Undecodable> {
    let data = event.data.trim();
    if data == "[DONE]" {
        return Ok(Payload::Done);
    }
    if data.is_empty() {
        return Ok(Payload::Json(Value::Null));
    }
    match serde_json::from_str(data) {
        // An `error` event whose data is the error itself.
        Ok(value @ Value::Object(_)) if event.event == "error" && value.get("error").is_none() => {
            Ok(Payload::Json(serde_json::json!({"error": value})))
        }
        Ok(value) => Ok(Payload::Json(value)),
        Err(_) if event.event == "error" => Ok(Payload::Json(serde_json::json!({"error": data}))),
        Err(error) => Err(Undecodable::Format(format!(
            "an event's data is not JSON, {error}: {}",
            excerpt(data, EXCERPT)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(pieces: &[&str]) -> Result<Vec<Payload>, Undecodable> {
        let mut decoder = Decoder::new(1000);
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(decoder.push(piece.as_bytes())?);
        }
        all.extend(decoder.finish()?);
        Ok(all)
    }

    #[test]
    fn events_and_a_document_are_told_apart() {
        let events = decode(&["\r\n", ": hi\n\ndata: {\"a\"", ":1}\n\ndata: [DONE]"]);
        assert_eq!(
            events,
            Ok(vec![Payload::Json(json!({"a": 1})), Payload::Done])
        );
        let document = decode(&[" ", "{\"a\":\n", "\n1}\n"]);
        assert_eq!(document, Ok(vec![Payload::Json(json!({"a": 1}))]));
        assert_eq!(decode(&[]), Ok(vec![]));
    }

    #[test]
    fn an_error_event_becomes_an_error_object() {
        for data in ["{\"message\":\"m\"}", "{\"error\":{\"message\":\"m\"}}"] {
            let text = format!("event: error\ndata: {data}\n\n");
            let expected = json!({"error": {"message": "m"}});
            assert_eq!(decode(&[&text]), Ok(vec![Payload::Json(expected)]));
        }
        let expected = Payload::Json(json!({"error": "boom"}));
        assert_eq!(
            decode(&["event: error\ndata: boom\n\n"]),
            Ok(vec![expected])
        );
    }

    #[test]
    fn what_is_neither_is_shown_in_an_excerpt() {
        for text in ["<html>\n<b>Hi</b>", "data: <html> <b>Hi</b>\n\n"] {
            match decode(&[text]) {
                Err(Undecodable::Format(reason)) => assert!(reason.contains("<html> <b>Hi</b>")),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_document_or_line_past_the_bound_is_refused() {
        for start in ["{", "data: "] {
            let text = format!("{start}{}", "x".repeat(80_000));
            assert_eq!(decode(&[&text]), Err(Undecodable::TooLarge));
        }
    }
}
