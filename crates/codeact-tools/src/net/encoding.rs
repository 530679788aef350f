//! Encodings in which the value of a secret is inserted.

use std::borrow::Cow;

use codeact_base::redact::{encode_path, encode_query};

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
            Self::Path => encode_path(value).into(),
            Self::Query => encode_query(value).into(),
            Self::Json => json(value).into(),
        }
    }
}

fn json(value: &str) -> String {
    let mut text = serde_json::Value::from(value).to_string();
    text.pop();
    text.split_off(1.min(text.len()))
}
