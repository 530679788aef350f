//! A downloaded wheel: its file name, its hash, and its content. This file is a security boundary.
//!
//! The format is the "binary distribution format" of the PyPA. A wheel comes from an index and has no pin, so every
//! field is validated: names before a file is created, and sizes while the bytes are copied. All files are written to a
//! new private folder. `RECORD` is not checked, as in pip, because an attacker who can change a file can change
//! `RECORD` as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Seek;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use codeact_base::text::hex;

use super::limits::{MAX_BYTES, MAX_FILES};
use super::requirement::{is_version, normalised};
use crate::PackError;
use crate::unpack::Unpacker;

/// Maximum length of a path, in bytes.
const MAX_PATH_BYTES: usize = 512;
/// Maximum number of parts of a path. Each part but the last one is a folder on disk.
const MAX_PATH_PARTS: usize = 24;

/// Bytes and files that may still be unpacked.
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// An unpacked wheel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnpackedWheel {
    /// The folder that corresponds to `site-packages`.
    pub(super) root: PathBuf,
    /// Size in bytes of each file, by its path with `/` between parts.
    pub(super) files: BTreeMap<String, u64>,
}

/// Result of [`DownloadedWheel::unpack`].
pub(super) enum UnpackResult {
    /// The written files, with their sizes.
    Pure(BTreeMap<String, u64>),
    /// The wheel contains shared libraries. The folder is incomplete.
    Compiled,
}

/// A wheel that was downloaded and not yet unpacked.
pub(super) struct DownloadedWheel {
    /// Normalised name of the package.
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sha256: String,
    /// Python, ABI and platform tags.
    tags: String,
    file_name: String,
    file: File,
}

/// Returns the normalised name, the version and the tags in a wheel's file name.
pub(super) fn parse_file_name(path: &Path) -> Option<(String, String, String)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".whl")?;
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version, tags) = match parts.as_slice() {
        [name, version, tags @ ..] if tags.len() == 3 => (name, version, tags),
        [name, version, _build, tags @ ..] if tags.len() == 3 => (name, version, tags),
        _ => return None,
    };
    let version = version.to_ascii_lowercase();
    let name = normalised(name).ok()?;
    is_version(&version).then(|| (name, version, tags.join("-")))
}

/// Returns true if a wheel's tags are for any Python 3 and any platform.
pub(super) fn has_pure_tags(tags: &str) -> bool {
    let mut tags = tags.split('-');
    let python = tags.next().unwrap_or("");
    python.split('.').any(|tag| tag.starts_with("py3")) && tags.eq(["none", "any"])
}

impl DownloadedWheel {
    /// Opens the wheel `path` and computes its hash.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadWheel`] if its file name is not that of a wheel.
    pub(super) fn open(path: &Path) -> Result<Self, PackError> {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((name, version, tags)) = parse_file_name(path) else {
            return Err(PackError::BadWheel {
                wheel: file_name.into_owned(),
                problem: "its name is not that of a wheel".to_owned(),
            });
        };
        let mut file = File::open(path).map_err(PackError::io("open", path))?;
        let mut hash = Sha256::new();
        std::io::copy(&mut file, &mut hash)
            .and_then(|_| file.rewind())
            .map_err(PackError::io("read", path))?;
        Ok(Self {
            name,
            version,
            sha256: hex(&hash.finalize()),
            tags,
            file_name: file_name.into_owned(),
            file,
        })
    }

    /// Returns true if its tags are those of a pure wheel.
    pub(super) fn is_pure(&self) -> bool {
        has_pure_tags(&self.tags)
    }

    /// Unpacks the wheel into the new folder `folder`, and subtracts its files from `budget`.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadWheel`] if the wheel is not a valid archive or has forbidden content, and
    /// [`PackError::PackagesTooLarge`] if `budget` is exhausted.
    pub(super) fn unpack(
        self,
        folder: &Path,
        budget: &mut Budget,
    ) -> Result<UnpackResult, PackError> {
        let bad = |problem: String| PackError::BadWheel {
            wheel: self.file_name.clone(),
            problem,
        };
        let mut archive = ZipArchive::new(&self.file).map_err(|e| bad(e.to_string()))?;
        let mut unpacker = Unpacker {
            folder,
            needed: MAX_BYTES,
            advance: &mut |_| {},
            written: BTreeMap::new(),
        };
        let mut written_names = BTreeSet::new();
        let mut has_metadata = false;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).map_err(|e| bad(e.to_string()))?;
            if entry.is_dir() {
                continue;
            }
            let name = entry.name().to_owned();
            if entry.is_symlink() {
                return Err(bad(format!("`{name}` is a link")));
            }
            if let Some(problem) = name_problem(&name) {
                return Err(bad(format!(
                    "it contains the forbidden name {name:?}: {problem}"
                )));
            }
            if is_library(&name) {
                return Ok(UnpackResult::Compiled);
            }
            let Some(to) = self.destination(&name) else {
                continue;
            };
            // Case is ignored, as on some file systems.
            if !written_names.insert(to.to_lowercase()) {
                return Err(bad(format!("it contains `{to}` twice")));
            }
            let Some(files) = budget.files.checked_sub(1) else {
                return Err(too_large());
            };
            budget.files = files;
            let path = folder.join(to);
            let mut file = unpacker.create(&path)?;
            let left = budget.bytes;
            let streamed = unpacker.stream(&mut entry, &mut file, &path, &name, left, |_| {});
            let length = streamed.map_err(|e| match e {
                PackError::BadArchive { archive, problem } => {
                    bad(format!("`{archive}`: {problem}"))
                }
                e => e,
            })?;
            budget.bytes = left.checked_sub(length).ok_or_else(too_large)?;
            has_metadata |= self.is_own(to, ".dist-info", "METADATA");
            unpacker.written.insert(to.to_owned(), length);
        }
        if !has_metadata {
            return Err(bad("it contains no METADATA of its own".to_owned()));
        }
        Ok(UnpackResult::Pure(unpacker.written))
    }

    /// Returns the path of a file below `site-packages`. Returns `None` for files of the `.data` folder that an
    /// installer would write elsewhere.
    fn destination<'n>(&self, name: &'n str) -> Option<&'n str> {
        match name.split_once('/') {
            Some((first, rest)) if is_own_folder(first, ".data", &self.name) => rest
                .strip_prefix("purelib/")
                .or_else(|| rest.strip_prefix("platlib/")),
            _ => Some(name),
        }
    }

    /// Returns true if `path` is `file` in a folder of this wheel with `suffix`.
    fn is_own(&self, path: &str, suffix: &str, file: &str) -> bool {
        path.split_once('/')
            .is_some_and(|(first, rest)| rest == file && is_own_folder(first, suffix, &self.name))
    }
}

/// Returns true if `folder` is `NAME-VERSION` of the package `name` with `suffix`.
pub(super) fn is_own_folder(folder: &str, suffix: &str, name: &str) -> bool {
    let own = folder.strip_suffix(suffix).and_then(|f| f.split_once('-'));
    own.is_some_and(|(own, _)| normalised(own).is_ok_and(|own| own == name))
}

impl Budget {
    /// Subtracts the files of `wheel`.
    pub(super) fn charge(&mut self, wheel: &UnpackedWheel) -> Result<(), PackError> {
        let bytes = self.bytes.checked_sub(wheel.files.values().sum());
        let files = self.files.checked_sub(wheel.files.len() as u64);
        (self.bytes, self.files) = bytes.zip(files).ok_or_else(too_large)?;
        Ok(())
    }
}

fn too_large() -> PackError {
    PackError::PackagesTooLarge {
        bytes: MAX_BYTES,
        files: MAX_FILES,
    }
}

/// Returns true if `name` is the name of a shared library.
fn is_library(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    [".so", ".pyd", ".dll", ".dylib"]
        .iter()
        .any(|s| file.ends_with(s))
        || file.contains(".so.")
}

/// Returns the reason why a file of this name cannot be created safely on every system.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    if name.len() > MAX_PATH_BYTES {
        return Some("it is too long");
    }
    if name.split('/').count() > MAX_PATH_PARTS {
        return Some("it is below too many folders");
    }
    if name
        .chars()
        .any(|c| c.is_control() || "\\:*?\"<>|".contains(c))
    {
        return Some("it has forbidden characters");
    }
    name.split('/').find_map(|part| match part {
        "" => Some("it has an empty part"),
        part if part.ends_with([' ', '.']) || part.starts_with(' ') => {
            Some("a part starts or ends with a space, or ends with a dot")
        }
        part => is_device(part).then_some("Windows has a device of that name"),
    })
}

fn is_device(part: &str) -> bool {
    let stem = part.split('.').next().unwrap_or(part).trim_end();
    let stem = stem.to_ascii_lowercase();
    let numbered = |name: &str| {
        let number = stem.strip_prefix(name).unwrap_or("");
        number.len() == 1 && number.starts_with(|c: char| c.is_ascii_digit())
    };
    ["con", "prn", "aux", "nul"].contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}
