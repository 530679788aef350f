//! Checks the request of a guest, and inserts its secrets.
//!
//! This file is a security boundary: the guest chooses every part of the request.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, RANGE, TE, TRAILER,
};
use reqwest::{Method, Url};

use super::context::NetworkContext;
use super::encoding::Encoding;
use super::failure::HttpFailure;
use super::secrets::{NotInserted, Substitution};
use super::{resolve, rules};

/// Headers of a connection rather than of a message (RFC 9110, section 7.6.1), and of the length of a body, which the
/// host sets: with a wrong length, a guest could smuggle a second request in its body.
const HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "expect",
    "http2-settings",
    "proxy-connection",
];

/// A request of the guest.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    /// Names and values. Headers that belong to the host are ignored.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Time to wait for the head of the response, up to the limit.
    pub(crate) timeout: Option<Duration>,
}

/// A checked request with its secrets.
pub(super) struct PreparedRequest {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// Host, for the check of rules and for messages.
    pub(super) host: String,
    pub(super) port: u16,
    /// True if the response may contain secrets: it must not be compressed, and its length and digests are hidden.
    pub(super) plain: bool,
}

/// True if a header is removed from requests and responses.
pub(super) fn is_hop(name: &HeaderName) -> bool {
    *name == TE
        || *name == TRAILER
        || HOP.contains(&name.as_str())
        || name.as_str().starts_with("proxy-")
}

/// Checks `request`, and inserts its secrets.
pub(super) fn prepare(
    context: &NetworkContext,
    request: HttpRequest,
) -> Result<PreparedRequest, HttpFailure> {
    let limits = &context.limits;
    if request.body.len() > limits.request_body {
        return Err(too_large(
            "the body of the request in bytes",
            limits.request_body,
        ));
    }
    if request.url.len() > limits.url {
        return Err(too_large("the URL in bytes", limits.url));
    }
    let mut url = url(&request.url)?;
    let (host, port) = host(&mut url)?;
    if !context.rules.iter().any(|rule| rule.allows(&host, port)) {
        return Err(HttpFailure::not_allowed(&host, Some(port)));
    }
    let method = method(&request.method)?;
    let headers = headers(context, &request.headers)?;
    let mut prepared = PreparedRequest {
        method,
        url,
        headers,
        body: request.body,
        plain: context.secrets.iter().any(|s| s.is_for(&host, port)),
        host,
        port,
    };
    let host = prepared.host.clone();
    let secrets = Substitution::new(&context.secrets, &host, port);
    if insert_secrets(&mut prepared, &secrets, context)? && !is_private(&prepared) {
        return Err(HttpFailure::denied(format!(
            "secrets are not sent over plain http, and this request to {} contains one; use https",
            prepared.host
        )));
    }
    if prepared.plain {
        if prepared.headers.contains_key(RANGE) {
            return Err(HttpFailure::denied(format!(
                "a part of a response (the header Range) is not requested from {}, because a secret could not be \
                 found in a part of it; request all of it",
                prepared.host
            )));
        }
        // Secrets cannot be found in a compressed response.
        let identity = HeaderValue::from_static("identity");
        prepared.headers.insert(ACCEPT_ENCODING, identity);
    }
    Ok(prepared)
}

fn too_large(quantity: &str, max: usize) -> HttpFailure {
    HttpFailure::too_large(quantity, u64::try_from(max).unwrap_or(u64::MAX))
}

/// True if no third party can read the request: by `https`, or on this machine.
fn is_private(prepared: &PreparedRequest) -> bool {
    let is_local = || match rules::address(&prepared.host) {
        Some(IpAddr::V4(ip)) => ip.is_loopback(),
        Some(IpAddr::V6(ip)) => ip.is_loopback(),
        None => resolve::is_localhost(&prepared.host),
    };
    prepared.url.scheme() == "https" || is_local()
}

/// Returns a checked URL without its fragment.
fn url(text: &str) -> Result<Url, HttpFailure> {
    let mut url = Url::parse(text)
        .map_err(|e| HttpFailure::protocol(format!("invalid URL: {e}; check it")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpFailure::denied(format!(
            "the scheme {} is not supported; use http or https",
            url.scheme()
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpFailure::protocol(
            "a URL cannot have a user name or password; use an Authorization header",
        ));
    }
    url.set_fragment(None);
    Ok(url)
}

/// Returns the host and port of the URL. Removes a final dot of the host, also in the URL, so that the checked host is
/// the one that the server and its certificate are asked for.
pub(super) fn host(url: &mut Url) -> Result<(String, u16), HttpFailure> {
    let none = || HttpFailure::protocol("the URL has no host; use a complete URL");
    let mut host = url.host_str().ok_or_else(none)?.to_owned();
    if host.ends_with('.') {
        host.pop();
        url.set_host(Some(&host)).map_err(|_| none())?;
        // Without its dot it can be another kind of host.
        url.host_str().ok_or_else(none)?.clone_into(&mut host);
    }
    let port = url.port_or_known_default().ok_or_else(none)?;
    Ok((host, port))
}

fn method(text: &str) -> Result<Method, HttpFailure> {
    match Method::from_bytes(text.as_bytes()) {
        // CONNECT is for proxies. TRACE makes a server send the request back, with its secrets.
        Ok(Method::CONNECT | Method::TRACE) => Err(HttpFailure::denied(format!(
            "the method {text} is not allowed; use another one"
        ))),
        Ok(method) => Ok(method),
        Err(_) => Err(HttpFailure::protocol(
            "invalid method; use GET, POST and so on",
        )),
    }
}

/// Returns the checked headers.
fn headers(context: &NetworkContext, given: &[(String, String)]) -> Result<HeaderMap, HttpFailure> {
    let limits = &context.limits;
    if given.len() > limits.headers {
        return Err(too_large("the number of headers", limits.headers));
    }
    let bytes: usize = given.iter().map(|(n, v)| n.len() + v.len()).sum();
    if bytes > limits.header_bytes {
        return Err(too_large("the headers in bytes", limits.header_bytes));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            HttpFailure::protocol("the name of a header has a forbidden character; remove it")
        })?;
        if name == HOST || is_hop(&name) {
            continue;
        }
        let bad = || {
            HttpFailure::protocol(format!(
                "the value of the header {name} has a line break or another forbidden character; \
                 remove it"
            ))
        };
        // Headers are Latin-1, as in Python.
        let latin: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
        let latin = latin.map_err(|_| bad())?;
        let value = HeaderValue::from_bytes(&latin).map_err(|_| bad())?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Inserts the secrets. Returns true if there were any.
fn insert_secrets(
    prepared: &mut PreparedRequest,
    secrets: &Substitution<'_>,
    context: &NetworkContext,
) -> Result<bool, HttpFailure> {
    let limits = &context.limits;
    let mut any = false;

    let too_long = || too_large("the URL with its secrets in bytes", limits.url);
    let path = prepared.url.path().as_bytes();
    if let Some(path) = secrets
        .insert(path, Encoding::Path, limits.url)
        .map_err(|e| not_inserted(e, too_long))?
    {
        prepared.url.set_path(&String::from_utf8_lossy(&path));
        any = true;
    }
    let query = prepared.url.query().unwrap_or("").as_bytes();
    if let Some(query) = secrets
        .insert(query, Encoding::Query, limits.url)
        .map_err(|e| not_inserted(e, too_long))?
    {
        let query = String::from_utf8_lossy(&query).into_owned();
        prepared.url.set_query(Some(&query));
        any = true;
    }
    if any && prepared.url.as_str().len() > limits.url {
        return Err(too_long());
    }

    let max = limits.header_bytes;
    let too_long = || too_large("the headers with their secrets in bytes", max);
    let mut bytes = 0;
    for (name, value) in prepared.headers.iter_mut() {
        let inserted = secrets.insert_in_header(name.as_str(), value.as_bytes(), max);
        if let Some(inserted) = inserted.map_err(|e| not_inserted(e, too_long))? {
            *value = HeaderValue::from_bytes(&inserted).map_err(|_| {
                HttpFailure::protocol(format!("the header {name} cannot contain that secret"))
            })?;
            value.set_sensitive(true);
            any = true;
        }
        bytes += name.as_str().len() + value.len();
        if bytes > max {
            return Err(too_long());
        }
    }

    let max = limits.request_body;
    let too_long = || too_large("the body with its secrets in bytes", max);
    let encoding = body_encoding(&prepared.headers);
    let inserted = secrets
        .insert(&prepared.body, encoding, max)
        .map_err(|e| not_inserted(e, too_long))?;
    if let Some(body) = inserted {
        prepared.body = body;
        any = true;
    }
    Ok(any)
}

/// Returns the failure of an insertion.
fn not_inserted(why: NotInserted, too_long: impl Fn() -> HttpFailure) -> HttpFailure {
    match why {
        NotInserted::TooLong => too_long(),
        NotInserted::InEscape => HttpFailure::denied(
            "a secret is not inserted after an incomplete escape such as `\\` or `%4`, which would change its first \
             characters; remove the escape",
        ),
    }
}

/// Returns the encoding of values in the body.
fn body_encoding(headers: &HeaderMap) -> Encoding {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or("").split(';').next().unwrap_or("");
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" {
        Encoding::Query
    } else if kind == "application/json" || kind.ends_with("+json") {
        Encoding::Json
    } else {
        Encoding::Plain
    }
}
