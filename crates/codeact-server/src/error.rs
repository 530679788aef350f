//! Errors of requests, and their HTTP form in the own API.

use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use codeact::sandbox::{FileError, SandboxError};
use codeact_sessions::SessionError;
use codeact_sessions::manager::ManagerError;
use serde::Serialize;

/// A request that could not be served. The protocols with error formats of their own convert it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    /// A stable name for programs, such as `missing_session`.
    pub(crate) code: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Body<'a> {
    error: BodyError<'a>,
}

#[derive(Serialize)]
struct BodyError<'a> {
    code: &'a str,
    message: &'a str,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// A failure of the host. The cause is logged and not sent, because it may name paths of the host.
    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the server failed; its log has the reason",
        )
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = Body {
            error: BodyError {
                code: self.code,
                message: &self.message,
            },
        };
        let mut response = (self.status, Json(body)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0) as u64;
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<ManagerError> for ApiError {
    fn from(error: ManagerError) -> Self {
        let message = error.to_string();
        match error {
            ManagerError::Missing { .. } => {
                Self::new(StatusCode::NOT_FOUND, "missing_session", message)
            }
            ManagerError::MissingContext { .. } => {
                Self::new(StatusCode::NOT_FOUND, "missing_context", message)
            }
            ManagerError::Busy { .. } => Self {
                retry_after: Some(Duration::from_secs(1)),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", message)
            },
            ManagerError::Quota { retry_after, .. } => Self {
                retry_after: retry_after.or(Some(Duration::from_secs(1))),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, "quota", message)
            },
            ManagerError::ShuttingDown => Self {
                retry_after: Some(Duration::from_secs(5)),
                ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
            },
            ManagerError::Cancelled => Self::new(StatusCode::CONFLICT, "cancelled", message),
            ManagerError::Setting(_) => Self::new(StatusCode::BAD_REQUEST, "setting", message),
            // Of a limit that the request has set, such as too little memory for the interpreter.
            ManagerError::Sandbox(SandboxError::Setting { .. }) => {
                Self::new(StatusCode::BAD_REQUEST, "setting", message)
            }
            ManagerError::NotCommitted { source, .. } => {
                tracing::error!(error = %source, "a turn could not be committed");
                let message = "the code ran, and its turn could not be stored; the session is as it was before the turn";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "not_committed", message)
            }
            ManagerError::File(error) => error.into(),
            ManagerError::Session(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        let message = error.to_string();
        match error {
            SessionError::Name { .. } => Self::new(StatusCode::BAD_REQUEST, "invalid_id", message),
            SessionError::Missing { .. } => {
                Self::new(StatusCode::NOT_FOUND, "missing_session", message)
            }
            SessionError::Exists { .. } => Self::new(StatusCode::CONFLICT, "exists", message),
            SessionError::NoTurn { .. } => Self::new(StatusCode::CONFLICT, "no_turn", message),
            SessionError::TooManyTurns { .. } => {
                Self::new(StatusCode::CONFLICT, "too_many_turns", message)
            }
            SessionError::TooLarge { .. } => {
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
            }
            SessionError::InUse { .. } | SessionError::Conflict { .. } => {
                Self::new(StatusCode::CONFLICT, "in_use", message)
            }
            error => Self::internal(error),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> Self {
        let message = error.to_string();
        let (status, code) = match error {
            FileError::NotFound(..) => (StatusCode::NOT_FOUND, "missing_file"),
            FileError::Exists(..) => (StatusCode::CONFLICT, "exists"),
            FileError::IsDir(..) => (StatusCode::BAD_REQUEST, "is_a_folder"),
            FileError::NotDir(..) => (StatusCode::BAD_REQUEST, "not_a_folder"),
            FileError::ReadOnly(..) => (StatusCode::FORBIDDEN, "read_only"),
            FileError::NoSpace(..) => (StatusCode::INSUFFICIENT_STORAGE, "no_space"),
            FileError::Io(..) => return Self::internal(message),
            _ => (StatusCode::BAD_REQUEST, "invalid_path"),
        };
        Self::new(status, code, message)
    }
}
