//! Errors in the form of LibreChat's code interpreter.

use axum::Json;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;

/// An error as `{"error": TEXT}`.
#[derive(Debug)]
pub(super) struct LibreChatError(ApiError);

impl LibreChatError {
    pub(super) fn bad_request(why: impl Into<String>) -> Self {
        Self(ApiError::bad_request(why))
    }

    pub(super) fn missing(why: impl Into<String>) -> Self {
        Self(ApiError::not_found(why))
    }

    /// A file of the request does not exist, or belongs to another tenant.
    pub(super) fn forbidden(why: impl Into<String>) -> Self {
        Self(ApiError::new(StatusCode::FORBIDDEN, "forbidden", why))
    }
}

impl<E: Into<ApiError>> From<E> for LibreChatError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for LibreChatError {
    fn into_response(self) -> Response {
        let error = self.0;
        if error.status != StatusCode::TOO_MANY_REQUESTS {
            return (error.status, Json(json!({ "error": error.message }))).into_response();
        }
        let after = error.retry_after.unwrap_or_default().as_secs_f64();
        let seconds = after.ceil().max(1.0) as u64;
        let body = json!({
            "error": "rate_limited",
            "message": error.message,
            "retry_after_seconds": seconds,
        });
        let mut response = (error.status, Json(body)).into_response();
        (response.headers_mut()).insert(RETRY_AFTER, HeaderValue::from(seconds));
        response
    }
}
