//! Which requests are for a sandbox, and for which one.
//!
//! Security boundary: a sandbox is only reached with one of its tokens, or a token of its tenant. To a request without
//! either, a sandbox that exists is the same as one that does not.
//!
//! E2B gives each port of a sandbox a host name. The clients name sandbox and port in the headers `E2b-Sandbox-Id` and
//! `E2b-Sandbox-Port`, or in the host `PORT-ID.DOMAIN`. [`wrap`] moves these requests to the prefixes `/e2b/49983` (envd)
//! and `/e2b/49999` (code interpreter) of the router, so that their paths cannot meet those of other protocols.

use axum::Router;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use codeact_sessions::manager::SessionHandle;
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::app::AppState;
use crate::auth::client;
use crate::e2b::error::E2bError;
use crate::e2b::record::{DEBUG_SANDBOX, E2bSandbox, State};
use crate::e2b::{debug, signature};

/// Port of envd: files and processes.
pub(crate) const ENVD_PORT: u16 = 49983;
/// Port of the code interpreter.
pub(crate) const INTERPRETER_PORT: u16 = 49999;
/// Limit of the identifier of a sandbox in a request, in bytes.
const MAX_ID: usize = 100;

/// The sandbox and port that a request is for, as the client named them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) sandbox: String,
    pub(crate) port: u16,
    /// True if the request came in on a listener of debug mode, whose clients have no tokens.
    pub(crate) is_debug: bool,
}

/// The sandbox of a request and whether the request may use it; see [`sandbox_of_request`].
pub(crate) struct RoutedSandbox {
    pub(crate) sandbox: E2bSandbox,
    /// True if the request has one of its tokens. False: it has a valid signature, for one file only.
    pub(crate) has_token: bool,
}

/// Extractor of the routes below `/e2b/49999` and `/e2b/49983`: the session of the sandbox, which a request with a token
/// is for. A paused sandbox is resumed if it was made so.
pub(crate) struct Sandboxed(pub(crate) SessionHandle);

impl FromRequestParts<AppState> for Sandboxed {
    type Rejection = E2bError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, E2bError> {
        Ok(Self(
            SandboxedRecord::from_request_parts(parts, app)
                .await?
                .0
                .handle,
        ))
    }
}

/// As [`Sandboxed`], with the record of the sandbox.
pub(crate) struct SandboxedRecord(pub(crate) E2bSandbox);

impl FromRequestParts<AppState> for SandboxedRecord {
    type Rejection = E2bError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, E2bError> {
        let found = sandbox_of_request(app, parts).await?;
        match found.has_token {
            true => Ok(Self(found.sandbox)),
            false => Err(unauthorized()),
        }
    }
}

/// Returns `inner` behind a middleware that moves requests for sandboxes to their prefixes.
pub(crate) fn wrap(inner: Router) -> Router {
    Router::new()
        .fallback_service(inner)
        .layer(middleware::from_fn(move_request))
}

async fn move_request(mut request: Request, next: Next) -> Response {
    let target = match request.extensions().get::<Target>() {
        Some(target) => Ok(Some(target.clone())),
        None => target_of(request.headers(), request.uri()),
    };
    let target = match target {
        Ok(target) => target,
        Err(error) => return error.into_response(),
    };
    let target = match target {
        Some(target) => target,
        None if signature::is_signed_file(request.uri()) => Target {
            // A signed URL names no sandbox if all of them have one URL. Its signature does.
            sandbox: String::new(),
            port: ENVD_PORT,
            is_debug: false,
        },
        None if request.uri().path().starts_with("/e2b/") => {
            return E2bError::not_found("there is no such path").into_response();
        }
        None => return next.run(request).await,
    };
    if ![ENVD_PORT, INTERPRETER_PORT].contains(&target.port) {
        return closed_port(&target);
    }
    match with_prefix(request.uri(), target.port) {
        Some(uri) => *request.uri_mut() = uri,
        None => return E2bError::bad_request("the path is not valid").into_response(),
    }
    request.extensions_mut().insert(target);
    next.run(request).await
}

/// Returns the sandbox that a request names; `None` if it names none.
fn target_of(headers: &header::HeaderMap, uri: &Uri) -> Result<Option<Target>, E2bError> {
    let text = |name: &str| {
        headers
            .get(name)
            .map(|value| value.to_str().unwrap_or_default())
    };
    let (id, port) = match (text("e2b-sandbox-id"), text("e2b-sandbox-port")) {
        (None, None) => {
            let host = text(header::HOST.as_str()).or_else(|| uri.authority().map(|a| a.as_str()));
            match host.and_then(sandbox_of_host) {
                None => return Ok(None),
                Some((port, id)) => (id.to_owned(), port.to_owned()),
            }
        }
        (Some(id), Some(port)) => (id.to_owned(), port.to_owned()),
        (Some(_), None) => return Err(missing("E2b-Sandbox-Port")),
        (None, Some(_)) => return Err(missing("E2b-Sandbox-Id")),
    };
    let is_id = !id.is_empty()
        && id.len() <= MAX_ID
        && (id.bytes()).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !is_id {
        return Err(E2bError::bad_request("Invalid sandbox ID"));
    }
    let is_port = port.bytes().all(|b| b.is_ascii_digit());
    let port = port.parse().ok().filter(|_| is_port);
    let Some(port) = port else {
        return Err(E2bError::bad_request("Invalid sandbox port"));
    };
    Ok(Some(Target {
        sandbox: id,
        port,
        is_debug: false,
    }))
}

fn missing(name: &str) -> E2bError {
    E2bError::bad_request(format!("Missing header: {name}"))
}

/// Returns port and sandbox of a host `PORT-ID.DOMAIN`.
fn sandbox_of_host(host: &str) -> Option<(&str, &str)> {
    let (first, domain) = host.split_once('.')?;
    let (port, id) = first.split_once('-')?;
    let is_name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let is_port = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    (is_port && is_name(id) && !domain.is_empty()).then_some((port, id))
}

fn with_prefix(uri: &Uri, port: u16) -> Option<Uri> {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if !path.starts_with('/') {
        return None;
    }
    let path = format!("/e2b/{port}{path}").parse::<PathAndQuery>().ok()?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).ok()
}

/// Answers a request for a port on which nothing listens, which are all but two: code in a sandbox cannot listen. The
/// answer does not depend on whether the sandbox exists.
fn closed_port(target: &Target) -> Response {
    let body = json!({
        "sandboxId": target.sandbox,
        "message": "port is not open: code in a sandbox of this server cannot listen on ports",
        "port": target.port,
        "code": 502,
    });
    (StatusCode::BAD_GATEWAY, axum::Json(body)).into_response()
}

/// Returns the sandbox that a request is for. The request must have one of the sandbox's tokens, a token of its tenant,
/// or the signature of a file. A paused sandbox is resumed if it was made so.
///
/// # Errors
///
/// Returns 401 if the request has no token, and otherwise 502 with "The sandbox was not found", as E2B's proxy does, if
/// there is no such sandbox, the token is another one's, or it is paused.
pub(crate) async fn sandbox_of_request(
    app: &AppState,
    parts: &Parts,
) -> Result<RoutedSandbox, E2bError> {
    let Some(target) = parts.extensions.get::<Target>() else {
        return Err(E2bError::not_found("there is no such path"));
    };
    let found = if target.is_debug {
        RoutedSandbox {
            sandbox: debug::shared_sandbox(app).await?,
            has_token: true,
        }
    } else if let Some(found) = with_token(app, parts, target)? {
        found
    } else if let Some(sandbox) = signature::sandbox_of_signed_file(app, parts, target).await {
        RoutedSandbox {
            sandbox,
            has_token: false,
        }
    } else {
        return Err(E2bError::not_running(&target.sandbox));
    };
    match found.sandbox.state() {
        State::Running => Ok(found),
        State::Paused if found.sandbox.record.auto_resume && found.has_token => {
            let timeout = found.sandbox.record.timeout_s;
            found.sandbox.resume(timeout, true).await?;
            Ok(found)
        }
        _ => Err(E2bError::not_running(&target.sandbox)),
    }
}

/// Returns the sandbox of a request that may use all of it.
fn with_token(
    app: &AppState,
    parts: &Parts,
    target: &Target,
) -> Result<Option<RoutedSandbox>, E2bError> {
    let text = |name: &str| parts.headers.get(name)?.to_str().ok();
    let tokens = ["x-access-token", "e2b-traffic-access-token"].map(text);
    let tokens: Vec<&str> = tokens.into_iter().flatten().collect();
    // A tenant may use all of its sandboxes with a token of its own.
    let own = match text("x-api-key") {
        Some(key) => Some(app.tokens.check(key, client(parts))?),
        None => app.tokens.anonymous().cloned(),
    };
    if tokens.is_empty() && own.is_none() {
        let has_signature = signature::is_signed_file(&parts.uri);
        return if has_signature {
            Ok(None)
        } else {
            Err(unauthorized())
        };
    }
    if let Some(tenant) = own
        && let Some(sandbox) = E2bSandbox::find(&tenant, &target.sandbox)
    {
        return Ok(Some(RoutedSandbox {
            sandbox,
            has_token: true,
        }));
    }
    for tenant in app.tokens.all() {
        let Some(sandbox) = E2bSandbox::find(tenant, &target.sandbox) else {
            continue;
        };
        let known = [&sandbox.record.access_token, &sandbox.record.traffic_token];
        let is_known = |token: &&str| {
            let equal = known.map(|known| known.as_bytes().ct_eq(token.as_bytes()));
            bool::from(equal[0] | equal[1])
        };
        // Not debug mode's sandbox: its tokens are never given out.
        if sandbox.handle.id() != DEBUG_SANDBOX && tokens.iter().any(is_known) {
            return Ok(Some(RoutedSandbox {
                sandbox,
                has_token: true,
            }));
        }
    }
    Ok(None)
}

fn unauthorized() -> E2bError {
    E2bError::new(
        StatusCode::UNAUTHORIZED,
        "the request has no token of the sandbox: expected the header X-Access-Token or E2B-Traffic-Access-Token",
    )
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, Uri};

    use super::{Target, sandbox_of_host, target_of, with_prefix};

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        list.iter()
            .map(|(name, text)| (name.parse().unwrap(), value(text)))
            .collect()
    }

    #[test]
    fn headers_and_hosts_name_a_sandbox() {
        let uri = Uri::from_static("/execute");
        let expected = Target {
            sandbox: "abc123".into(),
            port: 49999,
            is_debug: false,
        };
        for list in [
            &[("e2b-sandbox-id", "abc123"), ("e2b-sandbox-port", "49999")][..],
            &[("host", "49999-abc123.example.com")],
            &[("host", "49999-abc123.example.com:8642")],
            // The headers win, as one URL serves all sandboxes then.
            &[
                ("host", "49983-other.example.com"),
                ("e2b-sandbox-id", "abc123"),
                ("e2b-sandbox-port", "49999"),
            ],
        ] {
            assert_eq!(target_of(&headers(list), &uri), Ok(Some(expected.clone())));
        }
        for host in [
            "localhost:8642",
            "127.0.0.1",
            "my-host.example.com",
            "8642-.x",
            "1-a",
        ] {
            assert_eq!(
                target_of(&headers(&[("host", host)]), &uri),
                Ok(None),
                "{host}"
            );
        }
    }

    #[test]
    fn headers_that_name_half_a_sandbox_are_refused() {
        let uri = Uri::from_static("/execute");
        for list in [
            &[("e2b-sandbox-id", "abc")][..],
            &[("e2b-sandbox-port", "49999")],
            &[("e2b-sandbox-id", ""), ("e2b-sandbox-port", "49999")],
            &[("e2b-sandbox-id", "../x"), ("e2b-sandbox-port", "49999")],
            &[("e2b-sandbox-id", "abc"), ("e2b-sandbox-port", "+49999")],
            &[("e2b-sandbox-id", "abc"), ("e2b-sandbox-port", "999999")],
        ] {
            assert!(target_of(&headers(list), &uri).is_err(), "{list:?}");
        }
    }

    #[test]
    fn the_prefix_keeps_path_and_query() {
        let uri: Uri = "/files?path=%2Fa%2Fb&x=1".parse().unwrap();
        assert_eq!(
            with_prefix(&uri, 49983).unwrap().to_string(),
            "/e2b/49983/files?path=%2Fa%2Fb&x=1"
        );
        let uri: Uri = "http://49983-abc.d.e/health".parse().unwrap();
        assert_eq!(
            with_prefix(&uri, 49983).unwrap().path(),
            "/e2b/49983/health"
        );
        assert_eq!(sandbox_of_host("49983-abc.d"), Some(("49983", "abc")));
    }
}
