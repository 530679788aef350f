#![doc = include_str!("../README.md")]

mod abi;
mod bulk_memory;
mod call_graph;
mod call_points;
mod continuation_candidates;
mod continuations;
mod emit;
mod emitter;
mod error;
mod function_builder;
mod function_ir;
mod function_merging;
mod index_space;
mod liveness;
mod loop_nesting;
mod loops;
mod module_info;
mod outline;
mod rewrite;
mod scc;
mod spill;
mod stack_depth;
mod yield_stubs;

#[cfg(test)]
mod tests;

pub use abi::{CALL, COUNTER, TICK, YIELD_NOW};
pub use error::RewriteError;
pub use rewrite::metered;
