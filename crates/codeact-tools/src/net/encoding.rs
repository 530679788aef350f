//! Encodings of secrets: those in which a value is inserted, and those in which it may come back.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Encoding of a value at the position where it is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// None.
    Plain,
    /// The path of a URL: characters that are allowed there stay (RFC 3986, section 3.3).
    Path,
    /// A query, and the body of a form.
    Query,
    /// The inside of a JSON string.
    Json,
}

impl Encoding {
    /// Returns `value` in this encoding.
    pub(super) fn encode(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(value),
            Self::Path => percent(value, "-._~!$&'()*+,;=:@").into(),
            Self::Query => percent(value, "-._~").into(),
            Self::Json => json(value).into(),
        }
    }
}

/// Percent-encodes all bytes except letters, digits and `unchanged`.
fn percent(value: &str, unchanged: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || unchanged.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn json(value: &str) -> String {
    let mut text = serde_json::Value::from(value).to_string();
    text.pop();
    text.split_off(1.min(text.len()))
}

/// Returns the inside of a JSON string in ASCII, as Python writes it.
fn ascii_json(value: &str) -> String {
    let mut text = String::new();
    for c in json(value).chars() {
        if c.is_ascii() {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

/// Returns the base64 characters that depend on `value` only, if `before` bytes (0 to 2) precede it in its group of
/// three.
fn base64(value: &str, before: usize, engine: &impl base64::Engine) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value.as_bytes());
    let whole = bytes.len() * 8 / 6;
    let text = engine.encode(bytes);
    let first = (before * 8).div_ceil(6);
    text.get(first..whole).unwrap_or("").to_owned()
}

/// Returns every encoding in which a value is redacted.
pub(super) fn all_encodings(value: &str) -> HashSet<String> {
    let mut all = HashSet::new();
    for encoding in [
        Encoding::Plain,
        Encoding::Path,
        Encoding::Query,
        Encoding::Json,
    ] {
        let text = encoding.encode(value).into_owned();
        if matches!(encoding, Encoding::Path | Encoding::Query) {
            all.insert(lower_hex(&text));
            all.insert(text.replace("%20", "+"));
        }
        all.insert(text);
    }
    let ascii = ascii_json(value);
    all.insert(ascii.replace('/', "\\/"));
    all.insert(ascii);
    for before in 0..3 {
        all.insert(base64(value, before, &STANDARD_NO_PAD));
        all.insert(base64(value, before, &URL_SAFE_NO_PAD));
    }
    all.remove("");
    all
}

/// Returns `text` with `%2F` as `%2f`.
fn lower_hex(text: &str) -> String {
    let mut lower = String::new();
    let mut escape = 0;
    for c in text.chars() {
        if c == '%' {
            escape = 3;
        }
        lower.push(if escape > 0 {
            c.to_ascii_lowercase()
        } else {
            c
        });
        escape = usize::saturating_sub(escape, 1);
    }
    lower
}
