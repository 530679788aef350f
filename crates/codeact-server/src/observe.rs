//! Identifiers, log lines and figures of requests.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use crate::metrics::{REQUESTS, RouteClass};

/// Limit of the length of an identifier that a client chooses, in bytes.
const MAX_ID_BYTES: usize = 64;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Identifier of a request, in its log lines and in its response.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

impl RequestId {
    /// Returns the identifier as text.
    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

/// Middleware of all routes, around the others.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId(given(request.headers()).unwrap_or_else(new_id));
    let class = RouteClass::of(request.uri().path());
    let method = request.method().clone();
    // Without the query, which may contain a token, and without the names of sessions and files.
    let span = tracing::info_span!(
        "request",
        id = id.as_str(),
        class = class.name(),
        http.request.method = method.as_str(),
        http.response.status_code = tracing::field::Empty,
    );
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, elapsed) = (response.status(), started.elapsed());
    REQUESTS.count(class, status, elapsed);
    span.record("http.response.status_code", status.as_u16());
    span.in_scope(|| {
        tracing::info!(
            status = status.as_u16(),
            ms = elapsed.as_secs_f64() * 1e3,
            "answered"
        );
    });
    response.headers_mut().insert(REQUEST_ID, id.0);
    response
}

/// Returns the identifier that the client chose, if it is harmless in a log.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(&REQUEST_ID)?;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.".contains(b);
    let bytes = value.as_bytes();
    let is_good = !bytes.is_empty() && bytes.len() <= MAX_ID_BYTES && bytes.iter().all(plain);
    is_good.then(|| value.clone())
}

/// Returns an identifier that is unique, and no secret.
fn new_id() -> HeaderValue {
    static PROCESS: OnceLock<u32> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let process = PROCESS.get_or_init(|| {
        let mut bytes = [0; 4];
        // Zeros are less unique, and no fault.
        let _ = getrandom::fill(&mut bytes);
        u32::from_le_bytes(bytes)
    });
    let id = format!("{process:08x}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
    HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
}
