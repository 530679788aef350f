//! Which requests are let in: the `Host` and `Origin` headers, and some properties of the head.
//!
//! Security boundary: a web page in a browser on this machine must not be able to run code. A page sends its `Origin`
//! with every request that could do so, and the name that a rebound DNS entry was looked up by in `Host`. Browsers state
//! in `Sec-Fetch-Site` where a request without `Origin` comes from.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use crate::config::ServerConfig;
use crate::config::web_names::{Authority, Origin};
use crate::error::ApiError;

/// Limit of the path and query of a request, in bytes.
const MAX_URI_BYTES: usize = 16 << 10;
/// Time for which a browser may remember the answer to a preflight request.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// The hosts and origins that are served.
pub(crate) struct Policy {
    any_host: bool,
    /// Names in addition to addresses and `localhost`.
    hosts: Vec<String>,
    any_origin: bool,
    null_origin: bool,
    origins: Vec<Origin>,
}

impl Policy {
    /// Returns the policy of a configuration that was checked.
    pub(crate) fn new(config: &ServerConfig) -> Arc<Self> {
        let hosts = config
            .hosts
            .iter()
            .filter_map(|host| Authority::parse(host));
        Arc::new(Self {
            any_host: config.hosts.iter().any(|host| host == "*"),
            hosts: hosts.map(|host| host.name).collect(),
            any_origin: config.origins.iter().any(|origin| origin == "*"),
            null_origin: config.origins.iter().any(|origin| origin == "null"),
            origins: config
                .origins
                .iter()
                .filter_map(|origin| Origin::parse(origin))
                .collect(),
        })
    }

    /// True if requests for this host are served.
    fn serves(&self, host: &Authority) -> bool {
        self.any_host
            || host.is_address()
            || self.names(&host.name, "localhost")
            || self.is_own(host)
    }

    /// True if the operator has named the host.
    fn is_own(&self, host: &Authority) -> bool {
        self.hosts.iter().any(|own| self.names(&host.name, own))
    }

    /// True if `name` is `own`, or a port of a sandbox below it, as E2B's clients name them: `PORT-SANDBOX.own`.
    fn names(&self, name: &str, own: &str) -> bool {
        if name == own {
            return true;
        }
        let label = name
            .strip_suffix(own)
            .and_then(|label| label.strip_suffix('.'));
        let parts = label.and_then(|label| label.split_once('-'));
        parts.is_some_and(|(port, sandbox)| {
            let is_port =
                !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
            let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            is_port && !sandbox.is_empty() && sandbox.bytes().all(plain)
        })
    }

    /// True if pages of this origin may send requests to any host that is served.
    fn allows(&self, origin: &str) -> bool {
        self.any_origin
            || (self.null_origin && origin == "null")
            || Origin::parse(origin).is_some_and(|origin| self.origins.contains(&origin))
    }

    /// True if `origin` is that of the pages of this server at `host`.
    fn is_same(&self, origin: &str, host: &Authority) -> bool {
        let Some(origin) = Origin::parse(origin) else {
            return false;
        };
        // A page of another scheme is another server's, unless the host is that of a proxy in front of this one.
        origin == Origin::new("http", host.clone())
            || (self.is_own(host) && origin == Origin::new("https", host.clone()))
    }

    fn check(&self, request: &Request) -> Result<(), ApiError> {
        let uri = request.uri();
        let length = uri.path_and_query().map_or(0, |path| path.as_str().len());
        if length > MAX_URI_BYTES {
            return Err(ApiError::new(
                StatusCode::URI_TOO_LONG,
                "uri_too_long",
                format!("the path and query have {length} bytes; expected at most {MAX_URI_BYTES}"),
            ));
        }
        let headers = request.headers();
        let host = host(request)?;
        if !self.serves(&host) {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "host_refused",
                format!(
                    "requests for the host {} are not served; use an address or localhost, or let the operator allow \
                     the name",
                    host.name
                ),
            ));
        }
        match one(headers, &ORIGIN)? {
            Some(origin) if self.allows(origin) || self.is_same(origin, &host) => {}
            Some(origin) => return Err(origin_refused(origin)),
            None if is_from_other_site(request) => return Err(origin_refused("of another site")),
            None => {}
        }
        check_content_type(request)
    }
}

fn origin_refused(origin: &str) -> ApiError {
    let shown: String = origin.chars().take(200).collect();
    ApiError::new(
        StatusCode::FORBIDDEN,
        "origin_refused",
        format!(
            "requests of the web page {shown:?} are refused; the operator can allow its origin"
        ),
    )
}

/// Returns the only value of a header, if it has one.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ApiError> {
    let mut values = headers.get_all(name).iter();
    let (first, second) = (values.next(), values.next());
    let bad = || ApiError::bad_request(format!("the header {name} is repeated or not ASCII"));
    match (first, second) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| bad()),
        (Some(_), Some(_)) => Err(bad()),
    }
}

/// Returns the host that the request is for. The header and the authority of the request line must not differ.
fn host(request: &Request) -> Result<Authority, ApiError> {
    let header = one(request.headers(), &HOST)?;
    let of_uri = request
        .uri()
        .authority()
        .map(|authority| authority.as_str());
    let text = match (header, of_uri) {
        (Some(header), Some(of_uri)) if !header.eq_ignore_ascii_case(of_uri) => {
            return Err(ApiError::bad_request(
                "the header Host differs from the host of the request line",
            ));
        }
        (Some(text), _) | (None, Some(text)) => text,
        (None, None) => return Err(ApiError::bad_request("the request has no Host")),
    };
    Authority::parse(text).ok_or_else(|| ApiError::bad_request("the header Host is invalid"))
}

/// True if a browser states that a page of another site has caused the request, other than by a link to it.
fn is_from_other_site(request: &Request) -> bool {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_foreign =
        header("sec-fetch-site").is_some_and(|site| site != b"same-origin" && site != b"none");
    let is_link = header("sec-fetch-mode") == Some(b"navigate")
        && header("sec-fetch-dest") == Some(b"document")
        && [Method::GET, Method::HEAD].contains(request.method());
    is_foreign && !is_link
}

/// True for Jupyter's log-in, whose form repeats a cookie that other sites cannot read.
fn is_login(request: &Request) -> bool {
    request.uri().path() == "/login"
}

/// Refuses bodies that a form of any web page can send without a preflight request, and that no route takes.
fn check_content_type(request: &Request) -> Result<(), ApiError> {
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map(HeaderValue::as_bytes);
    let Some(content_type) =
        content_type.filter(|_| request.method() == Method::POST && !is_login(request))
    else {
        return Ok(());
    };
    let essence = content_type
        .split(|b| *b == b';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim_ascii();
    let is_form = [&b"application/x-www-form-urlencoded"[..], b"text/plain"]
        .iter()
        .any(|form| essence.eq_ignore_ascii_case(form));
    match is_form {
        false => Ok(()),
        true => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content_type",
            format!(
                "the content type is {}; expected application/json",
                String::from_utf8_lossy(essence)
            ),
        )),
    }
}

/// Middleware of all routes.
async fn guard(
    State(policy): State<Arc<Policy>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    policy.check(&request)?;
    Ok(next.run(request).await)
}

/// Returns `router` behind the guard.
pub(crate) fn guarded<S: Clone + Send + Sync + 'static>(
    router: Router<S>,
    policy: Arc<Policy>,
) -> Router<S> {
    let router = match policy.any_origin || policy.null_origin || !policy.origins.is_empty() {
        true => router.layer(cors(policy.clone())),
        false => router,
    };
    router.layer(middleware::from_fn_with_state(policy, guard))
}

/// Returns the layer that answers preflight requests, and that lets pages of allowed origins read responses.
fn cors(policy: Arc<Policy>) -> CorsLayer {
    let allows = move |origin: &HeaderValue, _: &axum::http::request::Parts| {
        origin.to_str().is_ok_and(|origin| policy.allows(origin))
    };
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allows))
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([HeaderName::from_static("x-request-id"), RETRY_AFTER])
        .allow_private_network(true)
        .max_age(PREFLIGHT_AGE)
}
