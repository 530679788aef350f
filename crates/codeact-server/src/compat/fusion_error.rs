//! Errors in the form of SandboxFusion, which is that of FastAPI.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;

/// An error as `{"detail": TEXT}`.
#[derive(Debug)]
pub(super) struct FusionError(ApiError);

impl FusionError {
    /// Returns the error of a body that does not match the schema.
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self(ApiError::new(status, "invalid", why))
    }
}

impl<E: Into<ApiError>> From<E> for FusionError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for FusionError {
    fn into_response(self) -> Response {
        let error = self.0;
        let body = match error.status {
            StatusCode::UNPROCESSABLE_ENTITY => json!({
                "detail": [{ "type": error.code, "loc": ["body"], "msg": error.message }],
            }),
            _ => json!({ "detail": error.message }),
        };
        let mut response = (error.status, Json(body)).into_response();
        if let Some(after) = error.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0) as u64;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
