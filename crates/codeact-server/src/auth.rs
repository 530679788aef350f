//! Tokens, and the tenant that a request acts for.
//!
//! Security boundary: every route that reaches a session takes [`Caller`], and has no other way to one.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::app::{AppState, ServerTenant};
use crate::error::ApiError;
use crate::guesses::Guesses;

/// SHA-256 of a token.
pub(crate) type TokenHash = [u8; 32];

/// The tenants of the server, and the hashes of their tokens.
pub(crate) struct Tokens {
    /// A tenant can have several tokens.
    tenants: Vec<(Vec<TokenHash>, ServerTenant)>,
    /// The tenant of requests without a token. Only if the server listens on loopback.
    anonymous: Option<ServerTenant>,
    guesses: Guesses,
}

impl Tokens {
    pub(crate) fn new(
        tenants: Vec<(Vec<TokenHash>, ServerTenant)>,
        anonymous: Option<ServerTenant>,
    ) -> Self {
        Self {
            tenants,
            anonymous,
            guesses: Guesses::default(),
        }
    }

    /// Returns all tenants.
    pub(crate) fn all(&self) -> Vec<&ServerTenant> {
        self.tenants.iter().map(|(_, tenant)| tenant).collect()
    }

    /// Returns the tenant of requests without a token.
    pub(crate) fn anonymous(&self) -> Option<&ServerTenant> {
        self.anonymous.as_ref()
    }

    /// Returns the tenant that `token` of the client `address` belongs to.
    ///
    /// # Errors
    ///
    /// Returns 401 if there is none, and 429 if the client has sent too many unknown tokens.
    pub(crate) fn check(
        &self,
        token: &str,
        address: Option<IpAddr>,
    ) -> Result<ServerTenant, ApiError> {
        // Without tokens, clients that must send one can send any.
        if let Some(tenant) = &self.anonymous {
            return Ok(self.tenant(token).unwrap_or(tenant).clone());
        }
        let hash: TokenHash = Sha256::digest(token.as_bytes()).into();
        self.guesses.check(address, &hash)?;
        match self.of_hash(&hash) {
            Some(tenant) => {
                self.guesses.right(address, hash);
                Ok(tenant.clone())
            }
            None => {
                self.guesses.wrong(address);
                Err(ApiError::unauthorized("the token is not known"))
            }
        }
    }

    /// Returns the tenant that has `token`. The time does not depend on how many of its bytes are right.
    pub(crate) fn tenant(&self, token: &str) -> Option<&ServerTenant> {
        self.of_hash(&Sha256::digest(token.as_bytes()).into())
    }

    fn of_hash(&self, hash: &TokenHash) -> Option<&ServerTenant> {
        let mut found = None;
        for (hashes, tenant) in &self.tenants {
            for known in hashes {
                if bool::from(known.ct_eq(hash)) {
                    found = Some(tenant);
                }
            }
        }
        found
    }
}

/// Extractor: the tenant of the request. The token is taken from `Authorization: Bearer T`, `Authorization: token T`,
/// `X-API-Key`, `X-Access-Token` or the query parameter `token`.
pub(crate) struct Caller(pub(crate) ServerTenant);

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, ApiError> {
        let Some(token) = token(parts) else {
            return match &app.tokens.anonymous {
                Some(tenant) => Ok(Self(tenant.clone())),
                None => Err(ApiError::unauthorized("the request has no token")),
            };
        };
        app.tokens.check(&token, client(parts)).map(Self)
    }
}

/// Returns the address of the client, unless the request did not come over a connection.
pub(crate) fn client(parts: &Parts) -> Option<IpAddr> {
    let ConnectInfo(peer) = parts.extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(peer.ip())
}

fn token(parts: &Parts) -> Option<String> {
    let header = |name: &str| parts.headers.get(name)?.to_str().ok();
    if let Some(value) = header(AUTHORIZATION.as_str()) {
        let (scheme, token) = value.split_once(' ')?;
        let known = ["bearer", "token"].contains(&scheme.to_ascii_lowercase().as_str());
        if known {
            return Some(token.trim().to_owned());
        }
    }
    if let Some(token) = header("x-api-key").or_else(|| header("x-access-token")) {
        return Some(token.to_owned());
    }
    let query = parts.uri.query()?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix("token="))
        .map(str::to_owned)
}
