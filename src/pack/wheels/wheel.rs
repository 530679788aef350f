//! One fetched wheel: is it what its name says, is it pure, and unpack it.
//!
//! The format is PyPA's "binary distribution format". A wheel comes from an index and is not pinned
//! by us, so nothing in it is believed: names are checked before a file is made, sizes while bytes
//! stream through, and everything is written below a new private folder. RECORD is not checked, as
//! pip does not either: whoever could change a file could change RECORD.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Seek;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use zip::ZipArchive;

use super::super::PackError;
use super::super::manifest::hex;
use super::super::unpack::Target;
use super::requirement::{is_version, normalised};
use super::{LARGEST, MOST_FILES};

/// What may still be unpacked.
pub(super) struct Budget {
    pub(super) bytes: u64,
    pub(super) files: u64,
}

/// Folders within folders: each makes one on disk.
const MOST_PARTS: usize = 24;

/// An unpacked wheel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wheel {
    /// The folder that corresponds to site-packages.
    pub(super) root: PathBuf,
    /// The size in bytes of each file, by its path with `/` between parts.
    pub(super) files: BTreeMap<String, u64>,
}

/// What unpacking found.
pub(super) enum Unpacked {
    /// The files that were written, with their sizes.
    Pure(BTreeMap<String, u64>),
    /// There are libraries in it. What was written is of no use.
    Compiled,
}

/// A wheel as it was fetched.
pub(super) struct Fetched {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sha256: String,
    /// Python, ABI and platform tags.
    tags: String,
    shown: String,
    file: File,
}

/// The normalised name, the version and the tags in a wheel's file name.
pub(super) fn file_name(path: &Path) -> Option<(String, String, String)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".whl")?;
    let parts: Vec<&str> = stem.split('-').collect();
    let (name, version, tags) = match parts.as_slice() {
        [name, version, tags @ ..] if tags.len() == 3 => (name, version, tags),
        [name, version, _build, tags @ ..] if tags.len() == 3 => (name, version, tags),
        _ => return None,
    };
    // `_` stands for `-` in a version, too, where there is one.
    let version = version.to_ascii_lowercase();
    let name = normalised(name).ok()?;
    is_version(&version).then(|| (name, version, tags.join("-")))
}

/// Whether a wheel's tags are those for Python 3 of whatever make and for any platform.
pub(super) fn are_pure(tags: &str) -> bool {
    let mut tags = tags.split('-');
    let python = tags.next().unwrap_or("");
    python.split('.').any(|tag| tag.starts_with("py3")) && tags.eq(["none", "any"])
}

impl Fetched {
    /// Opens the wheel and hashes it.
    pub(super) fn check(path: &Path) -> Result<Self, PackError> {
        let shown = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((name, version, tags)) = file_name(path) else {
            return Err(PackError::BadWheel {
                wheel: shown.into_owned(),
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
            shown: shown.into_owned(),
            file,
        })
    }

    /// Whether it says that it is pure.
    pub(super) fn is_pure(&self) -> bool {
        are_pure(&self.tags)
    }

    /// Unpacks into the new folder `folder`, and takes what that needs from `budget`.
    ///
    /// # Errors
    ///
    /// [`PackError::BadWheel`] if it is no archive or holds what a wheel may not.
    pub(super) fn unpack(self, folder: &Path, budget: &mut Budget) -> Result<Unpacked, PackError> {
        let bad = |problem: String| PackError::BadWheel {
            wheel: self.shown.clone(),
            problem,
        };
        let mut archive = ZipArchive::new(&self.file).map_err(|e| bad(e.to_string()))?;
        let mut target = Target {
            folder,
            needed: LARGEST,
            advance: &mut |_| {},
            written: BTreeMap::new(),
        };
        let mut taken = BTreeSet::new();
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
                    "it holds the forbidden name {name:?}: {problem}"
                )));
            }
            if is_library(&name) {
                return Ok(Unpacked::Compiled);
            }
            let Some(to) = self.place(&name) else {
                continue;
            };
            // Compared without case, as on some file systems.
            if !taken.insert(to.to_lowercase()) {
                return Err(bad(format!("it holds `{to}` twice")));
            }
            let Some(files) = budget.files.checked_sub(1) else {
                return Err(too_much());
            };
            budget.files = files;
            let path = folder.join(to);
            let mut file = target.create(&path)?;
            let left = budget.bytes;
            let streamed = target.stream(&mut entry, &mut file, &path, &name, left, |_| {});
            let length = streamed.map_err(|e| match e {
                PackError::BadArchive { archive, problem } => {
                    bad(format!("`{archive}`: {problem}"))
                }
                e => e,
            })?;
            budget.bytes = left.checked_sub(length).ok_or_else(too_much)?;
            has_metadata |= self.is_own(to, ".dist-info", "METADATA");
            target.written.insert(to.to_owned(), length);
        }
        if !has_metadata {
            return Err(bad("it holds no METADATA of its own".to_owned()));
        }
        Ok(Unpacked::Pure(target.written))
    }

    /// Where a file goes below site-packages, if it goes there. `.data` holds what is to be spread
    /// over the system: only its two names for site-packages are known here.
    fn place<'n>(&self, name: &'n str) -> Option<&'n str> {
        match name.split_once('/') {
            Some((first, rest)) if self.is_own_folder(first, ".data") => rest
                .strip_prefix("purelib/")
                .or_else(|| rest.strip_prefix("platlib/")),
            _ => Some(name),
        }
    }

    fn is_own(&self, path: &str, suffix: &str, file: &str) -> bool {
        path.split_once('/')
            .is_some_and(|(first, rest)| rest == file && self.is_own_folder(first, suffix))
    }

    /// Whether `folder` is `NAME-VERSION` of this wheel and `suffix`.
    fn is_own_folder(&self, folder: &str, suffix: &str) -> bool {
        let own = folder.strip_suffix(suffix).and_then(|f| f.split_once('-'));
        own.is_some_and(|(name, _)| normalised(name).is_ok_and(|name| name == self.name))
    }
}

impl Budget {
    /// Takes what an already unpacked wheel needs.
    pub(super) fn take(&mut self, wheel: &Wheel) -> Result<(), PackError> {
        let bytes = self.bytes.checked_sub(wheel.files.values().sum());
        let files = self.files.checked_sub(wheel.files.len() as u64);
        (self.bytes, self.files) = bytes.zip(files).ok_or_else(too_much)?;
        Ok(())
    }
}

fn too_much() -> PackError {
    PackError::PackagesTooLarge {
        bytes: LARGEST,
        files: MOST_FILES,
    }
}

/// Whether it is a library that a Python would load into its process.
fn is_library(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    [".so", ".pyd", ".dll", ".dylib"]
        .iter()
        .any(|s| file.ends_with(s))
        || file.contains(".so.")
}

/// Why a file of this name cannot be made safely on every system.
pub(super) fn name_problem(name: &str) -> Option<&'static str> {
    if name.len() > 512 {
        return Some("it is too long");
    }
    if name.split('/').count() > MOST_PARTS {
        return Some("it lies in too many folders");
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
            Some("a part begins or ends with a space, or ends with a dot")
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
