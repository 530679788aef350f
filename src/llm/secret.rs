//! A key that cannot be printed. This file and `openai.rs`/`probe.rs` (which put it in a header)
//! are all that ever see one.

use std::fmt;

use reqwest::header::HeaderValue;

use super::error::ModelError;

/// Shorter keys are placeholders (`EMPTY`, `ollama`), and taking them out would only garble text.
const SHORTEST_SCRUBBED: usize = 8;

/// A key. Its `Debug` and `Display` are `***`, and it is never serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `key`, without the white space around it (a key file's last newline).
    pub fn new(key: impl AsRef<str>) -> Self {
        Self(key.as_ref().trim().to_owned())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `Authorization` header with this key, marked so that no HTTP layer prints it.
    pub(super) fn bearer(&self) -> Result<HeaderValue, ModelError> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.0))
            .map_err(|_| ModelError::UnusableKey)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Makes text from outside fit for an error: the key taken out, one line, at most `most`
/// characters.
pub(super) fn scrub(text: &str, key: Option<&Secret>, most: usize) -> String {
    let text = match key {
        Some(Secret(key)) if key.len() >= SHORTEST_SCRUBBED => text.replace(key.as_str(), "***"),
        _ => text.to_owned(),
    };
    excerpt(&text, most)
}

/// `text` as one line without control characters, at most `most` characters and an ellipsis.
pub(super) fn excerpt(text: &str, most: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    let mut gap = false;
    for c in text.chars() {
        if c.is_whitespace() || c.is_control() {
            gap = !line.is_empty();
            continue;
        }
        if count >= most {
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
    fn a_secret_prints_as_stars() {
        let secret = Secret::new(format!(" {KEY}\n"));
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "*** *** ***");
        let header = secret.bearer().unwrap();
        assert!(header.is_sensitive());
        assert!(!format!("{header:?}").contains(KEY));
        assert_eq!(header.to_str().unwrap(), format!("Bearer {KEY}"));
    }

    #[test]
    fn a_key_that_no_header_can_carry_is_refused_without_being_shown() {
        let error = Secret::new("sk-one\nsk-two").bearer().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk-"));
    }

    #[test]
    fn scrubbing_takes_the_key_out_and_keeps_one_bounded_line() {
        let key = Secret::new(KEY);
        let text = format!("bad key\r\n  {KEY}\u{1b}[31m!");
        assert_eq!(scrub(&text, Some(&key), 100), "bad key *** [31m!");
        assert_eq!(scrub("aaaa", None, 3), "aaa…");
        assert_eq!(
            scrub("no EMPTY", Some(&Secret::new("EMPTY")), 99),
            "no EMPTY"
        );
    }
}
