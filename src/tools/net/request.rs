//! A request as a guest asks for it, and what is made of it: checked, and with its secrets in.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER,
};
use reqwest::{Method, Url};

use super::failure::HttpFailure;
use super::redact::Form;
use super::rules;
use super::secrets::Filler;
use super::{Parts, address};

/// Headers of one connection rather than of a message (RFC 9110, section 7.6.1), and of a body's
/// length, which is the host's to tell: with another one, a guest could have part of its body taken
/// for a request of its own.
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

/// What a guest asks for.
#[derive(Clone, Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) url: String,
    /// Names and values; those that are the host's to set are left out.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How long to wait for the response's head, within the bounds.
    pub(crate) timeout: Option<Duration>,
}

/// What is sent.
pub(super) struct Prepared {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    /// The host and port, for messages.
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the response has to be readable, as secrets may be in it.
    pub(super) plain: bool,
}

/// Whether a header is never passed on, in either direction.
pub(super) fn is_hop(name: &HeaderName) -> bool {
    *name == TE
        || *name == TRAILER
        || HOP.contains(&name.as_str())
        || name.as_str().starts_with("proxy-")
}

/// Checks `request`, and puts its secrets in.
pub(super) fn prepare(parts: &Parts, request: HttpRequest) -> Result<Prepared, HttpFailure> {
    let bounds = &parts.bounds;
    if request.body.len() > bounds.request_body {
        let most = bounds.request_body;
        return Err(too_large("the request's body in bytes", most));
    }
    if request.url.len() > bounds.url {
        return Err(too_large("the URL in bytes", bounds.url));
    }
    let mut url = url(&request.url)?;
    let (host, port) = host(&mut url)?;
    if !parts.rules.iter().any(|rule| rule.allows(&host, port)) {
        return Err(HttpFailure::unnamed(&host, Some(port)));
    }
    let method = method(&request.method)?;
    let headers = headers(parts, &request.headers)?;
    let mut prepared = Prepared {
        method,
        url,
        headers,
        body: request.body,
        plain: parts.secrets.iter().any(|s| s.is_for(&host, port)),
        host,
        port,
    };
    let filler_host = prepared.host.clone();
    let filler = Filler::new(&parts.secrets, &filler_host, port);
    if fill(&mut prepared, &filler, parts)? && !is_private(&prepared) {
        return Err(HttpFailure::denied(format!(
            "a secret is not sent over plain http, and this request to {} would have one in it; \
             use https",
            prepared.host
        )));
    }
    if prepared.plain {
        // Secrets could not be found in a compressed answer.
        let identity = HeaderValue::from_static("identity");
        prepared.headers.insert(ACCEPT_ENCODING, identity);
    }
    Ok(prepared)
}

fn too_large(what: &str, most: usize) -> HttpFailure {
    HttpFailure::too_large(what, u64::try_from(most).unwrap_or(u64::MAX))
}

/// Whether nobody else can read it on its way.
fn is_private(prepared: &Prepared) -> bool {
    let own = || match rules::address(&prepared.host) {
        Some(IpAddr::V4(ip)) => ip.is_loopback(),
        Some(IpAddr::V6(ip)) => ip.is_loopback(),
        None => address::is_localhost(&prepared.host),
    };
    prepared.url.scheme() == "https" || own()
}

fn url(text: &str) -> Result<Url, HttpFailure> {
    let mut url = Url::parse(text)
        .map_err(|e| HttpFailure::protocol(format!("this is no whole URL: {e}; check it")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(HttpFailure::denied(format!(
            "only http and https are there, not {}; use one of them",
            url.scheme()
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HttpFailure::protocol(
            "a URL with a user name or password is not sent; use an Authorization header",
        ));
    }
    url.set_fragment(None);
    Ok(url)
}

/// The URL's host and port, the host without a last dot, there and in the URL: what is checked is
/// what a server and its certificate are asked for.
pub(super) fn host(url: &mut Url) -> Result<(String, u16), HttpFailure> {
    let none = || HttpFailure::protocol("this URL has no host; write it whole");
    let mut host = url.host_str().ok_or_else(none)?.to_owned();
    if host.ends_with('.') {
        host.pop();
        url.set_host(Some(&host)).map_err(|_| none())?;
        // Without its dot it may be read as something else.
        url.host_str().ok_or_else(none)?.clone_into(&mut host);
    }
    let port = url.port_or_known_default().ok_or_else(none)?;
    Ok((host, port))
}

fn method(text: &str) -> Result<Method, HttpFailure> {
    match Method::from_bytes(text.as_bytes()) {
        // The one is for proxies, and the other has a server send back what it was sent.
        Ok(Method::CONNECT | Method::TRACE) => Err(HttpFailure::denied(format!(
            "the method {text} is not sent; use another one"
        ))),
        Ok(method) => Ok(method),
        Err(_) => Err(HttpFailure::protocol(
            "the method is not a word as HTTP has it; use GET, POST and so on",
        )),
    }
}

fn headers(parts: &Parts, given: &[(String, String)]) -> Result<HeaderMap, HttpFailure> {
    let bounds = &parts.bounds;
    if given.len() > bounds.headers {
        return Err(too_large("the number of headers", bounds.headers));
    }
    let bytes: usize = given.iter().map(|(n, v)| n.len() + v.len()).sum();
    if bytes > bounds.header_bytes {
        return Err(too_large("the headers in bytes", bounds.header_bytes));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| {
            HttpFailure::protocol("a header's name has a character that none has; leave it out")
        })?;
        if name == HOST || is_hop(&name) {
            continue;
        }
        let bad = || {
            HttpFailure::protocol(format!(
                "the value of the header {name} has a line break or another character that none \
                 has; leave it out"
            ))
        };
        // As Python does it: a header is latin-1.
        let latin: Result<Vec<u8>, _> = value.chars().map(u8::try_from).collect();
        let latin = latin.map_err(|_| bad())?;
        let value = HeaderValue::from_bytes(&latin).map_err(|_| bad())?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// Puts the secrets in. Returns whether there were any.
fn fill(prepared: &mut Prepared, filler: &Filler<'_>, parts: &Parts) -> Result<bool, HttpFailure> {
    let bounds = &parts.bounds;
    let mut any = false;

    let over = |_| too_large("the URL with its secrets in bytes", bounds.url);
    let path = prepared.url.path().as_bytes();
    if let Some(path) = filler.fill(path, Form::Path, bounds.url).map_err(over)? {
        prepared.url.set_path(&String::from_utf8_lossy(&path));
        any = true;
    }
    let query = prepared.url.query().unwrap_or("").as_bytes();
    if let Some(query) = filler.fill(query, Form::Query, bounds.url).map_err(over)? {
        let query = String::from_utf8_lossy(&query).into_owned();
        prepared.url.set_query(Some(&query));
        any = true;
    }
    if any && prepared.url.as_str().len() > bounds.url {
        return Err(over(super::secrets::Overfull));
    }

    let most = bounds.header_bytes;
    let over = || too_large("the headers with their secrets in bytes", most);
    let mut bytes = 0;
    for (name, value) in prepared.headers.iter_mut() {
        let filled = filler.header(name.as_str(), value.as_bytes(), most);
        if let Some(filled) = filled.map_err(|_| over())? {
            *value = HeaderValue::from_bytes(&filled).map_err(|_| {
                HttpFailure::protocol(format!(
                    "no value of the header {name} can have that secret"
                ))
            })?;
            value.set_sensitive(true);
            any = true;
        }
        bytes += name.as_str().len() + value.len();
        if bytes > most {
            return Err(over());
        }
    }

    let most = bounds.request_body;
    let form = body_form(&prepared.headers);
    let filled = filler
        .fill(&prepared.body, form, most)
        .map_err(|_| too_large("the body with its secrets in bytes", most))?;
    if let Some(body) = filled {
        prepared.body = body;
        any = true;
    }
    Ok(any)
}

/// How a value is written in the body.
fn body_form(headers: &HeaderMap) -> Form {
    let kind = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    let kind = kind.unwrap_or("").split(';').next().unwrap_or("");
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "application/x-www-form-urlencoded" {
        Form::Query
    } else if kind == "application/json" || kind.ends_with("+json") {
        Form::Json
    } else {
        Form::Plain
    }
}
