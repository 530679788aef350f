//! Files of the guest.
//!
//! `vfs` is the file tree in memory. `mount` grants folders of the host and writes changes back. `site_packages` adds
//! installed packages to the tree. `guest_file` is a file of the guest as the caller gets it.

pub(crate) mod guest_file;
pub(crate) mod mount;
pub(crate) mod site_packages;
pub(crate) mod vfs;
