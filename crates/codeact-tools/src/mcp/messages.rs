//! Messages of a server before they are read.
//!
//! This file is a security boundary. The library of the protocol skips a message that it cannot read, and the call that
//! the message responds to would wait for its time limit. So a response that cannot be read is replaced by an error.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::long_integers::{mark_long_integers, string_end};

/// Returns the message to be read instead of `message`; `None` if it is read as it is.
pub(super) fn readable(message: &str) -> Option<String> {
    if !message.trim_start().starts_with('{') {
        return None;
    }
    match serde_json::from_str::<Checked>(message) {
        Ok(_) => mark_long_integers(message),
        Err(error) => {
            let why = format!("its response cannot be read: {error}");
            let error = json!({ "code": -32700, "message": why });
            let response = json!({ "jsonrpc": "2.0", "id": response_id(message)?, "error": error });
            Some(response.to_string())
        }
    }
}

/// Returns the id of a response that is not valid, or is nested too deeply to be parsed.
fn response_id(message: &str) -> Option<Value> {
    let bytes = message.as_bytes();
    let (mut at, mut depth, mut id) = (0, 0_usize, None);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let end = string_end(bytes, at);
                let key = message.get(at..end).unwrap_or_default();
                let value = message.get(end..).unwrap_or_default().trim_start();
                if depth == 1
                    && let Some(value) = value.strip_prefix(':')
                {
                    match key {
                        // It is a request or a notification.
                        "\"method\"" => return None,
                        "\"id\"" => id = scalar(value.trim_start()),
                        _ => {}
                    }
                }
                at = end;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    id
}

/// Returns the number or text at the beginning of `json`.
fn scalar(json: &str) -> Option<Value> {
    let end = match json.starts_with('"') {
        true => string_end(json.as_bytes(), 0),
        false => json.find([',', '}', ']', ' ', '\r', '\t'])?,
    };
    let value: Value = serde_json::from_str(json.get(..end)?).ok()?;
    (value.is_string() || value.is_number()).then_some(value)
}

/// A JSON value that was parsed as any other, with all limits, and not stored.
struct Checked;

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(CheckVisitor)
    }
}

struct CheckVisitor;

impl<'de> Visitor<'de> for CheckVisitor {
    type Value = Checked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_str<E>(self, _: &str) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_unit<E>(self) -> Result<Checked, E> {
        Ok(Checked)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Checked, A::Error> {
        while list.next_element::<Checked>()?.is_some() {}
        Ok(Checked)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Checked, A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value::<Checked>()?;
        }
        Ok(Checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_that_cannot_be_read_becomes_an_error() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for (message, id) in [
            (
                format!(r#"{{"jsonrpc":"2.0","id":7,"result":{deep}}}"#),
                json!(7),
            ),
            (
                format!(r#"{{"result":{{"id":1,"x":{deep}}},"id" : "a\"b"}}"#),
                json!("a\"b"),
            ),
            (r#"{"id":1,"result":{"x":1e999}}"#.into(), json!(1)),
            (r#"{"id":1,"result":{"x":"#.into(), json!(1)),
            (r#"{"id":1,"result":{"x":"\ud800"}}"#.into(), json!(1)),
        ] {
            let read: Value = serde_json::from_str(&readable(&message).unwrap()).unwrap();
            assert_eq!(read["id"], id);
            let why = read["error"]["message"].as_str().unwrap();
            assert!(why.starts_with("its response cannot be read: "), "{why}");
        }
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for message in [
            "a line of a log".to_owned(),
            String::new(),
            "{not json".into(),
            r#"{"id":1,"result":{"x":[1,1.5,"a",null,true]}}"#.into(),
            format!(r#"{{"id":1,"method":"roots/list","params":{deep}}}"#),
            format!(r#"{{"id":null,"result":{deep}}}"#),
            format!(r#"{{"result":{{"id":1,"x":{deep}}}}}"#),
        ] {
            assert_eq!(readable(&message), None, "{message:.80}");
        }
    }

    #[test]
    fn long_integers_are_marked() {
        let message = r#"{"id":1,"result":{"x":123456789012345678901}}"#;
        assert!(
            readable(message)
                .unwrap()
                .contains("codeact.int:123456789012345678901")
        );
    }
}
