//! Why there is no response, told to the guest.

use std::error::Error;
use std::io;
use std::time::Duration;

use super::address::Unresolved;

/// The most characters of somebody else's reason in a message.
const LONGEST_REASON: usize = 300;

/// Why a request has no response, or a response no more of its body.
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

    /// The rules do not have it.
    pub(super) fn denied(message: impl AsRef<str>) -> Self {
        Self::new("denied", message)
    }

    /// No rule names it.
    pub(super) fn unnamed(host: &str, port: Option<u16>) -> Self {
        Self::denied(match port {
            None => format!("`{host}` is not among the allowed hosts; it takes --allow-net {host}"),
            Some(port) => {
                let rule = match port {
                    80 | 443 => host.to_owned(),
                    _ => format!("{host}:{port}"),
                };
                format!(
                    "`{host}` at port {port} is not among the allowed hosts; it takes \
                     --allow-net {rule}"
                )
            }
        })
    }

    /// A name leads nowhere, or where it may not.
    pub(super) fn unresolved(why: &Unresolved) -> Self {
        let kind = match why {
            Unresolved::Unknown { .. } => "dns",
            Unresolved::Special { .. } | Unresolved::Unnamed { .. } => "denied",
        };
        Self::new(kind, why.to_string())
    }

    /// The request or the response is not HTTP as it should be.
    pub(super) fn protocol(message: impl AsRef<str>) -> Self {
        Self::new("protocol", message)
    }

    /// There is no way to connect at all.
    pub(super) fn connect(message: impl AsRef<str>) -> Self {
        Self::new("connect", message)
    }

    /// A bound on a size is exceeded.
    pub(super) fn too_large(what: &str, most: u64) -> Self {
        let message = format!("{what} is more than the {most} that are allowed; make it smaller");
        Self::new("too_large", message)
    }

    /// Too many are open.
    pub(super) fn limit(most: usize) -> Self {
        let message = format!(
            "{most} responses are open, and no more may be at once; read them to their end or \
             close some"
        );
        Self::new("limit", message)
    }

    /// It took too long until `what`.
    pub(super) fn timeout(host: &str, what: &str, waited: Duration) -> Self {
        let message = format!("{host} {what} within {waited:?}; try again, or wait longer");
        Self::new("timeout", message)
    }

    /// What reqwest says about a request to `host`.
    pub(super) fn of(error: reqwest::Error, host: &str, https: bool, connect: Duration) -> Self {
        let mut source: Option<&(dyn Error + 'static)> = Some(&error);
        let mut last = String::new();
        let mut io_kind = None;
        while let Some(cause) = source {
            if let Some(unresolved) = cause.downcast_ref::<Unresolved>() {
                return Self::unresolved(unresolved);
            }
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                io_kind = Some(innermost(io).kind());
            }
            // Not reqwest's own words: they have the URL in them.
            if !cause.is::<reqwest::Error>() {
                last = cause.to_string();
            }
            source = cause.source();
        }
        let reason: String = line(&last).chars().take(LONGEST_REASON).collect();
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
            // That is how rustls's errors come through, and sockets have no such errors.
            let tls = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            if https && io_kind.is_some_and(|kind| tls.contains(&kind)) {
                let message = format!("no secure connection to {host}: {reason}");
                return Self::new("tls", message);
            }
            return Self::new("connect", format!("no connection to {host}: {reason}"));
        }
        Self::protocol(format!("{host} did not answer as HTTP has it: {reason}"))
    }
}

/// What `error` was made of: as a source it would be passed over.
fn innermost(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    inner.map_or(error, innermost)
}

/// `text` in one line: a server, or a certificate, may have had its part in it.
fn line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(clean).collect()
}
