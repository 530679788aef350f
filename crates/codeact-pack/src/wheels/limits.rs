//! Limits of the packages of one resolution.

/// Maximum size of the unpacked packages, in bytes.
pub(super) const MAX_BYTES: u64 = 256 << 20;
/// Maximum number of files.
pub(super) const MAX_FILES: u64 = 20_000;
/// Maximum number of packages, with those of the pack.
pub(super) const MAX_PACKAGES: usize = 400;
/// Maximum number of dependencies of one wheel. Extras count, and some packages have hundreds.
pub(super) const MAX_DEPENDENCIES: usize = 1000;
/// Maximum size of the headers of a wheel's metadata, in bytes.
pub(super) const MAX_HEADER_BYTES: u64 = 1 << 20;
/// Maximum number of requests to the index for one resolution.
pub(super) const MAX_REQUESTS: usize = 200;
/// Maximum number of versions of one package that are considered, newest first.
pub(super) const MAX_VERSIONS: usize = 5000;
/// Maximum number of conflicts that are settled. More of them lead to versions that are many years old.
pub(super) const MAX_CONFLICTS: usize = 8;
/// Maximum number of wheels of one resolution that are skipped because they cannot be used.
pub(super) const MAX_UNUSABLE: usize = 8;
