//! HTTP for the code, made by the host. Off unless hosts are named.
//!
//! The guest has no sockets. It asks for a request, and the host makes it or refuses it: only to hosts that a
//! [rule](HostRule) names (`rules`), only at allowed addresses (`resolve`), without headers that belong to the host
//! (`request`), and within limits (`context`). The host follows no redirects. Libraries in the guest do so with a new
//! request, which is checked again. A [`Secret`] is inserted into requests (`secrets`) and removed from responses
//! (`codeact_base::redact`). `client` makes the requests of a turn, and `calls` decodes the calls of the guest.

mod access;
mod body;
mod calls;
mod client;
mod context;
mod encoding;
mod failure;
mod host_check;
mod request;
mod resolve;
mod rules;
mod secrets;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use codeact_base::redact::Redactor;

pub use rules::{BadRule, HostRule};
pub use secrets::{BadSecret, Secret};

use client::Connections;
use context::{HttpLimits, NetworkContext};
use resolve::{Lookup, SystemLookup};

/// Granted access to the network: the hosts that code may reach, and the secrets that it may use there.
///
/// Only `http` and `https`, and only hosts that a rule names. A name may lead to addresses of the internet only; an
/// address of this machine or of a local network needs a rule of its own (`localhost` for those of this machine). No
/// proxy, no cookies, no redirects. Clones share the same network.
///
/// ```
/// use codeact_tools::Tools;
/// use codeact_tools::net::{HostRule, Network, Secret};
///
/// # fn example(token: String) -> Result<(), Box<dyn std::error::Error>> {
/// let api: HostRule = "api.example.com".parse()?;
/// let secret = Secret::new("API_TOKEN", token, api.clone())?;
/// let tools = Tools::new().network(Network::new(vec![api], vec![secret]));
/// assert_eq!(tools.env(), [("API_TOKEN".to_owned(), "CODEACT_SECRET_API_TOKEN".to_owned())]);
/// # Ok(())
/// # }
/// # example("0123456789".to_owned()).unwrap();
/// ```
#[derive(Clone)]
pub struct Network {
    context: Arc<NetworkContext>,
}

impl Network {
    /// Returns access to the hosts that `allow` names; to none if it is empty. If two secrets have the same name, the
    /// first one is used.
    pub fn new(allow: Vec<HostRule>, secrets: Vec<Secret>) -> Self {
        Self::with(
            allow,
            secrets,
            HttpLimits::default(),
            Arc::new(SystemLookup::new()),
        )
    }

    /// As [`Network::new`], with other limits and another lookup of names, whose answers are untrusted.
    fn with(
        allow: Vec<HostRule>,
        secrets: Vec<Secret>,
        limits: HttpLimits,
        lookup: Arc<dyn Lookup>,
    ) -> Self {
        Self {
            context: Arc::new(NetworkContext::new(allow, secrets, limits, lookup)),
        }
    }

    /// Returns the access to `hosts` only, with the same secrets. A secret is still sent to its own hosts only.
    ///
    /// # Errors
    ///
    /// Returns the first host that this access does not have as a whole.
    pub fn narrow(&self, hosts: Vec<HostRule>) -> Result<Self, HostRule> {
        if let Some(foreign) = hosts.iter().find(|host| !host.is_covered_by(self.rules())) {
            return Err(foreign.clone());
        }
        Ok(Self {
            context: Arc::new(self.context.narrowed(hosts)),
        })
    }

    /// Returns the rules of the hosts that code may reach.
    pub fn rules(&self) -> &[HostRule] {
        &self.context.rules
    }

    /// Returns the secrets that code may use.
    pub fn secrets(&self) -> &[Secret] {
        &self.context.secrets
    }

    /// Returns the connections of one turn. Turns share none, so that the state of a connection does not reach another
    /// turn.
    fn open(&self) -> Connections {
        Connections::new(Arc::clone(&self.context))
    }

    /// Returns the redactor of its secrets.
    fn redactor(&self) -> Redactor {
        self.context.redactor.clone()
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("rules", &self.context.rules)
            .field("secrets", &self.context.secrets)
            .finish_non_exhaustive()
    }
}
