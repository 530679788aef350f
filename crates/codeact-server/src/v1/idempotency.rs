//! Requests that are repeated with the same `Idempotency-Key`: the code runs once, and every request gets its response.
//!
//! The first request with a key runs in a task of its own, which outlives its client. Its response is recorded while it
//! arrives (`recording`), and each client reads the recording from its begin.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::json_body::read_body;
use super::recording::Recording;
use super::state::V1State;
use crate::app::AppState;
use crate::auth::Caller;
use crate::error::ApiError;

/// Name of the header.
const KEY: &str = "idempotency-key";
/// Limit of a key, in bytes.
const MAX_KEY_BYTES: usize = 255;
/// Limit of the records of a tenant.
const MAX_RECORDS: usize = 1000;
/// Limit of the recorded bodies of a tenant, in bytes. The oldest are dropped first.
const MAX_BYTES: usize = 64 << 20;
/// Limit of one recorded body, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;
/// Time for which a record is stored.
const AGE: Duration = Duration::from_secs(24 * 3600);

type Fingerprint = [u8; 32];

/// The records of all tenants.
#[derive(Default)]
pub(super) struct IdempotencyStore(Mutex<HashMap<String, TenantRecords>>);

#[derive(Default)]
struct TenantRecords {
    by_key: HashMap<String, Record>,
    /// Keys in the order of their first requests. It can have keys whose record was removed.
    order: VecDeque<(String, Instant)>,
    bytes: usize,
}

/// The first request with a key, and its response.
struct Record {
    fingerprint: Fingerprint,
    since: Instant,
    state: RecordState,
}

enum RecordState {
    Running(Arc<Recording>),
    /// The response, and its size in bytes.
    Ended(Arc<Recording>, usize),
    /// The response was too large to be stored.
    TooLarge,
}

/// Middleware of operations that can be repeated with a key.
pub(super) async fn idempotent(
    State(app): State<AppState>,
    Extension(v1): Extension<Arc<V1State>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let Some(key) = key(request.headers())? else {
        return Ok(next.run(request).await);
    };
    let (mut parts, body) = request.into_parts();
    let Caller(tenant) = Caller::from_request_parts(&mut parts, &app).await?;
    let tenant = tenant.sessions.name().to_owned();
    let bytes = read_body(body, app.config.body).await?;
    let store = v1.idempotency.clone();
    let (recording, is_first) = store.begin(&tenant, &key, fingerprint(&parts, &bytes))?;
    if is_first {
        let request = Request::from_parts(parts, Body::from(bytes));
        let recording = recording.clone();
        tokio::spawn(async move {
            let writer = recording.writer();
            let status = writer.record(next.run(request).await).await;
            store.end(&tenant, &key, &recording, status);
        });
    }
    recording.response(!is_first).await
}

/// Returns the key of a request.
fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default();
    if key.is_empty() || key.len() > MAX_KEY_BYTES || values.next().is_some() {
        return Err(ApiError::bad_request(format!(
            "the header Idempotency-Key is invalid; expected one, with 1 to {MAX_KEY_BYTES} ASCII characters"
        )));
    }
    Ok(Some(key.to_owned()))
}

/// Returns a hash of all that a response depends on.
fn fingerprint(parts: &Parts, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    let header = |name| parts.headers.get(name).map_or(&[][..], |v| v.as_bytes());
    let (method, uri) = (parts.method.as_str(), parts.uri.to_string());
    for part in [
        method.as_bytes(),
        uri.as_bytes(),
        header(ACCEPT),
        header(CONTENT_TYPE),
        body,
    ] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

impl IdempotencyStore {
    /// Returns the recording of `key`, and true if it is new: then the caller records it.
    fn begin(
        &self,
        tenant: &str,
        key: &str,
        fingerprint: Fingerprint,
    ) -> Result<(Arc<Recording>, bool), ApiError> {
        let mut tenants = self.lock();
        let records = tenants.entry(tenant.to_owned()).or_default();
        records.drop_old();
        if let Some(record) = records.by_key.get(key) {
            if record.fingerprint != fingerprint {
                return Err(ApiError::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "idempotency_key_reused",
                    "another request has used this Idempotency-Key; use a new one for each new request",
                ));
            }
            return match &record.state {
                RecordState::Running(recording) | RecordState::Ended(recording, _) => {
                    Ok((recording.clone(), false))
                }
                RecordState::TooLarge => Err(ApiError::new(
                    StatusCode::CONFLICT,
                    "response_not_stored",
                    "the request with this Idempotency-Key has succeeded, and its response was too large to be stored",
                )),
            };
        }
        if !records.make_room() {
            return Err(ApiError {
                retry_after: Some(Duration::from_secs(1)),
                ..ApiError::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too_many_requests",
                    format!(
                        "{MAX_RECORDS} requests with an Idempotency-Key are running; try again later"
                    ),
                )
            });
        }
        let recording = Arc::new(Recording::default());
        let since = Instant::now();
        let record = Record {
            fingerprint,
            since,
            state: RecordState::Running(recording.clone()),
        };
        records.by_key.insert(key.to_owned(), record);
        records.order.push_back((key.to_owned(), since));
        Ok((recording, true))
    }

    /// Stores or drops the recording of a request that has ended.
    fn end(&self, tenant: &str, key: &str, recording: &Arc<Recording>, status: StatusCode) {
        let mut tenants = self.lock();
        let Some(records) = tenants.get_mut(tenant) else {
            return;
        };
        // After these, nothing has run, and the client may try again.
        let has_not_run = status.is_client_error() || status == StatusCode::SERVICE_UNAVAILABLE;
        if has_not_run {
            records.by_key.remove(key);
            return;
        }
        let bytes = recording.bytes();
        if let Some(record) = records.by_key.get_mut(key) {
            record.state = match bytes {
                ..=MAX_BODY_BYTES => RecordState::Ended(recording.clone(), bytes),
                _ => RecordState::TooLarge,
            };
            if bytes <= MAX_BODY_BYTES {
                records.bytes += bytes;
            }
        }
        while records.bytes > MAX_BYTES && records.drop_oldest() {}
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, TenantRecords>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TenantRecords {
    /// Drops the records that are older than [`AGE`].
    fn drop_old(&mut self) {
        while let Some((_, since)) = self.order.front()
            && since.elapsed() > AGE
        {
            if let Some((key, since)) = self.order.pop_front() {
                self.drop_record(&key, since);
            }
        }
    }

    /// Makes room for one record. Returns false if all are running.
    fn make_room(&mut self) -> bool {
        let is_stale = |(key, since): &(String, Instant)| {
            (self.by_key.get(key)).is_none_or(|record| record.since != *since)
        };
        if self.order.len() >= 2 * MAX_RECORDS {
            let order = std::mem::take(&mut self.order);
            let kept = order.into_iter().filter(|entry| !is_stale(entry));
            self.order = kept.collect();
        }
        self.by_key.len() < MAX_RECORDS || self.drop_oldest()
    }

    /// Drops the oldest record that is not running. Returns false if there is none.
    fn drop_oldest(&mut self) -> bool {
        let has_ended = |(key, since): &(String, Instant)| match self.by_key.get(key) {
            Some(record) if record.since == *since => {
                !matches!(record.state, RecordState::Running(_))
            }
            _ => false,
        };
        let Some(at) = self.order.iter().position(has_ended) else {
            return false;
        };
        if let Some((key, since)) = self.order.remove(at) {
            self.drop_record(&key, since);
        }
        true
    }

    fn drop_record(&mut self, key: &str, since: Instant) {
        if self
            .by_key
            .get(key)
            .is_some_and(|record| record.since == since)
            && let Some(record) = self.by_key.remove(key)
            && let RecordState::Ended(_, bytes) = record.state
        {
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_bounded_and_running_ones_stay() {
        let store = IdempotencyStore::default();
        let (running, _) = store.begin("t", "running", [0; 32]).unwrap();
        for i in 0..3 * MAX_RECORDS {
            let key = i.to_string();
            let (recording, is_first) = store.begin("t", &key, [0; 32]).unwrap();
            assert!(is_first);
            store.end("t", &key, &recording, StatusCode::OK);
        }
        let tenants = store.lock();
        assert!(tenants["t"].by_key.len() <= MAX_RECORDS);
        assert!(tenants["t"].order.len() <= 2 * MAX_RECORDS);
        drop(tenants);
        let (again, is_first) = store.begin("t", "running", [0; 32]).unwrap();
        assert!(!is_first && Arc::ptr_eq(&running, &again));
    }

    #[test]
    fn more_running_requests_than_records_are_refused() {
        let store = IdempotencyStore::default();
        for i in 0..MAX_RECORDS {
            store.begin("t", &i.to_string(), [0; 32]).unwrap();
        }
        let refused = store.begin("t", "x", [0; 32]).err().unwrap();
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(store.begin("u", "x", [0; 32]).is_ok());
    }

    #[test]
    fn a_key_of_a_refused_request_can_be_used_again() {
        let store = IdempotencyStore::default();
        let (recording, _) = store.begin("t", "x", [0; 32]).unwrap();
        let reused = store.begin("t", "x", [1; 32]).err().unwrap();
        assert_eq!(reused.status, StatusCode::UNPROCESSABLE_ENTITY);
        store.end("t", "x", &recording, StatusCode::BAD_REQUEST);
        assert!(store.begin("t", "x", [1; 32]).unwrap().1);
    }
}
