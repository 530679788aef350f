//! The memory of the bodies of all requests that are being read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

use crate::error::ApiError;

/// Least limit of the bytes of all bodies.
const MIN_BYTES: u64 = 1 << 30;
/// Number of the largest bodies that can be held at once.
const MIN_BODIES: u64 = 16;

/// Limit of the bytes that requests hold until they are answered.
pub(crate) struct BodyBudget {
    held: AtomicU64,
    max: u64,
    /// Most that one request holds in memory. More is streamed.
    max_of_one: u64,
}

impl BodyBudget {
    /// Returns a limit of 1 GiB, or of 16 bodies of `max_body` bytes if that is more.
    pub(crate) fn new(max_body: usize) -> Arc<Self> {
        let max_of_one = max_body as u64;
        Arc::new(Self {
            held: AtomicU64::new(0),
            max: MIN_BYTES.max(max_of_one.saturating_mul(MIN_BODIES)),
            max_of_one,
        })
    }

    /// Begins the body of a request.
    pub(crate) fn begin(self: &Arc<Self>) -> Arc<HeldBody> {
        Arc::new(HeldBody {
            budget: self.clone(),
            bytes: AtomicU64::new(0),
            is_refused: AtomicBool::new(false),
        })
    }
}

/// The bytes of one request. They are given back when it is dropped.
pub(crate) struct HeldBody {
    budget: Arc<BodyBudget>,
    bytes: AtomicU64,
    is_refused: AtomicBool,
}

impl HeldBody {
    /// Adds bytes of the body. False if there is no room for them.
    #[must_use]
    pub(crate) fn add(&self, bytes: u64) -> bool {
        let before = self.bytes.load(Ordering::Relaxed);
        let after = before.saturating_add(bytes).min(self.budget.max_of_one);
        let more = after.saturating_sub(before);
        let held = &self.budget.held;
        if held.fetch_add(more, Ordering::Relaxed).saturating_add(more) > self.budget.max {
            held.fetch_sub(more, Ordering::Relaxed);
            self.is_refused.store(true, Ordering::Relaxed);
            return false;
        }
        self.bytes.store(after, Ordering::Relaxed);
        true
    }

    /// Returns 503 if there was no room.
    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if !self.is_refused.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut error = ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "bodies",
            "the server holds too many bodies of requests; try again later",
        );
        error.retry_after = Some(Duration::from_secs(1));
        Err(error)
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        let bytes = *self.bytes.get_mut();
        self.budget.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_beyond_the_budget_are_refused_until_others_end() {
        let budget = BodyBudget::new(64 << 20);
        let held: Vec<_> = (0..16).map(|_| budget.begin()).collect();
        for body in &held {
            // What is streamed to a file counts as the largest body.
            assert!(body.add(32 << 20) && body.add(1 << 40));
        }
        let late = budget.begin();
        assert!(!late.add(1));
        let error = late.check().expect_err("no room");
        assert_eq!(error.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(error.retry_after.is_some());
        drop(held);
        let next = budget.begin();
        assert!(next.add(1) && next.check().is_ok());
        drop((late, next));
        assert_eq!(budget.held.load(Ordering::Relaxed), 0);
    }
}
