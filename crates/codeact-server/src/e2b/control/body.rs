//! Extractors of the control plane: its caller, and JSON bodies. Their errors have E2B's form.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::app::{AppState, ServerTenant};
use crate::auth::Caller;
use crate::e2b::error::E2bError;
use crate::e2b::record::E2bSandbox;

/// Limit of a body, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Longest time to live of a sandbox, in seconds: ten years.
const MAX_TIMEOUT: u64 = 10 * 365 * 86_400;

/// Extractor: the tenant that has the API key of the request.
pub(crate) struct Team(pub(crate) ServerTenant);

impl Team {
    /// Returns the sandbox `id` of the tenant.
    ///
    /// # Errors
    ///
    /// Returns 404. It does not depend on sandboxes of other tenants.
    pub(crate) fn sandbox(&self, id: &str) -> Result<E2bSandbox, E2bError> {
        E2bSandbox::find(&self.0, id).ok_or_else(|| E2bError::no_sandbox(id))
    }
}

impl FromRequestParts<AppState> for Team {
    type Rejection = E2bError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, E2bError> {
        let Caller(tenant) = Caller::from_request_parts(parts, app).await?;
        Ok(Self(tenant))
    }
}

/// Extractor: the fields of a JSON body. An absent body has no fields.
pub(crate) struct Fields<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Fields<T> {
    type Rejection = E2bError;

    async fn from_request(request: Request, _app: &AppState) -> Result<Self, E2bError> {
        let bytes = read_body(request).await?;
        Ok(Self(parse(&bytes)?))
    }
}

/// Reads a small body.
pub(crate) async fn read_body(request: Request) -> Result<Bytes, E2bError> {
    axum::body::to_bytes(request.into_body(), MAX_BODY)
        .await
        .map_err(|_| {
            E2bError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body could not be read, or has more than {MAX_BODY} bytes"),
            )
        })
}

/// Parses a body. An empty one has no fields.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, E2bError> {
    let bytes = if bytes.trim_ascii().is_empty() {
        b"{}"
    } else {
        bytes
    };
    serde_json::from_slice(bytes)
        .map_err(|error| E2bError::bad_request(format!("Error when parsing request: {error}")))
}

/// Checks a time to live in seconds.
pub(crate) fn timeout(seconds: i64) -> Result<u64, E2bError> {
    match u64::try_from(seconds) {
        Ok(seconds) if seconds <= MAX_TIMEOUT => Ok(seconds),
        _ => Err(E2bError::bad_request(format!(
            "Timeout is {seconds} seconds, expected 0 to {MAX_TIMEOUT}"
        ))),
    }
}
