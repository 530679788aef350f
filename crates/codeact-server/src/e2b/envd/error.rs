//! Errors of calls, as the Connect protocol has them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use codeact::sandbox::FileError;
use codeact_sessions::manager::ManagerError;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::shell::ShellError;

/// Code of an error of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Code {
    Canceled,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Unimplemented,
    Internal,
    Unavailable,
    Unauthenticated,
}

impl Code {
    fn as_str(self) -> &'static str {
        match self {
            Self::Canceled => "canceled",
            Self::InvalidArgument => "invalid_argument",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::PermissionDenied => "permission_denied",
            Self::ResourceExhausted => "resource_exhausted",
            Self::FailedPrecondition => "failed_precondition",
            Self::Unimplemented => "unimplemented",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Unauthenticated => "unauthenticated",
        }
    }

    /// Returns the HTTP status that the protocol prescribes.
    fn status(self) -> StatusCode {
        match self {
            Self::Canceled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
        }
    }
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConnectError {
    pub(super) code: Code,
    pub(super) message: String,
}

impl ConnectError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Returns the error as the body of a response, and as the value of `error` at the end of a stream.
    pub(super) fn body(&self) -> Value {
        json!({"code": self.code.as_str(), "message": self.message})
    }
}

impl IntoResponse for ConnectError {
    fn into_response(self) -> Response {
        (self.code.status(), Json(self.body())).into_response()
    }
}

impl From<FileError> for ConnectError {
    fn from(error: FileError) -> Self {
        let code = match &error {
            FileError::NotFound(_) => Code::NotFound,
            FileError::Exists(_) => Code::AlreadyExists,
            FileError::ReadOnly(_) => Code::PermissionDenied,
            FileError::NoSpace(_) => Code::ResourceExhausted,
            FileError::Io(..) | FileError::Journaled(_) => Code::FailedPrecondition,
            _ => Code::InvalidArgument,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ManagerError> for ConnectError {
    fn from(error: ManagerError) -> Self {
        let code = match &error {
            // The clients look for these words.
            ManagerError::Missing { .. } => {
                return Self::new(Code::Unavailable, "The sandbox was not found");
            }
            ManagerError::Busy { .. } | ManagerError::Quota { .. } => Code::ResourceExhausted,
            ManagerError::Cancelled => Code::Canceled,
            ManagerError::ShuttingDown => Code::Unavailable,
            ManagerError::Setting(_) => Code::FailedPrecondition,
            ManagerError::File(_) => {
                let ManagerError::File(error) = error else {
                    return Self::new(Code::Internal, "the server failed");
                };
                return error.into();
            }
            _ => Code::Internal,
        };
        // Texts of internal errors may name paths of the host.
        Self::new(code, ApiError::from(error).message)
    }
}

impl From<ShellError> for ConnectError {
    fn from(error: ShellError) -> Self {
        let code = match error {
            ShellError::Session(error) => return error.into(),
            ShellError::Cancelled => Code::Canceled,
            ShellError::TimedOut(_) | ShellError::Computed(_) => Code::DeadlineExceeded,
            ShellError::Busy => Code::ResourceExhausted,
            ShellError::NoFolder(_) | ShellError::TooLong(_) => Code::InvalidArgument,
            ShellError::Failed => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}
