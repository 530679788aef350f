//! Fixed paths of the guest, and bounds of all paths.

use std::sync::Arc;

/// Home folder and initial working directory of the guest.
pub(crate) const HOME: &str = "/home/user";
/// The other folder that the guest may write to.
pub(super) const TMP: &str = "/tmp";

/// Maximum length of a file name, in bytes.
pub(super) const MAX_NAME_BYTES: usize = 255;
/// Maximum length of the target of a symbolic link, in bytes.
pub(super) const MAX_LINK_BYTES: usize = 4096;
/// Maximum depth of nested folders. It bounds every walk.
pub(super) const MAX_DEPTH: usize = 128;

/// Returns the path of `name` in `folder`, a path relative to the root of a mount.
pub(crate) fn join_path(folder: &str, name: &str) -> Arc<str> {
    match folder {
        "" => name.into(),
        _ => format!("{folder}/{name}").into(),
    }
}
