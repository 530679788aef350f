//! Installed packages in the file tree, in addition to those of the pack.

use std::sync::Arc;

use crate::fs::vfs::{Kind, PackFile, Tree};
use codeact_pack::{Manifest, Site};

/// Adds the files of `site` read-only to `layout`. Returns their folder, or `None` if there are no files.
pub(crate) fn insert(site: &Site, manifest: &Manifest, layout: &mut Tree) -> Option<Arc<str>> {
    if site.files.is_empty() {
        return None;
    }
    let minor: Vec<_> = manifest.python.split('.').take(2).collect();
    let folder = format!("/usr/local/lib/python{}/site-packages", minor.join("."));
    for file in &site.files {
        let content = PackFile::lazy(file.host.clone(), file.len);
        layout.insert_read_only(
            &format!("{folder}/{}", file.path),
            Kind::Pack(Arc::new(content)),
        );
    }
    Some(folder.into())
}
