//! Encodings in which the value of a secret is inserted.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Encoding of a value at the position where it is inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// None.
    Plain,
    /// None, and without escapes around it.
    Credentials,
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
            Self::Plain | Self::Credentials => Cow::Borrowed(value),
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
