//! `Idempotency-Key`: a repeated request to make a sandbox returns the first one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::e2b::error::E2bError;

/// Limit of the stored answers of one tenant.
const MAX_ENTRIES: usize = 1000;
/// Time for which an answer is stored.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Limit of a key, in bytes.
const MAX_KEY: usize = 255;

/// Answers of requests with a key.
#[derive(Default)]
pub(crate) struct Idempotency {
    /// By the tenant and the key.
    entries: Mutex<HashMap<String, HashMap<String, Entry>>>,
}

#[derive(Clone)]
struct Entry {
    request: [u8; 32],
    made: Instant,
    /// Locked while the request is served.
    answer: Arc<tokio::sync::Mutex<Option<Value>>>,
}

impl Idempotency {
    /// Returns the stored answer of `tenant` for the key in `headers`, or runs `make` and stores its answer. An error is
    /// not stored: a request can be repeated after it. A second request waits for the first one.
    ///
    /// # Errors
    ///
    /// Returns 400 if the key is invalid, 422 if it was used with another body, and errors of `make`.
    pub(crate) async fn run(
        &self,
        tenant: &str,
        headers: &HeaderMap,
        body: &[u8],
        make: impl Future<Output = Result<Value, E2bError>>,
    ) -> Result<Value, E2bError> {
        let Some(key) = headers.get("idempotency-key") else {
            return make.await;
        };
        let key = key.to_str().unwrap_or_default();
        if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(E2bError::bad_request(format!(
                "the Idempotency-Key is not valid: expected 1 to {MAX_KEY} printable ASCII characters"
            )));
        }
        let request = Sha256::digest(body).into();
        let entry = self.entry(tenant, key, request);
        if entry.request != request {
            let why = "the Idempotency-Key was used with another request; use a new key";
            let error = E2bError::new(StatusCode::UNPROCESSABLE_ENTITY, why);
            return Err(error.with_code("idempotency_request_mismatch"));
        }
        let mut answer = entry.answer.lock().await;
        if let Some(answer) = &*answer {
            return Ok(answer.clone());
        }
        let made = make.await?;
        *answer = Some(made.clone());
        Ok(made)
    }

    fn entry(&self, tenant: &str, key: &str, request: [u8; 32]) -> Entry {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entries = entries.entry(tenant.to_owned()).or_default();
        if let Some(found) = entries.get(key)
            && found.made.elapsed() < LIFETIME
        {
            return found.clone();
        }
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| entry.made.elapsed() < LIFETIME);
        }
        if entries.len() >= MAX_ENTRIES {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.made);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                entries.remove(&oldest);
            }
        }
        let entry = Entry {
            request,
            made: Instant::now(),
            answer: Arc::default(),
        };
        entries.insert(key.to_owned(), entry.clone());
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::{Idempotency, MAX_ENTRIES};

    #[test]
    fn a_tenant_cannot_remove_the_answers_of_another() {
        let all = Idempotency::default();
        let of_other = all.entry("other", "key", [1; 32]);
        for i in 0..=MAX_ENTRIES {
            all.entry("tenant", &i.to_string(), [0; 32]);
        }
        assert_eq!(all.entries.lock().unwrap()["tenant"].len(), MAX_ENTRIES);
        let found = all.entry("other", "key", [2; 32]);
        assert_eq!(
            (found.request, found.made),
            (of_other.request, of_other.made)
        );
    }
}
