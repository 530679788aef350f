//! Reads JSON as models write it: with line feeds in strings, quotes of either kind, Python's constants, trailing commas
//! and names without quotes. The text after the value is not read.

use serde_json::{Map, Number, Value};

use super::steps;

/// Limit of the nesting. A deeper value is incomplete.
const MAX_DEPTH: usize = 64;

/// A value at the start of a text.
#[derive(Debug)]
pub(super) struct LooseJson {
    /// The value. If it is incomplete, its part up to the error.
    pub(super) value: Value,
    /// True if the value has its end.
    pub(super) is_complete: bool,
    /// Offset after the value, or of the error.
    pub(super) end: usize,
}

/// Reads the object or array at the start of `text`. `None` if there is none.
pub(super) fn read(text: &str) -> Option<LooseJson> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut reader = Reader { text, at: 0 };
    let (value, is_complete) = reader.value(MAX_DEPTH);
    steps::count(reader.at);
    Some(LooseJson {
        value,
        is_complete,
        end: reader.at,
    })
}

/// Returns the string literal of JSON or Python at the start of `text`, and its length.
pub(super) fn string(text: &str) -> Option<(String, usize)> {
    let mut reader = Reader { text, at: 0 };
    let (value, is_complete) = reader.string()?;
    steps::count(reader.at);
    is_complete.then_some((value, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

/// Quotes of strings, the longer ones first. The models of the Gemma family have a token in place of a quote.
const QUOTES: [&str; 6] = ["<|\"|>", "<escape>", "\"\"\"", "'''", "\"", "'"];

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn take(&mut self, c: char) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    /// True if only closing brackets are missing: after a value, the text or its block ends.
    fn is_at_end(&self) -> bool {
        let rest = self.rest().trim_start();
        let ends = ["</", "<|", "<｜", "```"];
        rest.is_empty() || ends.iter().any(|end| rest.starts_with(end))
    }

    /// Reads a value. The flag is false if it is incomplete.
    fn value(&mut self, depth: usize) -> (Value, bool) {
        self.skip_blanks();
        if depth == 0 {
            return (Value::Null, false);
        }
        match self.rest().chars().next() {
            Some('{') => self.object(depth),
            Some('[') => self.array(depth),
            _ => match self.string() {
                Some((text, is_complete)) => (Value::String(text), is_complete),
                None => match self.word() {
                    Some(value) => (value, true),
                    None => (Value::Null, false),
                },
            },
        }
    }

    fn object(&mut self, depth: usize) -> (Value, bool) {
        let mut members = Map::new();
        self.at += 1;
        let is_complete = loop {
            if self.take('}') {
                break true;
            }
            let Some(key) = self.key() else {
                break false;
            };
            if !self.take(':') {
                break false;
            }
            let (value, is_complete) = self.value(depth - 1);
            members.insert(key, value);
            if !is_complete {
                break false;
            }
            if !self.take(',') {
                break self.take('}') || self.is_at_end();
            }
        };
        (Value::Object(members), is_complete)
    }

    fn array(&mut self, depth: usize) -> (Value, bool) {
        let mut items = Vec::new();
        self.at += 1;
        let is_complete = loop {
            if self.take(']') {
                break true;
            }
            let (value, is_complete) = self.value(depth - 1);
            items.push(value);
            if !is_complete {
                break false;
            }
            if !self.take(',') {
                break self.take(']') || self.is_at_end();
            }
        };
        (Value::Array(items), is_complete)
    }

    fn key(&mut self) -> Option<String> {
        self.skip_blanks();
        if let Some((key, is_complete)) = self.string() {
            return is_complete.then_some(key);
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        self.at += end;
        (end > 0).then(|| rest[..end].to_owned())
    }

    /// Reads a number or a constant.
    fn word(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"+-._".contains(c))
            .unwrap_or(rest.len());
        let value = match &rest[..end] {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            word => Value::Number(serde_json::from_str::<Number>(word).ok()?),
        };
        self.at += end;
        Some(value)
    }

    /// Reads a string. `None` if there is no quote. The flag is false if it has no end.
    fn string(&mut self) -> Option<(String, bool)> {
        let rest = self.rest();
        let quote = QUOTES.iter().find(|quote| rest.starts_with(*quote))?;
        self.at += quote.len();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                return Some((text, true));
            }
            let Some(c) = rest.chars().next() else {
                return Some((text, false));
            };
            self.at += c.len_utf8();
            if c == '\\' {
                self.escape(&mut text);
            } else {
                text.push(c);
            }
        }
    }

    /// Reads the rest of an escape sequence. An unknown one stays as it is, such as `\d` in a pattern.
    fn escape(&mut self, text: &mut String) {
        let Some(c) = self.rest().chars().next() else {
            text.push('\\');
            return;
        };
        self.at += c.len_utf8();
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            '"' | '\'' | '\\' | '/' => text.push(c),
            'u' => match self.code_point() {
                Some(c) => text.push(c),
                None => text.push_str("\\u"),
            },
            _ => text.extend(['\\', c]),
        }
    }

    /// Reads the digits of `\uXXXX`, or of a surrogate pair.
    fn code_point(&mut self) -> Option<char> {
        let first = self.hex(0)?;
        let (point, len) = match first {
            0xd800..=0xdbff => {
                let second = (self.rest().get(4..6)? == "\\u").then(|| self.hex(6))??;
                let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                (0x10000 + ((first - 0xd800) << 10) + low, 10)
            }
            _ => (first, 4),
        };
        let c = char::from_u32(point)?;
        self.at += len;
        Some(c)
    }

    fn hex(&self, from: usize) -> Option<u32> {
        let digits = self.rest().get(from..from + 4)?;
        let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_hex.then(|| u32::from_str_radix(digits, 16).ok())?
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_as_models_write_it_is_read_up_to_its_end() {
        for (text, value) in [
            (
                r#"{"a": [1, -2.5e3, true, null]} x"#,
                json!({"a": [1, -2500.0, true, null]}),
            ),
            ("{'a': True, 'b': None,}", json!({"a": true, "b": null})),
            ("{a: \"x\ny\"}", json!({"a": "x\ny"})),
            (r#"["\d\u00e9\ud83d\ude00\"'\/"]"#, json!(["\\dé😀\"'/"])),
            ("{\"a\": \"\"\"x \"y\" z\"\"\"}", json!({"a": "x \"y\" z"})),
            ("{\"a\": [{\"b\": 1\n</tool_call>", json!({"a": [{"b": 1}]})),
            ("{a:<|\"|>print(\"x\")<|\"|>}", json!({"a": "print(\"x\")"})),
        ] {
            let read = read(text).expect(text);
            assert!(read.is_complete, "{text}");
            assert_eq!(read.value, value, "{text}");
        }
    }

    #[test]
    fn an_incomplete_value_has_its_members_so_far() {
        for (text, value) in [
            (
                r#"{"name": "python", "arguments": {"code": "x = "#,
                json!({"name": "python", "arguments": {"code": "x = "}}),
            ),
            (r#"{"a": 1 "b""#, json!({"a": 1})),
            ("[1, ?", json!([1, null])),
        ] {
            let read = read(text).expect(text);
            assert!(!read.is_complete, "{text}");
            assert_eq!(read.value, value, "{text}");
        }
        let deep = read(&"[".repeat(100_000)).expect("a value");
        assert!(!deep.is_complete);
        assert!(deep.end <= MAX_DEPTH);
    }
}
