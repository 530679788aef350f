//! The marker: a file that marks the folder of a pack as complete.
//!
//! It is written last, so a folder without it is incomplete. It contains the size of each file, so that an installed
//! pack is checked in a millisecond, without a hash of 150 MB.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::manifest::MARKER;
use crate::{Manifest, PackError, PinnedFile};

/// Maximum size of a valid marker, in bytes.
const MAX_MARKER_BYTES: u64 = 4 << 20;

/// Content of the marker.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marker {
    /// The pack's [`Manifest::files_hash`].
    pub(crate) pack: String,
    /// Size in bytes of each file, by its path with `/` between parts.
    pub(crate) files: BTreeMap<String, u64>,
}

impl Marker {
    /// Writes the marker to `folder` and syncs it. `needed` is the size of the installation, for the error.
    pub(crate) fn write(&self, folder: &Path, needed: u64) -> Result<(), PackError> {
        let path = folder.join(MARKER);
        let write =
            || codeact_base::atomic_file::create_new(&path, &serde_json::to_vec_pretty(self)?);
        write().map_err(PackError::write(&path, needed))
    }
}

/// Returns true if `folder` contains the complete pack of `manifest`: each file with its expected size.
pub(crate) fn is_complete(folder: &Path, manifest: &Manifest) -> Result<bool, PackError> {
    let path = folder.join(MARKER);
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file
            .take(MAX_MARKER_BYTES)
            .read_to_end(&mut text)
            .map_err(PackError::io("read", &path))?,
        Err(e) if is_absent(&e) => return Ok(false),
        Err(e) => return Err(PackError::io("read", &path)(e)),
    };
    let Ok(marker) = serde_json::from_slice::<Marker>(&text) else {
        return Ok(false);
    };
    let pinned = |f: &PinnedFile| marker.files.get(&f.to) == Some(&f.size);
    if marker.pack != manifest.files_hash() || !manifest.files.iter().all(pinned) {
        return Ok(false);
    }
    for (name, size) in &marker.files {
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() && meta.len() == *size => {}
            Ok(_) => return Ok(false),
            Err(e) if is_absent(&e) => return Ok(false),
            Err(e) => return Err(PackError::io("read the metadata of", &path)(e)),
        }
    }
    Ok(true)
}

fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
