//! codeact
#![deny(unsafe_op_in_unsafe_fn)]

pub mod cli;
mod error;
pub mod event;
pub mod llm;
pub mod pack;
mod report;
pub mod sandbox;

pub use error::Error;
pub use sandbox::Sandbox;
