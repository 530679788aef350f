//! Shows events and results: as text on stderr (`human`), as JSON on stdout (`json`). It only observes.

pub(crate) mod human;
pub(crate) mod json;
mod notice;
mod progress;

pub(crate) use notice::{notice, print_text};
pub(crate) use progress::progress;
