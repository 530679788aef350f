//! Pure-Python packages in addition to those of the pack, fetched by the user's package client.
//!
//! [`Store::packages`](crate::Store::packages) (`packages`) takes a list of [`Requirement`]s. `resolver` selects
//! versions: it walks the dependencies in the metadata of wheels (`metadata`, `syntax`), and `client_index` gets these
//! wheels with pip, each without its dependencies. So nothing that a package names is fetched but wheels of the index,
//! and no code of a package is run on the host. The packages of the pack (`builtin`) count as installed. `wheel` checks
//! each wheel and unpacks it into the pack's private cache folder, under its hash. `cache` also stores the resolution,
//! so that later starts need no client, and for some minutes a refusal. The result is a [`Site`]: the files that the
//! guest has in one folder.

mod builtin;
mod bytecode;
mod cache;
mod client_index;
mod import_names;
mod limits;
mod metadata;
mod packages;
mod pip_output;
mod refusal;
mod requested;
mod requirement;
mod resolve;
mod resolver;
mod script;
mod site;
mod syntax;
#[cfg(test)]
mod tests;
mod wheel;

pub use bytecode::Bytecode;
pub use import_names::package_of_import;
pub use requirement::Requirement;
pub use site::{Site, SiteFile, SitePackage};
