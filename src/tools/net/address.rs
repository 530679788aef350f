//! Which addresses a name may lead to. This file is the boundary between a name that somebody
//! else's DNS answers for and the networks that this machine is in.
//!
//! An allowed name says nothing about where it leads: whoever owns it can point it at this machine,
//! at its network, or at a cloud's metadata, and can answer differently each time. So the answer is
//! checked in the resolver that the connection itself uses, and the connection only ever gets
//! addresses that have passed.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::rules::HostRule;

/// The most look-ups that a [`SystemLookup`] has running. They cannot be called off, and each holds
/// one of the threads that tokio has for such work.
const LOOKUPS: usize = 16;

/// What [`Lookup::addresses`] returns.
pub(crate) type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name. It need not be trusted.
pub(crate) trait Lookup: Send + Sync {
    /// The addresses of `name`, in the order in which to try them.
    fn addresses(&self, name: &str) -> Looking;
}

/// Asks the operating system.
pub(crate) struct SystemLookup(Arc<Semaphore>);

impl SystemLookup {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Lookup for SystemLookup {
    fn addresses(&self, name: &str) -> Looking {
        let places = Arc::clone(&self.0);
        let name = name.to_owned();
        Box::pin(async move {
            let place = places.acquire_owned().await.map_err(io::Error::other)?;
            // A task, so that the place is taken for as long as the look-up really runs, also when
            // nobody waits for it any more.
            let lookup = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                let found = found.map(|found| found.map(|a| a.ip()).collect());
                drop(place);
                found
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// The resolver of the connections to one port.
pub(super) struct Guard {
    pub(super) rules: Arc<[HostRule]>,
    pub(super) port: u16,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, port) = (Arc::clone(&self.rules), self.port);
        let looking = if is_localhost(name.as_str()) {
            None
        } else {
            Some(self.lookup.addresses(name.as_str()))
        };
        Box::pin(async move {
            let name = name.as_str();
            let found = match looking {
                Some(looking) => looking.await.map_err(|error| Unresolved::Unknown {
                    name: name.to_owned(),
                    reason: error.to_string(),
                })?,
                // This machine, whatever a name server says (RFC 6761, section 6.3).
                None => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            };
            let allowed = allowed(&rules, name, port, &found)?;
            Ok(Box::new(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// The addresses among `found` that `name` may be reached at.
pub(super) fn allowed(
    rules: &[HostRule],
    name: &str,
    port: u16,
    found: &[IpAddr],
) -> Result<Vec<IpAddr>, Unresolved> {
    if !rules.iter().any(|rule| rule.allows(name, port)) {
        // The request was checked before; this is for whoever changes that.
        return Err(Unresolved::Unnamed {
            name: name.to_owned(),
        });
    }
    let local = is_localhost(name) || rules.iter().any(|rule| rule.allows("localhost", port));
    let mut allowed = Vec::new();
    let mut refused = None;
    for &ip in found {
        match special(ip) {
            None => allowed.push(ip),
            Some(_) if local && ip.is_loopback() => allowed.push(ip),
            Some(_) if rules.iter().any(|rule| rule.allows_address(ip, port)) => allowed.push(ip),
            Some(what) => refused = refused.or(Some((ip, what))),
        }
    }
    if !allowed.is_empty() {
        return Ok(allowed);
    }
    let name = name.to_owned();
    Err(match refused {
        Some((ip, what)) => Unresolved::Special {
            name,
            at: SocketAddr::new(ip, port),
            what,
        },
        None => Unresolved::Unknown {
            name,
            reason: "it has no address".to_owned(),
        },
    })
}

/// Whether `host` is a name of this machine that no name server is asked for.
pub(super) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Why a name leads nowhere.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// Nobody knows it.
    Unknown { name: String, reason: String },
    /// It leads only to addresses that it must not lead to; `at` is one of them.
    Special {
        name: String,
        at: SocketAddr,
        what: &'static str,
    },
    /// No rule names it.
    Unnamed { name: String },
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, reason } => {
                write!(f, "the name `{name}` was not found: {reason}")
            }
            Self::Special { name, at, what } => write!(
                f,
                "`{name}` is at {}, {what}, where a name may not lead; \
                 if that is meant, it takes --allow-net {at} too",
                at.ip()
            ),
            Self::Unnamed { name } => write!(
                f,
                "`{name}` is not among the allowed hosts; it takes --allow-net {name}"
            ),
        }
    }
}

impl Error for Unresolved {}

/// What `ip` is, unless it is an ordinary address of the internet, from IANA's registries of special
/// addresses (<https://www.iana.org/assignments/iana-ipv4-special-registry>, and `ipv6`).
pub(super) fn special(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    Some(match ip.octets() {
        [0, ..] => "an unspecified address",
        [127, ..] => "a loopback address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address shared by a carrier's customers",
        [169, 254, ..] => "a link-local address",
        [192, 0, 0, _] => "an address of a protocol",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [192, 88, 99, _] => "a 6to4 relay",
        [198, 18..=19, ..] => "an address for benchmarks",
        // Public by its number, but in Azure it is each machine's own host.
        [168, 63, 129, 16] => "an address of a cloud's own services",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved or broadcast address",
        _ => return None,
    })
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    let s = ip.segments();
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("an unspecified address"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("a loopback address"),
        // No name server has a reason for one, whatever is embedded.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some("an IPv4 address in the form of an IPv6 one")
        }
        // A network without IPv4 reaches all of IPv4 this way.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            special_v4(v4(high, low)).and(Some("a NAT64 address with a special one in it"))
        }
        [0xfc00..=0xfdff, ..] => Some("a unique local address"),
        [0xfe80..=0xfebf, ..] => Some("a link-local address"),
        [0xfec0..=0xfeff, ..] => Some("a site-local address"),
        [0xff00..=0xffff, ..] => Some("a multicast address"),
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            special_v4(v4(server_high, server_low))
                .or(special_v4(v4(!high, !low)))
                .and(Some("a Teredo address with a special one in it"))
        }
        [0x2001, 1..=0x1ff, ..] => Some("an address of a protocol"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("an address for documentation"),
        [0x2002, high, low, ..] => {
            special_v4(v4(high, low)).and(Some("a 6to4 address with a special one in it"))
        }
        // All that IANA gives out for the internet.
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}
