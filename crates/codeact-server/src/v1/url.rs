//! The path and the query of a request.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::app::AppState;
use crate::error::ApiError;

/// Extractor: the parameters of the path, percent-decoded once.
pub(super) struct UrlPath<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for UrlPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(path)) => Ok(Self(path)),
            Err(error) => Err(ApiError::bad_request(format!(
                "the path of the URL is invalid: {error}"
            ))),
        }
    }
}

/// Extractor: the parameters of the query. A handler takes those that it knows, and then calls [`QueryMap::finish`].
pub(super) struct QueryMap(BTreeMap<String, String>);

/// Limit of the parameters of a query.
const MAX_PARAMETERS: usize = 100;

impl FromRequestParts<AppState> for QueryMap {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|e| ApiError::bad_request(format!("the query of the URL is invalid: {e}")))?;
        let mut map = BTreeMap::new();
        for (name, value) in pairs.0 {
            // Read by the authentication.
            if name == "token" {
                continue;
            }
            if map.len() == MAX_PARAMETERS || map.insert(name.clone(), value).is_some() {
                let name: String = name.chars().take(100).collect();
                return Err(ApiError::bad_request(format!(
                    "the query has {name:?} twice, or more than {MAX_PARAMETERS} parameters"
                )));
            }
        }
        Ok(Self(map))
    }
}

impl QueryMap {
    /// Takes the value of `name`.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes the value of `name` and parses it; `expected` describes its values.
    pub(super) fn parse<T: FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, ApiError> {
        let Some(text) = self.0.remove(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(ApiError::bad_request(format!(
                "the query parameter `{name}` is invalid; expected {expected}"
            ))),
        }
    }

    /// Returns an error if there are further parameters.
    pub(super) fn finish(self) -> Result<(), ApiError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let name: String = name.chars().take(100).collect();
                Err(ApiError::bad_request(format!(
                    "the query parameter {name:?} is not known here"
                )))
            }
        }
    }
}
