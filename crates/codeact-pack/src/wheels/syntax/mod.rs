//! Versions, version specifiers, environment markers and dependencies, as in the metadata of wheels.
//!
//! The grammars are PEP 440 and PEP 508. The texts come from wheels of an index, so lengths, counts and depths are
//! bounded, and a text that cannot be parsed is an error.

mod dependency;
mod environment;
mod marker;
mod specifier;
mod version;

pub(super) use dependency::{Dependency, Source};
pub(super) use environment::Environment;
pub(super) use specifier::Specifiers;
pub(super) use version::Version;
