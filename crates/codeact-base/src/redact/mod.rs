//! Replaces secret values in text, in bytes and in streams, in every spelling that a server commonly returns.
//!
//! This folder is a security boundary: the text comes from a server that may try to show a value, and its reader may
//! try to guess one. Therefore neither the time of the search nor the bytes that a stream holds back depend on how much
//! of a value a text repeats: only a complete value makes a difference.
//!
//! - `forms` returns the byte strings that are searched for: the value, its UTF-16 and hexadecimal digits, and its
//!   base64 at each of the three alignments, also that of its escaped forms.
//! - `spelling` reads the characters of a text, escaped or not: JSON and other backslash escapes, percent-encoding and
//!   HTML entities, up to three layers of them in any order, a character in at most 24 bytes.
//! - `search` finds the forms in these characters, and `stream` replaces them.

mod forms;
mod search;
mod spelling;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use forms::{encode_path, encode_query};
use search::Forms;
pub use stream::RedactorStream;

/// Replaces values by their replacements, in all spellings. Overlapping values are replaced together, by the
/// replacement of the one that begins first, and of the longest if several do. Cheap to clone.
///
/// ```
/// use codeact_base::redact::Redactor;
///
/// let redactor = Redactor::new([("very \"secret\"".to_owned(), "***".to_owned())]);
/// assert_eq!(redactor.text(r#"{"a": "{\"b\": \"very \\\"secret\\\"\"}"}"#), r#"{"a": "{\"b\": \"***\"}"}"#);
/// assert_eq!(redactor.text("a=very%20%22secret%22"), "a=***");
/// ```
#[derive(Clone)]
pub struct Redactor {
    forms: Arc<Forms>,
}

impl Redactor {
    /// Returns a redactor for pairs of a value and its replacement. Empty values are ignored.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs = pairs.into_iter().filter(|(value, _)| !value.is_empty());
        Self {
            forms: Arc::new(Forms::new(pairs)),
        }
    }

    /// True if it replaces nothing.
    pub fn is_empty(&self) -> bool {
        self.forms.is_empty()
    }

    /// Returns `text` with all values replaced.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.replaced(text.as_bytes()) {
            Some(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
            None => text.into(),
        }
    }

    /// Returns `bytes` with all values replaced.
    pub fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.replaced(&bytes).unwrap_or(bytes)
    }

    /// Returns a redactor of bytes that arrive in chunks, whose reader is untrusted. It holds back a number of bytes
    /// that does not depend on how much of a value they repeat.
    pub fn stream(&self) -> RedactorStream {
        RedactorStream::new(Arc::clone(&self.forms), false)
    }

    /// Returns a redactor of bytes that arrive in chunks, whose reader is trusted: it holds back only bytes that may be
    /// a part of a value. From its delays, a reader could guess the value byte by byte.
    pub fn prompt_stream(&self) -> RedactorStream {
        RedactorStream::new(Arc::clone(&self.forms), true)
    }

    /// Returns the replaced bytes, or `None` if there is nothing to replace.
    fn replaced(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        if bytes.len() < self.forms.shortest() {
            return None;
        }
        let mut stream = self.stream();
        let mut out = Vec::new();
        stream.push(bytes, &mut out);
        stream.finish(&mut out);
        stream.has_replaced().then_some(out)
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor(***)")
    }
}
