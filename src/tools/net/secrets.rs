//! Secrets that the code uses without having them: it writes a placeholder, and the host puts the
//! value in when, and only when, the request goes to a host that the secret is bound to.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::redact::Form;
use super::rules::HostRule;

/// What every placeholder begins with.
const PREFIX: &str = "CODEACT_SECRET_";
/// Shorter values are in too many texts by chance for taking them out to make sense.
const SHORTEST: usize = 8;
/// The most bytes of a value, and of a name.
const LONGEST: usize = 4096;
const LONGEST_NAME: usize = 64;

/// A secret that the code only ever sees a placeholder of.
///
/// In a request to a host that it is bound to, the placeholder becomes the value: in the values of
/// headers (also within `Authorization: Basic`), in the URL's path and query, and in the body. In
/// what comes back, the value becomes the placeholder. `Debug` does not show the value, and its
/// memory is overwritten when the last copy is dropped.
///
/// That keeps the value from code that only uses it. It cannot keep it from a host that it is bound
/// to, nor from code that gets such a host to send it back changed (in parts, reversed, compressed):
/// bind a secret to hosts that do not do that.
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<Value>,
    hosts: Vec<HostRule>,
}

/// Why something cannot be a [`Secret`]. It never has the value in it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BadSecret {
    /// The name could not be part of a placeholder.
    #[error(
        "a secret's name must be letters, digits and `_`, not beginning with a digit, and at most \
         {LONGEST_NAME} of them; give it another one than `{0}`"
    )]
    Name(String),
    /// The value is too short to be recognised, or longer than secrets are.
    #[error(
        "the secret {name} has {bytes} bytes, and a secret has {SHORTEST} to {LONGEST}; \
         check where it comes from"
    )]
    Length {
        /// The secret's name.
        name: String,
        /// How long the value is.
        bytes: usize,
    },
    /// The value has a line break or another character that no header can carry.
    #[error(
        "the secret {0} has a line break or another control character in it, which no header can \
         carry; leave it out"
    )]
    Control(String),
}

impl Secret {
    /// The secret `name`, with `value`, for requests to `host`. [`also_for`](Self::also_for) binds
    /// it to more. Whether the host may be reached at all is the network's rules' affair.
    ///
    /// # Errors
    /// [`BadSecret`] unless the name is `[A-Za-z_][A-Za-z0-9_]*`, and the value 8 to 4096 bytes
    /// without control characters.
    pub fn new(name: &str, value: String, host: HostRule) -> Result<Self, BadSecret> {
        // First, so that it is overwritten whatever is wrong with it.
        let value = Value(value.into_bytes());
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !begins || !goes_on || name.len() > LONGEST_NAME {
            return Err(BadSecret::Name(name.chars().take(LONGEST_NAME).collect()));
        }
        let bytes = value.0.len();
        if value.0.iter().any(u8::is_ascii_control) {
            return Err(BadSecret::Control(name.to_owned()));
        }
        if !(SHORTEST..=LONGEST).contains(&bytes) {
            let name = name.to_owned();
            return Err(BadSecret::Length { name, bytes });
        }
        Ok(Self {
            name: name.into(),
            value: Arc::new(value),
            hosts: vec![host],
        })
    }

    /// Binds it to `host` too.
    #[must_use]
    pub fn also_for(mut self, host: HostRule) -> Self {
        self.hosts.push(host);
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The hosts it is bound to.
    pub fn hosts(&self) -> &[HostRule] {
        &self.hosts
    }

    /// What the code writes in its place: `CODEACT_SECRET_` and its name.
    pub fn placeholder(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// Whether it may be sent to `host` at `port`.
    pub(super) fn is_for(&self, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|rule| rule.allows(host, port))
    }

    /// Only for what puts it into requests and takes it out of answers.
    pub(super) fn value(&self) -> &str {
        // It was made of a string.
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

/// The bytes of a secret.
struct Value(Vec<u8>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fill(0);
        // So that the compiler does not leave out writing what nobody reads.
        black_box(&self.0);
    }
}

/// What has been put in would be more than the request may have.
pub(super) struct Overfull;

/// Puts the secrets of one request in.
pub(super) struct Filler<'a> {
    /// Longest name first: one may be the beginning of another.
    secrets: Vec<&'a Secret>,
    host: &'a str,
    port: u16,
}

impl<'a> Filler<'a> {
    /// For a request to `host` at `port`.
    pub(super) fn new(secrets: &'a [Secret], host: &'a str, port: u16) -> Self {
        let mut secrets: Vec<&Secret> = secrets.iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.name.len()));
        Self {
            secrets,
            host,
            port,
        }
    }

    /// `text` with the values of the secrets that are bound to the host in place of their
    /// placeholders, in the form that fits there; `None` if there was nothing to put in. Bounded by
    /// `most` bytes, as a short placeholder may stand for a long value many times.
    pub(super) fn fill(
        &self,
        text: &[u8],
        form: Form,
        most: usize,
    ) -> Result<Option<Vec<u8>>, Overfull> {
        if self.secrets.is_empty() {
            return Ok(None);
        }
        let mut filled = Vec::new();
        let mut done = 0;
        let mut at = 0;
        let mut put_in = false;
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
            filled.extend_from_slice(text.get(done..start).unwrap_or(&[]));
            filled.extend_from_slice(form.of(secret.value()).as_bytes());
            done = at;
            put_in = true;
            if filled.len() > most {
                return Err(Overfull);
            }
        }
        if !put_in {
            return Ok(None);
        }
        filled.extend_from_slice(text.get(done..).unwrap_or(&[]));
        if filled.len() > most {
            return Err(Overfull);
        }
        Ok(Some(filled))
    }

    /// The value of a header; that of `Authorization: Basic` has what it says in base64.
    pub(super) fn header(
        &self,
        name: &str,
        value: &[u8],
        most: usize,
    ) -> Result<Option<Vec<u8>>, Overfull> {
        if name == "authorization"
            && let Some((scheme, rest)) = value.split_at_checked(6)
            && scheme.eq_ignore_ascii_case(b"basic ")
            && let Ok(said) = STANDARD.decode(rest.trim_ascii())
        {
            let filled = self.fill(&said, Form::Plain, most)?;
            return Ok(filled.map(|said| format!("Basic {}", STANDARD.encode(said)).into_bytes()));
        }
        self.fill(value, Form::Plain, most)
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
