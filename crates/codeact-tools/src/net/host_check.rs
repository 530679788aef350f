//! Checks whether a host can be reached, before a request to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use tokio::time::timeout;

use super::client::Connections;
use super::failure::HttpFailure;
use super::resolve::{ResolveError, allowed, is_localhost};
use super::{request, rules};

impl Connections {
    /// Returns the reason if `host` cannot be reached, at `port` if it is known. The answer of the name server is not
    /// used for requests; they are checked again.
    pub(super) async fn check_host(
        &self,
        host: &str,
        port: Option<u16>,
    ) -> Result<(), HttpFailure> {
        let url = match host.contains(':') {
            true => format!("http://[{host}]/"),
            false => format!("http://{host}/"),
        };
        let bad = |_| HttpFailure::protocol("invalid host name; check it");
        let mut url = Url::parse(&url).map_err(bad)?;
        let (host, _) = request::host(&mut url)?;
        let named = |rule: &rules::HostRule| match port {
            Some(port) => rule.allows(&host, port),
            None => rule.names(&host),
        };
        if !self.context.rules.iter().any(named) {
            return Err(HttpFailure::not_allowed(&host, port));
        }
        let (Some(port), None) = (port, rules::address(&host)) else {
            return Ok(());
        };
        let found: Vec<IpAddr> = match is_localhost(&host) {
            true => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            false => {
                let connect = self.context.limits.connect;
                match timeout(connect, self.context.lookup.addresses(&host)).await {
                    Ok(found) => found.map_err(|source| {
                        let name = host.clone();
                        HttpFailure::unresolved(&ResolveError::NotFound { name, source })
                    })?,
                    Err(_) => return Err(HttpFailure::timeout(&host, "was not found", connect)),
                }
            }
        };
        allowed(&self.context.rules, &host, port, &found)
            .map(drop)
            .map_err(|why| HttpFailure::unresolved(&why))
    }
}
