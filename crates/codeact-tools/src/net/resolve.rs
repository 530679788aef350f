//! Resolves names, and checks their addresses.
//!
//! This file is a security boundary between names, for which untrusted DNS servers answer, and the networks of this
//! machine. The owner of an allowed name can point it to this machine, to its networks, or to the metadata service of a
//! cloud, and can answer differently each time (DNS rebinding). Therefore the check is in the resolver that the
//! connection itself uses, and the connection receives checked addresses only.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::rules::HostRule;

/// Largest number of running lookups of a [`SystemLookup`]. They cannot be cancelled, and each holds one of tokio's
/// blocking threads.
const MAX_LOOKUPS: usize = 16;

/// Future of [`Lookup::addresses`].
pub(super) type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of a name. The result is untrusted.
pub(super) trait Lookup: Send + Sync {
    /// Returns the addresses of `name`, in the order in which to try them.
    fn addresses(&self, name: &str) -> LookupFuture;
}

/// Lookup by the operating system.
pub(super) struct SystemLookup(Arc<Semaphore>);

impl SystemLookup {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LOOKUPS)))
    }
}

impl Lookup for SystemLookup {
    fn addresses(&self, name: &str) -> LookupFuture {
        let permits = Arc::clone(&self.0);
        let name = name.to_owned();
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            // A task, so that the permit is held while the lookup runs, even if this future is dropped.
            let lookup = tokio::spawn(async move {
                let found = tokio::net::lookup_host((name.as_str(), 0)).await;
                let found = found.map(|found| found.map(|a| a.ip()).collect());
                drop(permit);
                found
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}

/// Resolver of the connections to one port, which returns allowed addresses only.
pub(super) struct CheckedResolver {
    pub(super) rules: Arc<[HostRule]>,
    pub(super) port: u16,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, port) = (Arc::clone(&self.rules), self.port);
        let lookup = if is_localhost(name.as_str()) {
            None
        } else {
            Some(self.lookup.addresses(name.as_str()))
        };
        Box::pin(async move {
            let name = name.as_str();
            let found = match lookup {
                Some(lookup) => lookup.await.map_err(|source| ResolveError::NotFound {
                    name: name.to_owned(),
                    source,
                })?,
                // Always this machine (RFC 6761, section 6.3).
                None => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            };
            let allowed = allowed(&rules, name, port, &found)?;
            Ok(Box::new(allowed.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// Returns the addresses in `found` at which `name` may be reached.
pub(super) fn allowed(
    rules: &[HostRule],
    name: &str,
    port: u16,
    found: &[IpAddr],
) -> Result<Vec<IpAddr>, ResolveError> {
    if !rules.iter().any(|rule| rule.allows(name, port)) {
        // The request was already checked. This is a second line of defence.
        return Err(ResolveError::NotAllowed {
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
            Some(kind) => refused = refused.or(Some((ip, kind))),
        }
    }
    if !allowed.is_empty() {
        return Ok(allowed);
    }
    let name = name.to_owned();
    Err(match refused {
        Some((ip, kind)) => ResolveError::Special {
            name,
            at: SocketAddr::new(ip, port),
            kind,
        },
        None => ResolveError::NotFound {
            name,
            source: io::Error::new(io::ErrorKind::NotFound, "it has no address"),
        },
    })
}

/// True if `host` is a name of this machine, which needs no name server.
pub(super) fn is_localhost(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// A name has no allowed address.
#[derive(Debug)]
pub(super) enum ResolveError {
    /// The lookup failed or found no address.
    NotFound { name: String, source: io::Error },
    /// All of its addresses are forbidden; `at` is one of them.
    Special {
        name: String,
        at: SocketAddr,
        kind: &'static str,
    },
    /// No rule allows it.
    NotAllowed { name: String },
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { name, source } => {
                write!(f, "the name `{name}` was not found: {source}")
            }
            Self::Special { name, at, kind } => write!(
                f,
                "`{name}` is at {}, {kind}, where a name may not lead; the rule `{at}` would allow it",
                at.ip()
            ),
            Self::NotAllowed { name } => write!(
                f,
                "`{name}` is not among the allowed hosts; the rule `{name}` would allow it"
            ),
        }
    }
}

impl Error for ResolveError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotFound { source, .. } => Some(source),
            Self::Special { .. } | Self::NotAllowed { .. } => None,
        }
    }
}

/// Returns the kind of `ip` unless it is an ordinary address of the internet, by IANA's registries of special
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
        // A public address, but in Azure it is the host of each machine.
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
        // No name server has a reason for one, with any embedded address.
        [0, 0, 0, 0, 0, 0, ..] | [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => {
            Some("an IPv4 address in the form of an IPv6 one")
        }
        // Networks without IPv4 reach IPv4 addresses this way.
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
        // The range that IANA allocates for the internet.
        [0x2000..=0x3fff, ..] => None,
        _ => Some("a reserved address"),
    }
}
