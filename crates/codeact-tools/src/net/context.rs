//! Immutable context of all requests of a [`Network`](super::Network).

use std::sync::Arc;
use std::time::Duration;

use codeact_base::redact::Redactor;

use super::resolve::Lookup;
use super::rules::HostRule;
use super::secrets::Secret;

/// Limits of the requests of a turn. hyper limits the head of a response: 100 headers and about 400 KiB.
#[derive(Clone, Debug)]
pub(crate) struct HttpLimits {
    /// Size of the body of a response in bytes: 64 MiB.
    pub(crate) response_body: u64,
    /// Number of open responses and pending requests: 64.
    pub(crate) open: usize,
    /// Size of the body of a request with its secrets in bytes: 16 MiB.
    pub(crate) request_body: usize,
    /// Length of a URL with its secrets in bytes: 16 KiB.
    pub(crate) url: usize,
    /// Number of headers of a request: 100.
    pub(crate) headers: usize,
    /// Size of the header names and values with their secrets in bytes: 64 KiB.
    pub(crate) header_bytes: usize,
    /// Duration of the name lookup and of the TCP and TLS handshakes: 10 s.
    pub(crate) connect: Duration,
    /// Duration until the head of a response, and then until more of its body: 60 s each. The guest can only wait
    /// shorter.
    pub(crate) wait: Duration,
}

impl Default for HttpLimits {
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

/// Rules, secrets and limits of a network.
pub(super) struct NetworkContext {
    pub(super) rules: Arc<[HostRule]>,
    pub(super) secrets: Vec<Secret>,
    /// Replaces the secrets by their placeholders.
    pub(super) redactor: Redactor,
    /// The secrets in lower case, as names of headers are.
    lower_case: Vec<String>,
    pub(super) limits: HttpLimits,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl NetworkContext {
    pub(super) fn new(
        rules: Vec<HostRule>,
        secrets: Vec<Secret>,
        limits: HttpLimits,
        lookup: Arc<dyn Lookup>,
    ) -> Self {
        Self {
            rules: rules.into(),
            redactor: redactor(&secrets),
            lower_case: (secrets.iter())
                .map(|secret| secret.value().to_ascii_lowercase())
                .collect(),
            secrets,
            limits,
            lookup,
        }
    }

    /// Returns the same context with other rules.
    pub(super) fn narrowed(&self, rules: Vec<HostRule>) -> Self {
        Self {
            rules: rules.into(),
            secrets: self.secrets.clone(),
            redactor: self.redactor.clone(),
            lower_case: self.lower_case.clone(),
            limits: self.limits.clone(),
            lookup: self.lookup.clone(),
        }
    }

    /// True if the name of a header, in lower case, contains a secret.
    pub(super) fn has_secret_in_name(&self, name: &str) -> bool {
        self.lower_case.iter().any(|value| name.contains(value))
    }
}

/// Returns a redactor that replaces each secret by its placeholder.
pub(super) fn redactor(secrets: &[Secret]) -> Redactor {
    let pair = |secret: &Secret| (secret.value().to_owned(), secret.placeholder());
    Redactor::new(secrets.iter().map(pair))
}
