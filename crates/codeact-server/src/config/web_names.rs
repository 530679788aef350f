//! Origins of web pages and names of hosts, in one form each so that they can be compared.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Host and port of a `Host` header or of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// In lower case, without a final dot; an IPv6 address with its brackets.
    pub(crate) name: String,
    pub(crate) port: Option<u16>,
}

impl Authority {
    /// Parses `HOST[:PORT]`; `None` if it is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let end = match text.strip_prefix('[') {
            Some(rest) => rest.find(']')? + 2,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (name, port) = text.split_at_checked(end)?;
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let authority = Self { name, port };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        let is_name = authority.name.bytes().all(plain) && !authority.name.is_empty();
        (is_name || authority.is_address()).then_some(authority)
    }

    /// True if it is an IP address, which no DNS entry can be rebound to.
    pub(crate) fn is_address(&self) -> bool {
        match self
            .name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
        {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => self.name.parse::<Ipv4Addr>().is_ok(),
        }
    }
}

/// Scheme, host and port of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// In lower case.
    pub(crate) scheme: String,
    pub(crate) host: String,
    /// `None` for the default one of the scheme.
    pub(crate) port: Option<u16>,
}

impl Origin {
    /// Parses `SCHEME://HOST[:PORT]`; `None` if it is not one, as `null`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
        if scheme.is_empty() || !scheme.bytes().all(plain) {
            return None;
        }
        let authority = Authority::parse(authority)?;
        Some(Self::new(scheme, authority))
    }

    /// Returns the origin of pages that are served as `authority`.
    pub(crate) fn new(scheme: &str, authority: Authority) -> Self {
        let scheme = scheme.to_ascii_lowercase();
        let default = match &*scheme {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Self {
            port: authority.port.filter(|port| Some(*port) != default),
            host: authority.name,
            scheme,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_name_or_an_address_and_a_port() {
        let parse = |text: &str| Authority::parse(text).map(|a| (a.name, a.port));
        assert_eq!(parse("LocalHost:80"), Some(("localhost".into(), Some(80))));
        assert_eq!(parse("[::1]:8642"), Some(("[::1]".into(), Some(8642))));
        assert_eq!(parse("a.example."), Some(("a.example".into(), None)));
        for text in [
            "", ":80", "a:b", "a:80:80", "[::1", "[x]", "[::1]x", "a b", "a/b", "a@b", "a:99999",
            "a:+1", "é",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn default_ports_are_no_part_of_an_origin() {
        assert_eq!(Origin::parse("http://a:80"), Origin::parse("HTTP://A"));
        assert_eq!(Origin::parse("https://a:443"), Origin::parse("https://a"));
        assert_ne!(Origin::parse("http://a:443"), Origin::parse("http://a"));
        for text in ["null", "a", "http://", "http://a/b", "://a", "http://u@a"] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
