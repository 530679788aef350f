//! Whether a host can be reached, before there is a request to it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;
use tokio::time::timeout;

use super::address::{Unresolved, allowed, is_localhost};
use super::client::Connections;
use super::failure::HttpFailure;
use super::{request, rules};

impl Connections {
    /// Says why nothing can be had from `host`, at `port` where one is known. A request is checked
    /// again: what a name server says here counts for nothing there.
    pub(crate) async fn reach(&self, host: &str, port: Option<u16>) -> Result<(), HttpFailure> {
        let written = match host.contains(':') {
            true => format!("http://[{host}]/"),
            false => format!("http://{host}/"),
        };
        let bad = |_| HttpFailure::protocol("this is no name of a host; check it");
        let mut url = Url::parse(&written).map_err(bad)?;
        let (host, _) = request::host(&mut url)?;
        let named = |rule: &rules::HostRule| match port {
            Some(port) => rule.allows(&host, port),
            None => rule.names(&host),
        };
        if !self.parts.rules.iter().any(named) {
            return Err(HttpFailure::unnamed(&host, port));
        }
        let (Some(port), None) = (port, rules::address(&host)) else {
            return Ok(());
        };
        let found: Vec<IpAddr> = match is_localhost(&host) {
            true => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            false => {
                let connect = self.parts.bounds.connect;
                match timeout(connect, self.parts.lookup.addresses(&host)).await {
                    Ok(found) => found.map_err(|error| {
                        let reason = error.to_string();
                        let name = host.clone();
                        HttpFailure::unresolved(&Unresolved::Unknown { name, reason })
                    })?,
                    Err(_) => return Err(HttpFailure::timeout(&host, "was not found", connect)),
                }
            }
        };
        allowed(&self.parts.rules, &host, port, &found)
            .map(drop)
            .map_err(|why| HttpFailure::unresolved(&why))
    }
}
