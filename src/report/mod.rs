//! Draws events: for people on stderr (`human`), for programs as JSON (`json`). Sees what
//! happened, never makes it happen.

pub(crate) mod human;
pub(crate) mod json;
mod progress;

pub(crate) use progress::progress;
