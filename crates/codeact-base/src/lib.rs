//! Shared foundations of the codeact crates.
//!
//! [`event`] is the one enum of everything that happens; [`Hint`] is advice that goes with an error; [`text`] makes
//! untrusted text safe to print, [`terminal`] a stream of it; [`atomic_file`] writes files that are complete or absent;
//! [`private`] creates folders that only their owner can open; [`redact`] removes secrets from text. Programs use these
//! through the crate `codeact`, which re-exports [`event`] and [`Hint`].

pub mod atomic_file;
pub mod event;
mod hint;
pub mod private;
pub mod redact;
pub mod terminal;
pub mod text;

pub use hint::{Hint, LimitName};
