//! The browsers that have logged in.
//!
//! Security boundary: a log-in is a random cookie, of which the server stores the hash and the time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::ids::secret;
use crate::app::ServerTenant;
use crate::error::ApiError;

/// Time after which a log-in ends.
pub(super) const LOGIN_TIME: Duration = Duration::from_secs(24 * 3600);
/// Limit of the log-ins; a new one ends the oldest.
const MAX_LOGINS: usize = 4096;

/// The log-ins, by the SHA-256 of their cookie.
#[derive(Default)]
pub(super) struct Logins(Mutex<HashMap<[u8; 32], Login>>);

struct Login {
    tenant: ServerTenant,
    since: Instant,
}

impl Logins {
    /// Adds a log-in of `tenant` and returns its cookie.
    pub(super) fn add(&self, tenant: ServerTenant) -> Result<String, ApiError> {
        let cookie = secret()?;
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logins.retain(|_, login| login.since.elapsed() < LOGIN_TIME);
        if logins.len() >= MAX_LOGINS {
            let oldest = logins.iter().min_by_key(|(_, login)| login.since);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                logins.remove(&hash);
            }
        }
        let since = Instant::now();
        logins.insert(Sha256::digest(&cookie).into(), Login { tenant, since });
        Ok(cookie)
    }

    /// Returns the tenant of the log-in with the cookie, if it has not ended.
    pub(super) fn tenant(&self, cookie: &str) -> Option<ServerTenant> {
        let hash: [u8; 32] = Sha256::digest(cookie).into();
        let logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let login = logins.get(&hash)?;
        (login.since.elapsed() < LOGIN_TIME).then(|| login.tenant.clone())
    }

    /// Ends the log-in with the cookie.
    pub(super) fn end(&self, cookie: &str) {
        let hash: [u8; 32] = Sha256::digest(cookie).into();
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logins.remove(&hash);
    }
}
