//! Resources that all sessions share: compiled code, the base image, threads and pooled slots.
//!
//! `compiled` is the wasm engine with the pack's compiled module; `image` makes the base image; `cache` locks and tidies
//! the folder of both; `guest_threads` run guests; `stacks` pools the stacks of guests; `runtime` owns all of them.

pub(crate) mod cache;
pub(crate) mod compiled;
pub(crate) mod guest_threads;
pub(crate) mod image;
pub(crate) mod runtime;
#[cfg(unix)]
mod stacks;
