//! The file that says that a pack's folder is complete.
//!
//! It is written last, so a folder without it is worthless, and it names every file's size, so
//! that a start checks an installed pack in a millisecond, without hashing 150 MB.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Manifest, PackError};

/// The marker's file name.
pub(super) const MARKER: &str = "complete.json";

/// A marker larger than this is damaged, in bytes.
const LARGEST: u64 = 4 << 20;

/// The marker's content.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    /// The pack's identity.
    pub(super) pack: String,
    /// The size in bytes of each file, by its path with `/` between parts.
    pub(super) files: BTreeMap<String, u64>,
}

impl Marker {
    /// Writes the marker into `folder` and makes it durable. `needed` is for the error.
    pub(super) fn write(&self, folder: &Path, needed: u64) -> Result<(), PackError> {
        let path = folder.join(MARKER);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()
        };
        write().map_err(PackError::write(&path, needed))
    }
}

/// Whether `folder` holds the complete pack of `manifest`: false if anything is missing or has
/// another size than it should.
pub(super) fn is_complete(folder: &Path, manifest: &Manifest) -> Result<bool, PackError> {
    let path = folder.join(MARKER);
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => file
            .take(LARGEST)
            .read_to_end(&mut text)
            .map_err(PackError::io("read", &path))?,
        Err(e) if is_absent(&e) => return Ok(false),
        Err(e) => return Err(PackError::io("read", &path)(e)),
    };
    let Ok(marker) = serde_json::from_slice::<Marker>(&text) else {
        return Ok(false);
    };
    let pinned = |f: &super::PinnedFile| marker.files.get(&f.to) == Some(&f.size);
    if marker.pack != manifest.hash() || !manifest.files.iter().all(pinned) {
        return Ok(false);
    }
    for (name, size) in &marker.files {
        let path = folder.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_file() && meta.len() == *size => {}
            Ok(_) => return Ok(false),
            Err(e) if is_absent(&e) => return Ok(false),
            Err(e) => return Err(PackError::io("look at", &path)(e)),
        }
    }
    Ok(true)
}

fn is_absent(e: &std::io::Error) -> bool {
    matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
