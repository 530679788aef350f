//! Paths as clients write them: absolute, or relative to the home folder of a user.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::e2b::envd::error::{Code, ConnectError};

/// Home folder. The sandbox has one user; `root` is the same one.
pub(super) const HOME: &str = "/home/user";
/// Name of the user and of its group.
pub(super) const USER: &str = "user";

/// Extractor: the user that a call names in `Authorization: Basic`. It gives no rights.
pub(super) struct User;

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = ConnectError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ConnectError> {
        let Some(value) = parts.headers.get(AUTHORIZATION) else {
            return Ok(Self);
        };
        let text = value.to_str().unwrap_or_default();
        // Other schemes are tokens.
        let Some(encoded) = text.strip_prefix("Basic ") else {
            return Ok(Self);
        };
        let decoded = STANDARD.decode(encoded.trim()).ok();
        let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let name = decoded
            .as_deref()
            .map(|pair| pair.split(':').next().unwrap_or_default());
        check_user(name.unwrap_or("\u{fffd}"))
            .map(|()| Self)
            .map_err(|message| ConnectError::new(Code::Unauthenticated, message))
    }
}

/// Returns an error text if there is no user `name`.
pub(super) fn check_user(name: &str) -> Result<(), String> {
    match name {
        "" | "user" | "root" => Ok(()),
        other => {
            let shown: String = other.chars().take(64).collect();
            Err(format!(
                "error looking up user '{shown}': unknown user; the sandbox has the users user and root, which are the same"
            ))
        }
    }
}

/// Returns the absolute path of `path`. What it is in the sandbox is checked when it is used.
pub(super) fn absolute(path: &str) -> String {
    let path = match path {
        "~" => "",
        path => path.strip_prefix("~/").unwrap_or(path),
    };
    match path {
        "" => HOME.to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{HOME}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{absolute, check_user};

    #[test]
    fn relative_paths_begin_at_the_home_folder() {
        for (path, expected) in [
            ("", "/home/user"),
            ("~", "/home/user"),
            ("~/a", "/home/user/a"),
            ("a/b", "/home/user/a/b"),
            ("/a", "/a"),
            ("~x", "/home/user/~x"),
        ] {
            assert_eq!(absolute(path), expected);
        }
        assert!(check_user("root").is_ok() && check_user("mallory").is_err());
    }
}
