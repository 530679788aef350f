//! HTTP for the code, made by the host: off unless hosts are named.
//!
//! The guest has no sockets. It asks for a request, and the host makes it or refuses to: to the
//! hosts that the [rules](HostRule) name (`rules`), at addresses where a name may lead
//! (`address`), without anything that a guest has no business to say (`request`), and within
//! bounds. The host follows no redirect; libraries in the guest do, by asking anew, and
//! are checked anew. A [`Secret`] is put in on the way out (`secrets`) and taken out of what
//! comes back (`redact`). `client` is where all that comes together.

mod address;
mod body;
mod client;
mod failure;
mod reach;
mod redact;
mod request;
mod rules;
mod secrets;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use rules::{BadRule, HostRule};
pub use secrets::{BadSecret, Secret};

pub(crate) use address::{Lookup, SystemLookup};
pub(crate) use client::Connections;
pub(crate) use failure::HttpFailure;
pub(crate) use redact::Redactor;
pub(crate) use request::HttpRequest;

/// What holds the requests of a turn. The size of a response's head is bounded by hyper: 100
/// headers and about 400 KiB.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// The most bytes of a response's body: 64 MiB.
    pub(crate) response_body: u64,
    /// The most responses that are open at once, with the requests that are on their way: 64.
    pub(crate) open: usize,
    /// The most bytes of a request's body, with its secrets put in: 16 MiB.
    pub(crate) request_body: usize,
    /// The most bytes of a URL, with its secrets put in: 16 KiB.
    pub(crate) url: usize,
    /// The most headers of a request: 100.
    pub(crate) headers: usize,
    /// The most bytes of their names and values, with their secrets put in: 64 KiB.
    pub(crate) header_bytes: usize,
    /// How long finding the address and the handshakes of TCP and TLS may take: 10 s.
    pub(crate) connect: Duration,
    /// How long it may take until a response's head is there, and after that until more of its
    /// body is, each whatever longer the guest would wait: 60 s.
    pub(crate) wait: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            response_body: 64 << 20,
            open: 64,
            request_body: 16 << 20,
            url: 16 << 10,
            headers: 100,
            header_bytes: 64 << 10,
            connect: Duration::from_secs(10),
            wait: Duration::from_secs(60),
        }
    }
}

/// The part of the network that code may reach, and the secrets it may use there.
///
/// Only `http` and `https`, only to hosts that a rule names, and through a name only to addresses of
/// the internet: an address of this machine or of a network it is in has to be named itself
/// (`localhost` names this machine's). No proxy, no cookies, no redirects. A copy is the same
/// network.
#[derive(Clone)]
pub struct Network {
    parts: Arc<Parts>,
}

struct Parts {
    rules: Arc<[HostRule]>,
    secrets: Vec<Secret>,
    redactor: Redactor,
    bounds: Bounds,
    lookup: Arc<dyn Lookup>,
}

impl Network {
    /// What `allow` names; nothing, if it is empty. Of two secrets of one name, the first is put in.
    pub fn new(allow: Vec<HostRule>, secrets: Vec<Secret>) -> Self {
        Self::with(
            allow,
            secrets,
            Bounds::default(),
            Arc::new(SystemLookup::new()),
        )
    }

    /// With other bounds, and another way to find addresses, whose answers are checked as any.
    pub(crate) fn with(
        allow: Vec<HostRule>,
        secrets: Vec<Secret>,
        bounds: Bounds,
        lookup: Arc<dyn Lookup>,
    ) -> Self {
        Self {
            parts: Arc::new(Parts {
                rules: allow.into(),
                redactor: Redactor::new(&secrets),
                secrets,
                bounds,
                lookup,
            }),
        }
    }

    /// What may be reached.
    pub fn rules(&self) -> &[HostRule] {
        &self.parts.rules
    }

    /// The secrets that may be used.
    pub fn secrets(&self) -> &[Secret] {
        &self.parts.secrets
    }

    /// The connections of one turn. It shares none with another turn, so that what one leaves in a
    /// connection does not reach another.
    pub(crate) fn open(&self) -> Connections {
        Connections::new(Arc::clone(&self.parts))
    }

    /// Takes the secrets out of anything.
    pub(crate) fn redactor(&self) -> Redactor {
        self.parts.redactor.clone()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("rules", &self.parts.rules)
            .field("secrets", &self.parts.secrets)
            .finish_non_exhaustive()
    }
}
