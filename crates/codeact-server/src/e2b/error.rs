//! Errors in the forms that E2B's SDKs expect.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use codeact_sessions::manager::ManagerError;
use serde_json::json;

use crate::error::ApiError;

/// An error of the control plane, or of the proxy in front of a sandbox: `{"code": 404, "message": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct E2bError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// E2B's name for programs.
    error_code: Option<&'static str>,
    /// The sandbox, in errors of the proxy.
    pub(crate) sandbox: Option<String>,
    retry_after: Option<Duration>,
}

impl E2bError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            error_code: None,
            sandbox: None,
            retry_after: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A part of E2B's API that this server does not have.
    pub(crate) fn not_available(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// Sets E2B's name for programs.
    pub(crate) fn with_code(mut self, code: &'static str) -> Self {
        self.error_code = Some(code);
        self
    }

    /// The control plane's answer for an unknown sandbox.
    pub(crate) fn no_sandbox(id: &str) -> Self {
        Self::not_found(format!(
            "Sandbox \"{}\" doesn't exist or you don't have access to it",
            shown(id)
        ))
    }

    /// The proxy's answer for a sandbox that does not run. The SDKs look for "was not found" in it.
    pub(crate) fn not_running(id: &str) -> Self {
        Self {
            sandbox: Some(shown(id)),
            ..Self::new(StatusCode::BAD_GATEWAY, "The sandbox was not found")
        }
    }

    pub(crate) fn body(&self) -> serde_json::Value {
        let mut body = json!({"code": self.status.as_u16(), "message": self.message});
        if let Some(code) = self.error_code {
            body["error_code"] = code.into();
        }
        if let Some(sandbox) = &self.sandbox {
            body["sandboxId"] = sandbox.as_str().into();
        }
        body
    }

    fn with_headers(&self, mut response: Response) -> Response {
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0) as u64;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Returns an identifier that a client sent, short enough to be quoted.
fn shown(id: &str) -> String {
    id.chars().take(64).collect()
}

impl IntoResponse for E2bError {
    fn into_response(self) -> Response {
        self.with_headers((self.status, Json(self.body())).into_response())
    }
}

impl From<ApiError> for E2bError {
    fn from(error: ApiError) -> Self {
        Self {
            retry_after: error.retry_after,
            ..Self::new(error.status, error.message)
        }
    }
}

impl From<ManagerError> for E2bError {
    fn from(error: ManagerError) -> Self {
        match error {
            ManagerError::Missing { id } => Self::no_sandbox(&id),
            error => ApiError::from(error).into(),
        }
    }
}

/// An error of the code interpreter, which answers with plain text.
pub(crate) struct PlainError(pub(crate) E2bError);

impl IntoResponse for PlainError {
    fn into_response(self) -> Response {
        if self.0.sandbox.is_some() {
            return self.0.into_response();
        }
        let error = self.0;
        error.with_headers((error.status, error.message.clone()).into_response())
    }
}

impl<E: Into<E2bError>> From<E> for PlainError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
