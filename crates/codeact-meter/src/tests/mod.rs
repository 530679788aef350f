//! Metered modules behave as before, use predictable fuel, and yield in bounded time.

mod bulk_memory;
mod function_merging;
mod harness;
mod invalid_modules;
mod loops;
mod metering;
mod programs;
mod stack_depth;
