//! Packages beside the pack's own, in the tree.

use std::sync::Arc;

use super::vfs::{Kind, PackFile, Tree};
use crate::pack::{Manifest, Site};

/// Shows the files of `site` read-only in `layout`, and tells in which folder.
pub(super) fn show(site: &Site, manifest: &Manifest, layout: &mut Tree) -> Option<Arc<str>> {
    if site.files.is_empty() {
        return None;
    }
    let minor: Vec<_> = manifest.python.split('.').take(2).collect();
    let folder = format!("/usr/local/lib/python{}/site-packages", minor.join("."));
    for file in &site.files {
        let content = PackFile::lazy(file.host.clone(), file.len);
        layout.place(
            &format!("{folder}/{}", file.path),
            Kind::Pack(Arc::new(content)),
        );
    }
    Some(folder.into())
}
