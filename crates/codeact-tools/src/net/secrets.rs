//! Secrets that the code can use but not read: it writes a placeholder, and the host inserts the value only if the
//! request goes to a host that the secret is bound to.
//!
//! This file is a security boundary.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::encoding::Encoding;
use super::rules::HostRule;

/// Prefix of every placeholder.
const PREFIX: &str = "CODEACT_SECRET_";
/// Smallest size of a value, in bytes. Shorter values occur in texts by chance and cannot be redacted.
const MIN_VALUE_BYTES: usize = 8;
/// Largest size of a value, in bytes.
const MAX_VALUE_BYTES: usize = 4096;
/// Largest size of a name, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Largest number of digits of an incomplete escape: `\U0001f98`.
const MAX_ESCAPE_DIGITS: usize = 7;

/// A secret that the code can use, and of which it sees a placeholder only.
///
/// In a request to a host that the secret is bound to, the host replaces the placeholder by the value: in the values of
/// headers (also inside `Authorization: Basic`), in the path and query of the URL, and in the body. In responses and in
/// results of tools, it replaces the value by the placeholder. `Debug` does not show the value, and its memory is
/// overwritten when the last clone is dropped. A [`Network`](super::Network) has copies for its redactor, which are not
/// overwritten.
///
/// It protects the value from code that only uses it. It does not protect the value from a host that it is bound to,
/// nor from code that makes such a host return it in another form (in parts, reversed, compressed). Bind a secret only
/// to hosts that do not do so.
///
/// ```
/// use codeact_tools::net::Secret;
///
/// let secret = Secret::new("TOKEN", "0123456789".to_owned(), "api.example.com".parse()?)?
///     .also_for("*.example.org".parse()?);
/// assert_eq!(secret.placeholder(), "CODEACT_SECRET_TOKEN");
/// assert!(!format!("{secret:?}").contains("0123456789"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<Value>,
    hosts: Vec<HostRule>,
}

/// A name and value are not a [`Secret`]. It does not contain the value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BadSecret {
    /// The name cannot be part of a placeholder.
    #[error(
        "invalid name `{0}` of a secret; expected at most {MAX_NAME_BYTES} letters, digits and `_`, not \
         beginning with a digit"
    )]
    Name(String),
    /// The value is too short to be redacted, or too long.
    #[error(
        "the secret {name} has {bytes} bytes; expected {MIN_VALUE_BYTES} to {MAX_VALUE_BYTES}; check its source"
    )]
    Length {
        /// Name of the secret.
        name: String,
        /// Size of the value.
        bytes: usize,
    },
    /// The value has a line break or another control character, which headers cannot contain.
    #[error(
        "the secret {0} has a line break or another control character, which headers cannot contain; \
         remove it"
    )]
    Control(String),
    /// The value begins or ends with a space or a byte order mark. HTTP removes them, so that the value of a response would
    /// not be recognised.
    #[error("the secret {0} begins or ends with a space or a byte order mark; remove it")]
    Space(String),
}

impl Secret {
    /// Returns the secret `name` with `value`, bound to `host`. [`Secret::also_for`] binds it to more hosts. The rules of
    /// the network must allow the hosts too.
    ///
    /// # Errors
    ///
    /// Returns [`BadSecret`] unless the name is `[A-Za-z_][A-Za-z0-9_]*`, and the value 8 to 4096 bytes
    /// without control characters and
    /// without spaces at its ends.
    pub fn new(name: &str, value: String, host: HostRule) -> Result<Self, BadSecret> {
        // First, so that the memory is overwritten in case of an error too.
        let value = Value(value.into_bytes());
        let valid_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let valid_rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !valid_start || !valid_rest || name.len() > MAX_NAME_BYTES {
            return Err(BadSecret::Name(name.chars().take(MAX_NAME_BYTES).collect()));
        }
        let bytes = value.0.len();
        if value.0.iter().any(u8::is_ascii_control) {
            return Err(BadSecret::Control(name.to_owned()));
        }
        let is_at_edge = |c: char| c.is_whitespace() || c == '\u{feff}';
        let text = String::from_utf8_lossy(&value.0);
        if text.starts_with(is_at_edge) || text.ends_with(is_at_edge) {
            return Err(BadSecret::Space(name.to_owned()));
        }
        if !(MIN_VALUE_BYTES..=MAX_VALUE_BYTES).contains(&bytes) {
            let name = name.to_owned();
            return Err(BadSecret::Length { name, bytes });
        }
        Ok(Self {
            name: name.into(),
            value: Arc::new(value),
            hosts: vec![host],
        })
    }

    /// Binds the secret to `host` too.
    #[must_use]
    pub fn also_for(mut self, host: HostRule) -> Self {
        self.hosts.push(host);
        self
    }

    /// Returns its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the rules of the hosts that it is bound to.
    pub fn hosts(&self) -> &[HostRule] {
        &self.hosts
    }

    /// Returns the placeholder that the code uses: `CODEACT_SECRET_` and its name.
    pub fn placeholder(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// True if it may be sent to `host` at `port`.
    pub(super) fn is_for(&self, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|rule| rule.allows(host, port))
    }

    /// Returns the value. Only for requests and redactors.
    pub(super) fn value(&self) -> &str {
        // The bytes come from a string.
        std::str::from_utf8(&self.value.0).unwrap_or("")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("name", &self.name)
            .field("value", &"***")
            .field("hosts", &self.hosts)
            .finish()
    }
}

/// Bytes of a secret.
struct Value(Vec<u8>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fill(0);
        // The compiler could omit writes that are never read.
        black_box(&self.0);
    }
}

/// Reason why secrets are not inserted.
pub(super) enum NotInserted {
    /// The text with its secrets exceeds the limit.
    TooLong,
    /// A placeholder is inside an escape. The server would read the first characters of the value as a part of it, and
    /// return the others.
    InEscape,
}

/// Inserts the secrets of one request.
pub(super) struct Substitution<'a> {
    /// Longest name first, because one can be a prefix of another.
    secrets: Vec<&'a Secret>,
    host: &'a str,
    port: u16,
}

impl<'a> Substitution<'a> {
    /// Returns the substitution for a request to `host` at `port`.
    pub(super) fn new(secrets: &'a [Secret], host: &'a str, port: u16) -> Self {
        let mut secrets: Vec<&Secret> = secrets.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.name.len()));
        Self {
            secrets,
            host,
            port,
        }
    }

    /// Returns `text` with values in place of the placeholders of secrets that are bound to the host; `None` if it has
    /// none. The result is limited to `max` bytes, because many short placeholders can have long values.
    pub(super) fn insert(
        &self,
        text: &[u8],
        encoding: Encoding,
        max: usize,
    ) -> Result<Option<Vec<u8>>, NotInserted> {
        if self.secrets.is_empty() {
            return Ok(None);
        }
        let mut out = Vec::new();
        let mut done = 0;
        let mut at = 0;
        let mut inserted = false;
        while let Some(found) = find(text.get(at..).unwrap_or(&[]), PREFIX.as_bytes()) {
            let start = at + found;
            at = start + PREFIX.len();
            let rest = text.get(at..).unwrap_or(&[]);
            let named = |secret: &&&Secret| rest.starts_with(secret.name.as_bytes());
            let Some(secret) = self.secrets.iter().find(named) else {
                continue;
            };
            at += secret.name.len();
            if !secret.is_for(self.host, self.port) {
                continue;
            }
            if encoding != Encoding::Credentials && ends_in_escape(text.get(..start).unwrap_or(&[]))
            {
                return Err(NotInserted::InEscape);
            }
            out.extend_from_slice(text.get(done..start).unwrap_or(&[]));
            out.extend_from_slice(encoding.encode(secret.value()).as_bytes());
            done = at;
            inserted = true;
            if out.len() > max {
                return Err(NotInserted::TooLong);
            }
        }
        if !inserted {
            return Ok(None);
        }
        out.extend_from_slice(text.get(done..).unwrap_or(&[]));
        if out.len() > max {
            return Err(NotInserted::TooLong);
        }
        Ok(Some(out))
    }

    /// As [`Substitution::insert`], for the value of a header. `Authorization: Basic` is decoded first.
    pub(super) fn insert_in_header(
        &self,
        name: &str,
        value: &[u8],
        max: usize,
    ) -> Result<Option<Vec<u8>>, NotInserted> {
        if name == "authorization"
            && let Some((scheme, rest)) = value.split_at_checked(6)
            && scheme.eq_ignore_ascii_case(b"basic ")
            && let Ok(credentials) = STANDARD.decode(rest.trim_ascii())
        {
            let inserted = self.insert(&credentials, Encoding::Credentials, max)?;
            return Ok(inserted.map(|text| format!("Basic {}", STANDARD.encode(text)).into_bytes()));
        }
        self.insert(value, Encoding::Plain, max)
    }
}

/// True if `text` ends with the beginning of a backslash escape or of a percent escape.
fn ends_in_escape(text: &[u8]) -> bool {
    let digits = text.iter().rev().take_while(|b| b.is_ascii_hexdigit());
    let digits = digits.take(MAX_ESCAPE_DIGITS).count();
    // A part of the digits can belong to the text before the escape.
    (0..=digits).any(|count| {
        let (before, digits) = text.split_at(text.len() - count);
        let is_octal = count < 3 && digits.iter().all(|b| matches!(b, b'0'..=b'7'));
        let backslashes = |text: &[u8]| text.iter().rev().take_while(|b| **b == b'\\').count();
        match before {
            [.., b'%'] => count < 2,
            [escaped @ .., letter @ (b'u' | b'U' | b'x')] => {
                let needed = match letter {
                    b'x' => 2,
                    b'u' => 4,
                    _ => 8,
                };
                count < needed && backslashes(escaped) % 2 == 1
            }
            before => is_octal && backslashes(before) % 2 == 1,
        }
    })
}

fn find(text: &[u8], pattern: &[u8]) -> Option<usize> {
    text.windows(pattern.len())
        .position(|window| window == pattern)
}
