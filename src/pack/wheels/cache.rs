//! Unpacked wheels and noted resolutions, in the pack's private cache folder.
//!
//! A wheel's folder is named after its SHA-256, made under another name and renamed; it never
//! changes afterwards. Its `wheel.json` is written last and names every file's size. A resolution
//! only refers to wheels, so it may come and go. All of it is the pack's: `pack remove` deletes it
//! with what was compiled, and it can be deleted at any time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::install::{remove_all, rename, temporary_prefix};
use super::super::lock::Lock;
use super::super::manifest::hex;
use super::super::{Manifest, PackError, private};
use super::wheel::{Wheel, name_problem};
use super::{LARGEST, Requirement, SitePackage, TEMPORARY};

/// Raised when what is kept changes its form.
const FORMAT: u32 = 1;
/// How long a resolution that is not pinned is used, in seconds.
const RECENT: u64 = 24 * 60 * 60;
/// A note larger than this is damaged, in bytes.
const LARGEST_NOTE: u64 = 16 << 20;
const NOTE: &str = "wheel.json";
const SITE: &str = "site";

/// The folder of one pack's wheels and resolutions.
pub(super) struct Cache {
    folder: PathBuf,
}

/// What was resolved for some requirements.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resolution {
    /// For people who look into the file.
    wanted: Vec<String>,
    /// Seconds since 1970.
    time: u64,
    pub(super) packages: Vec<SitePackage>,
}

/// The content of `wheel.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    package: SitePackage,
    files: BTreeMap<String, u64>,
}

impl Resolution {
    /// The name of the resolution of `wanted`, which is sorted, for this pack.
    pub(super) fn key(manifest: &Manifest, wanted: &[Requirement]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("codeact packages {FORMAT} {}\n", manifest.hash()));
        for (name, version) in &manifest.packages.python {
            hash.update(format!("has {name} {version}\n"));
        }
        for requirement in wanted {
            hash.update(format!("{requirement}\n"));
        }
        hex(&hash.finalize())
    }

    /// What was just resolved.
    pub(super) fn now(wanted: &[Requirement], packages: &[SitePackage]) -> Self {
        Self {
            wanted: wanted.iter().map(ToString::to_string).collect(),
            time: now(),
            packages: packages.to_vec(),
        }
    }

    /// Whether it is less than a day old. One from the future is not.
    pub(super) fn is_recent(&self) -> bool {
        now().checked_sub(self.time).is_some_and(|age| age < RECENT)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Cache {
    /// The cache in a pack's folder for compiled code, which was checked to be private.
    pub(super) fn open(pack: &Path) -> Result<Self, PackError> {
        let folder = pack.join("packages");
        private::create_dir(&folder).map_err(PackError::write(&folder, 0))?;
        private::check_dir(&folder)?;
        Ok(Self { folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Held by whoever writes.
    pub(super) fn lock(&self) -> Result<Lock, PackError> {
        Lock::acquire(&self.folder.join(".lock"))
    }

    /// The unpacked wheel with this hash, if it is there and complete.
    pub(super) fn wheel(&self, sha256: &str) -> Result<Option<Wheel>, PackError> {
        let digit = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        if sha256.len() != 64 || !sha256.chars().all(digit) {
            return Ok(None);
        }
        let folder = self.wheel_folder(sha256);
        let Some(note) = read::<Note>(&folder.join(NOTE))? else {
            return Ok(None);
        };
        let root = folder.join(SITE);
        for (path, len) in &note.files {
            let good = |meta: fs::Metadata| meta.is_file() && meta.len() == *len;
            let found = fs::symlink_metadata(root.join(path));
            if name_problem(path).is_some() || !found.is_ok_and(good) {
                return Ok(None);
            }
        }
        let files = note.files;
        Ok(Some(Wheel { root, files }))
    }

    /// Takes the unpacked files in `folder`, a temporary one beside the cache's own, for the wheel
    /// of `package`. The lock is held.
    pub(super) fn keep(
        &self,
        package: &SitePackage,
        folder: &Path,
        files: BTreeMap<String, u64>,
    ) -> Result<(), PackError> {
        let made = folder.with_extension("kept");
        private::create_dir(&made).map_err(PackError::write(&made, LARGEST))?;
        rename(folder, &made.join(SITE))?;
        let note = Note {
            package: package.clone(),
            files,
        };
        write(&made.join(NOTE), &note)?;
        let destination = self.wheel_folder(&package.sha256);
        if fs::symlink_metadata(&destination).is_ok() {
            // Incomplete, or it would not be made again: out of the way in one step.
            let broken = folder.with_extension("broken");
            rename(&destination, &broken)?;
            remove_all(&broken)?;
        }
        rename(&made, &destination)
    }

    /// The resolution of this name.
    pub(super) fn resolution(&self, key: &str) -> Result<Option<Resolution>, PackError> {
        read(&self.resolution_path(key))
    }

    /// Notes a resolution, in the place of an older one. The lock is held.
    pub(super) fn note(&self, key: &str, resolution: &Resolution) -> Result<(), PackError> {
        let path = self.resolution_path(key);
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = temporary_prefix(TEMPORARY);
        let made = self.folder.join(format!("{prefix}{own}"));
        let _ = fs::remove_file(&made);
        write(&made, resolution)?;
        rename(&made, &path)
    }

    fn wheel_folder(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("wheel-{sha256}"))
    }

    fn resolution_path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("resolution-{key}.json"))
    }
}

/// Reads a note; none if it is missing or damaged.
fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, PackError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST_NOTE).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(PackError::io("read", path)(e)),
    }
}

/// Writes the new file `path` and makes it durable.
fn write(path: &Path, note: &impl Serialize) -> Result<(), PackError> {
    let write = || {
        let mut file = File::create_new(path)?;
        file.write_all(&serde_json::to_vec(note)?)?;
        file.sync_all()
    };
    write().map_err(PackError::write(path, LARGEST))
}
