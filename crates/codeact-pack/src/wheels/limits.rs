//! Limits of the packages of one resolution.

/// Maximum size of the unpacked packages, in bytes.
pub(super) const MAX_BYTES: u64 = 256 << 20;
/// Maximum number of files.
pub(super) const MAX_FILES: u64 = 20_000;
