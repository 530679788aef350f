//! The tenant of a Jupyter request, and the log-in with a password that browsers and Open WebUI use.
//!
//! Security boundary: the password is a token of a tenant. A log-in is a random cookie of which the server stores the
//! hash. A request that changes something and has no other proof than this cookie must repeat the cookie `_xsrf` in the
//! header `X-XSRFToken`, which another site's page cannot do.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, FromRequestParts, Query, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use subtle::ConstantTimeEq;

use super::error::JupyterError;
use super::ids::secret;
use super::logins::LOGIN_TIME;
use super::registry::JupyterState;
use crate::app::{AppState, ServerTenant};
use crate::auth::Caller;
use crate::error::ApiError;

/// Limit of the body of a log-in, in bytes.
const MAX_FORM_BYTES: usize = 8192;
const LOGIN_COOKIE: &str = "codeact-login";
const XSRF_COOKIE: &str = "_xsrf";
const XSRF_HEADER: &str = "x-xsrftoken";

/// Extractor: the tenant of a request to the Jupyter API, by its token or its log-in.
pub(super) struct JupyterCaller(pub(super) ServerTenant);

impl FromRequestParts<AppState> for JupyterCaller {
    type Rejection = JupyterError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, JupyterError> {
        if let Some(tenant) = logged_in(parts) {
            return Ok(Self(tenant));
        }
        let Caller(tenant) = Caller::from_request_parts(parts, app).await?;
        Ok(Self(tenant))
    }
}

/// Returns the tenant of the log-in that a request belongs to.
fn logged_in(parts: &Parts) -> Option<ServerTenant> {
    let state = parts.extensions.get::<Arc<JupyterState>>()?;
    let tenant = state.logins.tenant(cookie(&parts.headers, LOGIN_COOKIE)?)?;
    let is_safe = [Method::GET, Method::HEAD].contains(&parts.method);
    let header = (parts.headers.get(XSRF_HEADER)).and_then(|header| header.to_str().ok());
    let repeats = cookie(&parts.headers, XSRF_COOKIE)
        .zip(header)
        .is_some_and(|(cookie, header)| same(cookie, header));
    (is_safe || repeats).then_some(tenant)
}

fn same(one: &str, other: &str) -> bool {
    bool::from(one.as_bytes().ct_eq(other.as_bytes()))
}

/// Returns the value of the cookie `name`.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(COOKIE).iter();
    let mut pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.trim_matches('"'))
}

fn set_cookie(name: &str, value: &str, attributes: &str) -> (axum::http::HeaderName, String) {
    let cookie = format!("{name}={value}; Path=/; SameSite=Strict{attributes}");
    (SET_COOKIE, cookie)
}

/// Sends the form of the log-in, and the cookie that its answer must repeat.
pub(super) async fn form() -> Result<Response, JupyterError> {
    let token = secret()?;
    let page = format!(
        "<!doctype html><meta charset=utf-8><title>codeact</title><form method=post action=login>\
         <input type=hidden name=_xsrf value={token}><label>Password or token: <input type=password \
         name=password autofocus></label> <button>Log in</button></form>"
    );
    let headers = [
        set_cookie(XSRF_COOKIE, &token, ""),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Html(page)).into_response())
}

#[derive(Deserialize)]
struct Submitted {
    #[serde(default)]
    _xsrf: String,
    #[serde(default)]
    password: String,
}

/// Logs in with a token of a tenant as the password.
pub(super) async fn submit(
    State(app): State<AppState>,
    Extension(state): Extension<Arc<JupyterState>>,
    request: Request,
) -> Result<Response, JupyterError> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let invalid = || ApiError::bad_request("the form of the log-in is not valid");
    // The client has no token yet.
    let body = to_bytes(body, MAX_FORM_BYTES)
        .await
        .map_err(|_| invalid())?;
    let submitted = read_form(std::str::from_utf8(&body).map_err(|_| invalid())?)?;
    let repeats = cookie(headers, XSRF_COOKIE)
        .is_some_and(|cookie| !cookie.is_empty() && same(cookie, &submitted._xsrf));
    if !repeats {
        let why = "'_xsrf' argument missing from POST, or not that of the form";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "xsrf", why).into());
    }
    let tenant = tenant_of(&app, &parts, &submitted.password).await?;
    let login = state.logins.add(tenant)?;
    let age = LOGIN_TIME.as_secs();
    let headers = [
        set_cookie(LOGIN_COOKIE, &login, &format!("; HttpOnly; Max-Age={age}")),
        (LOCATION, "/api/status".to_owned()),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

/// Ends the log-in of the request.
pub(super) async fn logout(
    Extension(state): Extension<Arc<JupyterState>>,
    headers: HeaderMap,
) -> Response {
    if let Some(cookie) = cookie(&headers, LOGIN_COOKIE) {
        state.logins.end(cookie);
    }
    let headers = [
        set_cookie(LOGIN_COOKIE, "", "; HttpOnly; Max-Age=0"),
        (LOCATION, "/login".to_owned()),
    ];
    (StatusCode::FOUND, headers).into_response()
}

fn read_form(body: &str) -> Result<Submitted, ApiError> {
    let invalid = || ApiError::bad_request("the form of the log-in is not valid");
    let uri: Uri = format!("/?{body}").parse().map_err(|_| invalid())?;
    let Query(submitted) = Query::try_from_uri(&uri).map_err(|_| invalid())?;
    Ok(submitted)
}

/// Returns the tenant that has the token `password`, with the rules of [`Caller`].
async fn tenant_of(
    app: &AppState,
    of: &Parts,
    password: &str,
) -> Result<ServerTenant, JupyterError> {
    let mut request =
        axum::http::Request::builder().header(AUTHORIZATION, format!("token {password}"));
    // Wrong passwords are counted by address, as wrong tokens are.
    if let Some(peer) = of.extensions.get::<ConnectInfo<SocketAddr>>() {
        request = request.extension(*peer);
    }
    let request = request.body(());
    let wrong = || ApiError::new(StatusCode::UNAUTHORIZED, "password", "Invalid credentials");
    let (mut parts, ()) = request.map_err(|_| wrong())?.into_parts();
    match Caller::from_request_parts(&mut parts, app).await {
        Ok(Caller(tenant)) => Ok(tenant),
        Err(error) => Err(error.into()),
    }
}
