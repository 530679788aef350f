//! Failures of requests, as the guest receives them.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::resolve::ResolveError;

/// Largest length of an underlying error in a message, in characters.
const MAX_REASON: usize = 300;

/// A request has no response, or the body of a response cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpFailure {
    /// One of `denied`, `dns`, `connect`, `timeout`, `tls`, `protocol`, `too_large` and `limit`.
    pub(crate) kind: &'static str,
    /// One line, without secrets.
    pub(crate) message: String,
}

impl HttpFailure {
    fn new(kind: &'static str, message: impl AsRef<str>) -> Self {
        Self {
            kind,
            message: line(message.as_ref()),
        }
    }

    /// Returns the failure of a request that is not allowed.
    pub(super) fn denied(message: impl AsRef<str>) -> Self {
        Self::new("denied", message)
    }

    /// Returns the failure of a request to a host that no rule allows.
    pub(super) fn not_allowed(host: &str, port: Option<u16>) -> Self {
        Self::denied(match port {
            None => {
                format!("`{host}` is not among the allowed hosts; the rule `{host}` would allow it")
            }
            Some(port) => {
                let rule = match port {
                    80 | 443 => host.to_owned(),
                    _ => format!("{host}:{port}"),
                };
                format!(
                    "`{host}` at port {port} is not among the allowed hosts; the rule `{rule}` would \
                     allow it"
                )
            }
        })
    }

    /// Returns the failure of a name without an allowed address.
    pub(super) fn unresolved(error: &ResolveError) -> Self {
        let kind = match error {
            ResolveError::NotFound { .. } => "dns",
            ResolveError::Special { .. } | ResolveError::NotAllowed { .. } => "denied",
        };
        Self::new(kind, error.to_string())
    }

    /// Returns the failure of an invalid request or response.
    pub(super) fn protocol(message: impl AsRef<str>) -> Self {
        Self::new("protocol", message)
    }

    /// Returns the failure to connect.
    pub(super) fn connect(message: impl AsRef<str>) -> Self {
        Self::new("connect", message)
    }

    /// Returns the failure of `quantity` above its limit.
    pub(super) fn too_large(quantity: &str, max: u64) -> Self {
        let message = format!("{quantity} is more than the limit of {max}; make it smaller");
        Self::new("too_large", message)
    }

    /// Returns the failure of a request with too many open responses.
    pub(super) fn limit(max: usize) -> Self {
        let message = format!(
            "{max} responses are open, which is the limit; read them to their end or close some"
        );
        Self::new("limit", message)
    }

    /// Returns the failure of a time limit. `event` is a verb phrase with the subject `host`.
    pub(super) fn timeout(host: &str, event: &str, waited: Duration) -> Self {
        let message = format!("{host} {event} within {waited:?}; try again, or wait longer");
        Self::new("timeout", message)
    }

    /// Returns the failure for an error of reqwest in a request to `host`.
    pub(super) fn from_reqwest(
        error: reqwest::Error,
        host: &str,
        https: bool,
        connect: Duration,
    ) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        let mut last = String::new();
        let mut io_kind = None;
        while let Some(cause) = source {
            if let Some(unresolved) = cause.downcast_ref::<ResolveError>() {
                return Self::unresolved(unresolved);
            }
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                io_kind = Some(innermost(io).kind());
            }
            // The texts of reqwest contain the URL.
            if !cause.is::<reqwest::Error>() {
                last = cause.to_string();
            }
            source = cause.source();
        }
        let reason: String = line(&last).chars().take(MAX_REASON).collect();
        let reason = if reason.is_empty() {
            "no reason was given".to_owned()
        } else {
            reason
        };
        if error.is_connect() && error.is_timeout() {
            return Self::timeout(host, "could not be connected to", connect);
        }
        if error.is_timeout() {
            return Self::new(
                "timeout",
                format!("{host} did not answer in time: {reason}"),
            );
        }
        if error.is_dns() {
            return Self::new("dns", format!("{host} was not found: {reason}"));
        }
        if error.is_connect() {
            // The kinds of rustls's errors. Sockets have no such errors.
            let tls = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            if https && io_kind.is_some_and(|kind| tls.contains(&kind)) {
                let message = format!("no secure connection to {host}: {reason}");
                return Self::new("tls", message);
            }
            return Self::new("connect", format!("no connection to {host}: {reason}"));
        }
        Self::protocol(format!(
            "the response of {host} is not valid HTTP: {reason}"
        ))
    }
}

/// Returns the innermost I/O error. `source()` skips it.
fn innermost(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or(error, innermost)
}

/// Returns `text` in one line. Parts of it can come from a server or a certificate.
fn line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).collect()
}
