//! State that the operations of the own API share.

use std::sync::Arc;

use super::idempotency::IdempotencyStore;
use super::pictures::PictureStore;
use super::transfers::Transfers;

/// State of the own API. Handlers take it as `Extension<Arc<V1State>>`.
#[derive(Default)]
pub(super) struct V1State {
    pub(super) idempotency: Arc<IdempotencyStore>,
    pub(super) pictures: PictureStore,
    pub(super) transfers: Transfers,
}
