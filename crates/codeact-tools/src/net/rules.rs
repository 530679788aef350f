//! Host rules: the hosts and ports that code may reach.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use thiserror::Error;

/// The ports that a rule without a port allows: the defaults of `http` and `https`.
const DEFAULT_PORTS: [u16; 2] = [80, 443];

/// A host that code may reach: `HOST[:PORT]`, `*.HOST[:PORT]`, or an IP address (IPv6 in brackets).
///
/// Without a port it allows 80 and 443, else the port only. `*.example.com` matches every name below `example.com`, and
/// not `example.com` itself. Names are compared in the form of URLs: in lower case, in ASCII, without a final dot. An
/// address, in any notation, is allowed only by a rule with this address.
///
/// ```
/// use codeact_tools::net::HostRule;
///
/// let rule: HostRule = "*.example.com:8443".parse()?;
/// assert!(rule.allows("api.example.com", 8443));
/// assert!(!rule.allows("api.example.com", 443) && !rule.allows("example.com", 8443));
/// # Ok::<(), codeact_tools::net::BadRule>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostRule {
    host: Host,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Host {
    Name(String),
    /// Every name that ends with a dot and this text.
    Below(String),
    Address(IpAddr),
}

impl Host {
    /// True if every host that `other` matches matches this too.
    fn covers(&self, other: &Host) -> bool {
        let is_below = |name: &str, own: &str| {
            let below = name
                .strip_suffix(own)
                .and_then(|below| below.strip_suffix('.'));
            below.is_some_and(|below| !below.is_empty())
        };
        match (self, other) {
            (Self::Below(own), Self::Name(name)) => is_below(name, own),
            (Self::Below(own), Self::Below(name)) => name == own || is_below(name, own),
            (own, other) => own == other,
        }
    }
}

/// A text is not a [`HostRule`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid host `{text}`: {reason}; expected HOST, HOST:PORT, *.HOST, or an IP address")]
pub struct BadRule {
    text: String,
    reason: &'static str,
}

impl HostRule {
    /// True if it allows `host`, in the form of URLs, at `port`.
    pub fn allows(&self, host: &str, port: u16) -> bool {
        match address(host) {
            Some(ip) => self.allows_address(ip, port),
            None => self.allows_name(host, port),
        }
    }

    /// True if it allows `host`, in the form of URLs, at some port.
    pub(super) fn names(&self, host: &str) -> bool {
        match self.port {
            Some(port) => self.allows(host, port),
            None => DEFAULT_PORTS.iter().any(|port| self.allows(host, *port)),
        }
    }

    /// True if it is a rule for the address `ip` at `port`.
    pub(super) fn allows_address(&self, ip: IpAddr, port: u16) -> bool {
        self.host == Host::Address(ip) && self.allows_port(port)
    }

    /// True if `rules` allow all that it allows: each of its ports, for every host that it matches.
    ///
    /// ```
    /// use codeact_tools::net::HostRule;
    ///
    /// let rule = |text: &str| text.parse::<HostRule>();
    /// let granted = [rule("*.example.com")?, rule("example.org:8443")?];
    /// assert!(rule("api.example.com")?.is_covered_by(&granted));
    /// assert!(rule("*.eu.example.com:443")?.is_covered_by(&granted));
    /// assert!(!rule("example.com")?.is_covered_by(&granted) && !rule("example.org")?.is_covered_by(&granted));
    /// # Ok::<(), codeact_tools::net::BadRule>(())
    /// ```
    pub fn is_covered_by(&self, rules: &[HostRule]) -> bool {
        let own = self.port.as_slice();
        let ports = if own.is_empty() { &DEFAULT_PORTS } else { own };
        ports.iter().all(|port| {
            (rules.iter()).any(|rule| rule.allows_port(*port) && rule.host.covers(&self.host))
        })
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

/// Returns the address if the host of a URL is one.
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
            return Err(bad("it is a URL, and a rule is a host only"));
        }
        // Characters that separate the parts of a URL.
        let foreign = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@%".contains(c);
        if trimmed.contains(foreign) {
            return Err(bad("it has a character that hosts cannot have"));
        }
        if trimmed.parse::<std::net::Ipv6Addr>().is_ok() {
            return Err(bad("an IPv6 address needs brackets"));
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
                "a `*` can only be the first label, as in *.example.com",
            ));
        }
        // The URL parser reads the host, as in requests.
        let url = Url::parse(&format!("http://{host}/"))
            .map_err(|_| bad("it is neither a name nor an address"))?;
        let host = url.host_str().unwrap_or("");
        let host = match address(host) {
            Some(_) if below => return Err(bad("a `*` can precede a name, not an address")),
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

/// Splits `HOST:PORT`.
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
