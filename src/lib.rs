//! codeact
#![deny(unsafe_op_in_unsafe_fn)]

pub mod agent;
pub mod cli;
mod error;
pub mod event;
pub mod llm;
pub mod pack;
mod report;
pub mod sandbox;

pub use agent::Agent;
pub use error::Error;
pub use llm::Model;
pub use sandbox::Sandbox;
