//! Pure-Python packages in addition to those of the pack, resolved by the user's package client.
//!
//! [`Store::packages`](crate::Store::packages) (`packages`) takes a list of [`Requirement`]s. `resolve` runs pip to
//! find the packages that a CPython of the pack's version would install, and then to download them as wheels for any
//! platform. pip sees the pack's own packages as wheels without content (`builtin`). If a package has no wheel for
//! any platform, it needs compiled code, which the sandbox does not load. `pip_output` parses the messages of pip,
//! and `diagnosis` derives the error from them. `wheel` checks each wheel and unpacks it into the pack's private
//! cache folder, under its hash. `cache` also stores the resolution, so that later starts need no client. The result
//! is a [`Site`]: the files that the guest has in one folder. No code of a wheel is run on the host.

mod builtin;
mod cache;
mod diagnosis;
mod limits;
mod packages;
mod pip_output;
mod requested;
mod requirement;
mod resolve;
mod site;
#[cfg(test)]
mod tests;
mod wheel;

pub use requirement::Requirement;
pub use site::{Site, SiteFile, SitePackage};
