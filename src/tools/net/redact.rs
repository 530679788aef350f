//! Takes secrets out of what comes back, also when they arrive in parts.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::secrets::Secret;

/// How a value is written where it is put in, or where it may come back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// In a URL's path: what stands for itself there stays (RFC 3986, section 3.3).
    Path,
    /// In a query, and in a form's body.
    Query,
    /// Within a JSON string.
    Json,
}

impl Form {
    /// `value` in this form.
    pub(super) fn of(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(value),
            Self::Path => percent(value, "-._~!$&'()*+,;=:@").into(),
            Self::Query => percent(value, "-._~").into(),
            Self::Json => json(value).into(),
        }
    }
}

fn percent(value: &str, kept: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
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

/// JSON without a character beyond ASCII, as Python writes it.
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

/// The base64 characters that only `value` decides, when `before` bytes (0 to 2) precede it in
/// their group of three.
fn base64(value: &str, before: usize, engine: &impl base64::Engine) -> String {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value.as_bytes());
    let whole = bytes.len() * 8 / 6;
    let text = engine.encode(bytes);
    let first = (before * 8).div_ceil(6);
    text.get(first..whole).unwrap_or("").to_owned()
}

/// Every form in which a value is looked for.
fn forms(value: &str) -> HashSet<String> {
    let mut forms = HashSet::new();
    for form in [Form::Plain, Form::Path, Form::Query, Form::Json] {
        let text = form.of(value).into_owned();
        if matches!(form, Form::Path | Form::Query) {
            forms.insert(lower_hex(&text));
            forms.insert(text.replace("%20", "+"));
        }
        forms.insert(text);
    }
    let ascii = ascii_json(value);
    forms.insert(ascii.replace('/', "\\/"));
    forms.insert(ascii);
    for before in 0..3 {
        forms.insert(base64(value, before, &STANDARD_NO_PAD));
        forms.insert(base64(value, before, &URL_SAFE_NO_PAD));
    }
    forms.remove("");
    forms
}

/// `%2F` as `%2f`.
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

/// Puts the placeholder back wherever a secret is: as it is, percent-encoded, escaped for JSON, or
/// in base64.
#[derive(Clone)]
pub(crate) struct Redactor {
    known: Arc<Known>,
}

struct Known {
    /// What is looked for and what takes its place, the longest first, by the first byte.
    patterns: Vec<Vec<(Vec<u8>, Arc<str>)>>,
    /// The values in lower case, as names of headers are.
    lower: Vec<String>,
}

impl Redactor {
    pub(super) fn new(secrets: &[Secret]) -> Self {
        let mut patterns = vec![Vec::new(); 256];
        for secret in secrets {
            let placeholder: Arc<str> = secret.placeholder().into();
            for form in forms(secret.value()) {
                let form = form.into_bytes();
                let first = usize::from(form.first().copied().unwrap_or(0));
                if let Some(list) = patterns.get_mut(first) {
                    list.push((form, Arc::clone(&placeholder)));
                }
            }
        }
        for list in &mut patterns {
            list.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        }
        let lower = secrets.iter().map(|s| s.value().to_ascii_lowercase());
        Self {
            known: Arc::new(Known {
                patterns,
                lower: lower.collect(),
            }),
        }
    }

    /// `text` without secrets.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut out = Vec::new();
        let (_, changed) = self.scan(text.as_bytes(), true, &mut out);
        if !changed {
            return Cow::Borrowed(text);
        }
        // Whole strings were replaced by whole strings, so it is one still.
        Cow::Owned(String::from_utf8_lossy(&out).into_owned())
    }

    /// `bytes` without secrets.
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        let mut out = Vec::new();
        let (_, changed) = self.scan(&bytes, true, &mut out);
        if changed { out } else { bytes }
    }

    /// For bytes that come in chunks.
    pub(crate) fn stream(&self) -> RedactorStream {
        RedactorStream {
            redactor: self.clone(),
            held: Vec::new(),
        }
    }

    /// Whether a header's name, which has lost its capital letters, has a secret in it.
    pub(super) fn is_in_name(&self, name: &str) -> bool {
        self.known.lower.iter().any(|value| name.contains(value))
    }

    /// Appends `bytes` without secrets to `out`, up to where, unless it is the `end`, a secret may
    /// have begun that goes on in what is to come. Returns how many bytes that were, and whether a
    /// secret was among them.
    fn scan(&self, bytes: &[u8], end: bool, out: &mut Vec<u8>) -> (usize, bool) {
        let mut changed = false;
        let mut copied = 0;
        let mut at = 0;
        while let Some((first, rest)) = bytes.get(at..).and_then(<[u8]>::split_first) {
            let list = self.known.patterns.get(usize::from(*first));
            let list = list.map_or(&[][..], Vec::as_slice);
            let mut found = None;
            for (form, placeholder) in list {
                let tail = form.get(1..).unwrap_or(&[]);
                if rest.starts_with(tail) {
                    found = Some((form.len(), placeholder));
                    break;
                }
                if !end && tail.starts_with(rest) {
                    out.extend_from_slice(bytes.get(copied..at).unwrap_or(&[]));
                    return (at, changed);
                }
            }
            let Some((length, placeholder)) = found else {
                at += 1;
                continue;
            };
            out.extend_from_slice(bytes.get(copied..at).unwrap_or(&[]));
            out.extend_from_slice(placeholder.as_bytes());
            at += length;
            copied = at;
            changed = true;
        }
        out.extend_from_slice(bytes.get(copied..).unwrap_or(&[]));
        (bytes.len(), changed)
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} secrets)", self.known.lower.len())
    }
}

/// A [`Redactor`] for bytes that come in chunks: what may be the beginning of a secret is held back
/// until it is known not to be, or is the end. At most one byte less than the longest form of a
/// secret is held.
pub(crate) struct RedactorStream {
    redactor: Redactor,
    held: Vec<u8>,
}

impl RedactorStream {
    /// Appends to `out` what can be told of all that came so far, and `chunk`.
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut bytes = std::mem::take(&mut self.held);
        if bytes.is_empty() {
            let (done, _) = self.redactor.scan(chunk, false, out);
            self.held = chunk.get(done..).unwrap_or(&[]).to_vec();
            return;
        }
        bytes.extend_from_slice(chunk);
        let (done, _) = self.redactor.scan(&bytes, false, out);
        self.held = bytes.split_off(done.min(bytes.len()));
    }

    /// Appends to `out` what was held back: nothing more comes.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let bytes = std::mem::take(&mut self.held);
        self.redactor.scan(&bytes, true, out);
    }
}
