//! One wasm instance.
//!
//! `slot` is a store with its instance; `host` is the store's data; `memory` is linear memory as data, with images and
//! changed pages; `meter` and `memory_limiter` enforce limits.

pub(crate) mod host;
pub(crate) mod memory;
pub(crate) mod memory_limiter;
pub(crate) mod meter;
pub(crate) mod slot;
