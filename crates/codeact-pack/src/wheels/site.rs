//! The content of a `site-packages` folder, merged from unpacked wheels.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::wheel::UnpackedWheel;
use crate::PackError;

/// The unpacked packages of one resolution.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Site {
    /// The packages, sorted by name, without those of the pack.
    pub packages: Vec<SitePackage>,
    /// The files, sorted by path.
    pub files: Vec<SiteFile>,
}

/// A package of a [`Site`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SitePackage {
    /// Normalised name: lowercase, with single hyphens.
    pub name: String,
    /// Version of the package.
    pub version: String,
    /// SHA-256 of its wheel, in lowercase hexadecimal.
    pub sha256: String,
}

/// A file of a [`Site`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SiteFile {
    /// Path relative to `site-packages`, with `/` between parts. No path is below another one.
    pub path: String,
    /// Path on the host. The file does not change, but [`Store::remove`](crate::Store::remove) deletes it.
    pub host: PathBuf,
    /// Size in bytes.
    pub len: u64,
}

impl Site {
    /// Merges `wheels`. If two wheels contain the same file, the first one is used. (pip uses the one that it installs
    /// last, without an error, and its order is not defined.)
    pub(super) fn merge(
        packages: Vec<SitePackage>,
        wheels: Vec<UnpackedWheel>,
    ) -> Result<Self, PackError> {
        let mut files: BTreeMap<String, SiteFile> = BTreeMap::new();
        for wheel in wheels {
            for (path, len) in wheel.files {
                let host = wheel.root.join(&path);
                files
                    .entry(path.clone())
                    .or_insert(SiteFile { path, host, len });
            }
        }
        for path in files.keys() {
            let mut parents = path.match_indices('/').map(|(i, _)| &path[..i]);
            if let Some(parent) = parents.find(|p| files.contains_key(*p)) {
                let names: Vec<_> = packages.iter().map(|p| p.name.as_str()).collect();
                return Err(PackError::BadWheel {
                    wheel: names.join(" "),
                    problem: format!("`{parent}` is a file in one wheel and a folder in another"),
                });
            }
        }
        Ok(Self {
            packages,
            files: files.into_values().collect(),
        })
    }
}
