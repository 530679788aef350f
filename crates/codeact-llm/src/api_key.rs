//! API keys that are never printed. This file is a security boundary.
//!
//! Only this file accesses the text of a key. `openai.rs` and `probe.rs` put it into a header. A server can repeat it, so
//! it is removed from every text of a server, where the text enters: from errors (`redact`), and from replies and their
//! deltas (`reply_builder.rs`).

use std::fmt;

use codeact_base::redact::Redactor;
use reqwest::header::HeaderValue;

use crate::address::BaseUrl;
use crate::error::ModelError;

/// Minimum length of a key that is removed from texts. Shorter keys are placeholders such as `EMPTY` or `ollama`, and
/// their removal would only damage the text.
const MIN_REDACTED_BYTES: usize = 8;

/// An API key. `Debug` and `Display` print `***`, and it is never serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Returns a key without the white space around `key`, such as the newline at the end of a file.
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// Returns true if the key is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the `Authorization` header with this key, marked as sensitive so that no HTTP layer prints it.
    pub(super) fn bearer(&self) -> Result<HeaderValue, ModelError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0))
            .map_err(|_| ModelError::UnusableKey)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Returns an excerpt of a server's text for an error: without the key, on one line, with at most `max_chars`
/// characters.
pub(super) fn redact(text: &str, key: Option<&ApiKey>, max_chars: usize) -> String {
    excerpt(&secrets(key, None).text(text), max_chars)
}

/// Returns a redactor for all texts of a server: it replaces the key, and the secret parts of the address, by `***`.
pub(super) fn secrets(key: Option<&ApiKey>, address: Option<&BaseUrl>) -> Redactor {
    let parts = address.map(BaseUrl::secrets).unwrap_or_default();
    let all = key.map(|ApiKey(key)| key.clone()).into_iter().chain(parts);
    let long = all.filter(|secret| secret.len() >= MIN_REDACTED_BYTES);
    Redactor::new(long.map(|secret| (secret, "***".to_owned())))
}

/// Returns `text` on one line, without control characters, with at most `max_chars` characters and an ellipsis.
pub(super) fn excerpt(text: &str, max_chars: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !line.is_empty();
            continue;
        }
        if count >= max_chars {
            line.push('…');
            break;
        }
        if std::mem::take(&mut gap) {
            line.push(' ');
            count += 1;
        }
        line.push(c);
        count += 1;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-very-secret-0123456789";

    #[test]
    fn a_key_prints_as_stars() {
        let secret = ApiKey::new(format!(" {KEY}\n"));
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
        let header = secret.bearer().unwrap();
        assert!(header.is_sensitive());
        assert!(!format!("{header:?}").contains(KEY));
        assert_eq!(header.to_str().unwrap(), format!("Bearer {KEY}"));
    }

    #[test]
    fn a_key_that_is_not_a_valid_header_is_rejected_and_not_printed() {
        let error = ApiKey::new("sk-one\nsk-two").bearer().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk-"));
    }

    #[test]
    fn redaction_removes_the_key_and_returns_one_bounded_line() {
        let key = ApiKey::new(KEY);
        let text = format!("bad key\r\n  {KEY}\u{1b}[31m!");
        assert_eq!(redact(&text, Some(&key), 100), "bad key *** [31m!");
        assert_eq!(redact("aaaa", None, 3), "aaa…");
        assert_eq!(
            redact("no EMPTY", Some(&ApiKey::new("EMPTY")), 99),
            "no EMPTY"
        );
    }
}
