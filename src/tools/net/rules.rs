//! Which hosts may be reached: the rules as they are typed.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use thiserror::Error;

/// The ports that a rule without a port allows: the defaults of `http` and `https`.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// A host that may be reached: `HOST[:PORT]`, `*.HOST[:PORT]`, or an IP address (IPv6 in brackets).
///
/// Without a port it allows 80 and 443, with one only that. `*.example.com` is every name below
/// `example.com` and not `example.com` itself. Names are compared as a URL has them: in lower case,
/// in their ASCII form, without a last dot. An address is allowed by a rule that names it, and by
/// no other, whichever way it is written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostRule {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Name(String),
    /// Every name that ends with a dot and this.
    Below(String),
    Address(IpAddr),
}

/// Why a text is no [`HostRule`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` names no host: {reason}; write HOST, HOST:PORT, *.HOST, or an IP address")]
pub struct BadRule {
    text: String,
    reason: &'static str,
}

impl HostRule {
    /// Whether it allows `host`, as a URL has it, at `port`.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        match address(host) {
            Some(ip) => self.allows_address(ip, port),
            None => self.allows_name(host, port),
        }
    }

    /// Whether it allows `host`, as a URL has it, at some port.
    pub(super) fn names(&self, host: &str) -> bool {
        match self.port {
            Some(port) => self.allows(host, port),
            None => DEFAULT_PORTS.iter().any(|port| self.allows(host, *port)),
        }
    }

    /// Whether it names this very address at `port`.
    pub(super) fn allows_address(&self, ip: IpAddr, port: u16) -> bool {
        self.host == Host::Address(ip) && self.allows_port(port)
    }

    fn allows_name(&self, name: &str, port: u16) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let named = match &self.host {
            Host::Name(own) => *own == name,
            Host::Below(own) => name
                .strip_suffix(own.as_str())
                .and_then(|below| below.strip_suffix('.'))
                .is_some_and(|below| !below.is_empty()),
            Host::Address(_) => false,
        };
        named && self.allows_port(port)
    }

    fn allows_port(&self, port: u16) -> bool {
        match self.port {
            Some(own) => own == port,
            None => DEFAULT_PORTS.contains(&port),
        }
    }
}

/// The address that a URL's host is, if it is one.
pub(super) fn address(host: &str) -> Option<IpAddr> {
    match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(v6) => v6.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

impl FromStr for HostRule {
    type Err = BadRule;

    fn from_str(text: &str) -> Result<Self, BadRule> {
        let bad = |reason| BadRule {
            text: text.to_owned(),
            reason,
        };
        let trimmed = text.trim();
        if trimmed.contains("://") {
            return Err(bad("it is a URL, and a rule is only the host of one"));
        }
        // What a URL reads as something other than its host and port.
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@%".contains(c);
        if trimmed.contains(foreign) {
            return Err(bad("it has a character that no host has"));
        }
        if trimmed.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(bad("an IPv6 address is written in brackets"));
        }
        let (host, port) = split_port(trimmed).map_err(bad)?;
        let (below, host) = match host.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, host),
        };
        if host.is_empty() {
            return Err(bad("the host is missing"));
        }
        if host.contains('*') {
            return Err(bad(
                "a `*` can only be its first label, as in *.example.com",
            ));
        }
        // The URL parser decides what a host is, so that rules and requests are read alike.
        let url = Url::parse(&format!("http://{host}/"))
            .map_err(|_| bad("it is neither a name nor an address"))?;
        let host = url.host_str().unwrap_or("");
        let host = match address(host) {
            Some(_) if below => return Err(bad("a `*` goes before a name, not an address")),
            Some(ip) => Host::Address(ip),
            None => {
                let name = host.strip_suffix('.').unwrap_or(host).to_owned();
                if name.split('.').any(str::is_empty) {
                    return Err(bad("a part of the name is empty"));
                }
                if below {
                    Host::Below(name)
                } else {
                    Host::Name(name)
                }
            }
        };
        Ok(Self { host, port })
    }
}

/// `HOST:PORT` in its parts.
fn split_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let after_host = text.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = text.get(after_host..).and_then(|rest| rest.find(':')) else {
        return Ok((text, None));
    };
    let (host, port) = text.split_at(after_host + colon);
    let port = &port[1..];
    if !port.bytes().all(|b| b.is_ascii_digit()) {
        return Err("its port is not a number");
    }
    match port.parse() {
        Ok(0) | Err(_) => Err("its port is not between 1 and 65535"),
        Ok(port) => Ok((host, Some(port))),
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Below(name) => write!(f, "*.{name}")?,
            Host::Address(IpAddr::V4(ip)) => write!(f, "{ip}")?,
            Host::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}
