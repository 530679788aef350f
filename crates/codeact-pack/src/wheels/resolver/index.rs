//! The source of wheels, as the resolver sees it.

use crate::PackError;
use crate::pip::ClientError;
use crate::wheels::metadata::Metadata;
use crate::wheels::syntax::{Specifiers, Version};

/// A package to fetch.
#[derive(Debug, Clone)]
pub(in crate::wheels) struct Wanted {
    pub(in crate::wheels) name: String,
    pub(in crate::wheels) versions: Specifiers,
}

/// Result of [`Index::fetch`].
pub(in crate::wheels) enum Fetched {
    /// Metadata of the newest fitting wheel of each package, in the order of the request.
    All(Vec<Metadata>),
    /// There is no fitting pure wheel of this package.
    NoMatch {
        name: String,
        /// The versions that have a pure wheel.
        versions: Vec<Version>,
    },
    /// The wheel that was selected cannot be used. Another version may be.
    Unusable {
        name: String,
        version: Version,
        error: ClientError,
    },
}

/// Source of wheels.
pub(in crate::wheels) trait Index {
    /// Fetches a wheel of each package, and reads its metadata.
    fn fetch(&mut self, wanted: &[Wanted]) -> Result<Fetched, ClientError>;

    /// Returns the versions of `name` that have a pure wheel for the sandbox's Python, newest first.
    fn versions(&mut self, name: &str) -> Result<Vec<Version>, ClientError>;

    /// Returns the error for a package without a fitting pure wheel.
    fn explain(&mut self, unmet: &Unmet) -> Result<PackError, ClientError>;

    /// Reports what is being done.
    fn status(&mut self, text: String);
}

/// A package of which no version fits.
#[derive(Debug)]
pub(in crate::wheels) struct Unmet {
    pub(in crate::wheels) name: String,
    pub(in crate::wheels) versions: Specifiers,
    /// The packages that need it, from a requested one down to it, with both.
    pub(in crate::wheels) chain: Vec<String>,
    /// The versions that have a pure wheel, newest first.
    pub(in crate::wheels) pure: Vec<Version>,
}
