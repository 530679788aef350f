//! Errors in the form of Jupyter Server.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;

/// An error as `{"message": TEXT, "reason": NAME}`.
#[derive(Debug)]
pub(super) struct JupyterError(pub(super) ApiError);

impl<E: Into<ApiError>> From<E> for JupyterError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for JupyterError {
    fn into_response(self) -> Response {
        let error = self.0;
        // Jupyter Server has no other status for a missing token.
        let status = match error.status {
            StatusCode::UNAUTHORIZED => StatusCode::FORBIDDEN,
            status => status,
        };
        let body = json!({ "message": error.message, "reason": error.code });
        let mut response = (status, Json(body)).into_response();
        if let Some(after) = error.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0) as u64;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
