//! State of E2B's protocol that its handlers share.

use std::sync::Arc;

use crate::e2b::control::Idempotency;
use crate::e2b::counts::ExecutionCounts;

/// State of E2B's protocol that its handlers share.
#[derive(Default)]
pub(crate) struct E2bState {
    pub(super) idempotency: Idempotency,
    pub(super) counts: ExecutionCounts,
}

pub(crate) type SharedState = Arc<E2bState>;
