//! Unpacked wheels and resolutions in the pack's private cache folder.
//!
//! The folder of a wheel is named after its SHA-256. It is made under a temporary name, renamed, and does not change
//! afterwards. Its `wheel.json` is written last and contains the size of each file. A resolution only refers to wheels.
//! [`Store::remove`](crate::Store::remove) deletes both, and they can be deleted at any time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use codeact_base::atomic_file::create_new;
use codeact_base::private::create_dir;
use codeact_base::text::hex;

use super::limits::MAX_BYTES;
use super::refusal::{Refusal, StoredRefusal};
use super::wheel::{UnpackedWheel, name_problem};
use super::{Requirement, SitePackage};
use crate::folders::{entries_with_prefix, remove_all, rename, temporary_prefix};
use crate::lock::Lock;
use crate::permissions::check_dir;
use crate::{Manifest, PackError};

/// Version of the format of the stored files. Part of the key of a resolution.
const FORMAT: u32 = 3;
/// Maximum age of a resolution that is not pinned, in seconds.
const MAX_AGE_S: u64 = 24 * 60 * 60;
/// Maximum size of a valid JSON file, in bytes.
const MAX_JSON_BYTES: u64 = 16 << 20;
/// Names in the folder of a wheel.
const WHEEL_JSON: &str = "wheel.json";
const SITE: &str = "site";

/// The folder of the wheels and resolutions of one pack.
pub(super) struct Cache {
    folder: PathBuf,
}

/// The resolution of some requirements, as a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StoredResolution {
    /// The requirements. Not read: for users who open the file.
    wanted: Vec<String>,
    /// Seconds since 1970.
    time: u64,
    pub(super) packages: Vec<SitePackage>,
}

/// Content of `wheel.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WheelIndex {
    package: SitePackage,
    files: BTreeMap<String, u64>,
}

impl StoredResolution {
    /// Returns the name of the resolution of `wanted`, which is sorted, for this pack.
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

    /// Returns a resolution with the current time.
    pub(super) fn now(wanted: &[Requirement], packages: &[SitePackage]) -> Self {
        Self {
            wanted: wanted.iter().map(ToString::to_string).collect(),
            time: now(),
            packages: packages.to_vec(),
        }
    }

    /// Returns true if the resolution is less than a day old and not from the future.
    pub(super) fn is_recent(&self) -> bool {
        now()
            .checked_sub(self.time)
            .is_some_and(|age| age < MAX_AGE_S)
    }
}

/// Returns the seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Cache {
    /// Name for the prefix of temporary folders.
    const TEMPORARY: &str = "packages";

    /// Opens the cache in a pack's private folder for compiled code.
    pub(super) fn open(pack: &Path) -> Result<Self, PackError> {
        let folder = pack.join("packages");
        create_dir(&folder).map_err(PackError::write(&folder, 0))?;
        check_dir(&folder)?;
        Ok(Self { folder })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Acquires the lock that is needed for writes. It is held for moments only.
    pub(super) fn lock(&self) -> Result<Lock, PackError> {
        Lock::acquire(&self.folder.join(".lock"), || {})
    }

    /// Acquires the lock on one resolution, so that it is not computed twice at the same time. Returns `None` after
    /// `max_wait`: then it is computed twice. `waiting` is called if another process has the lock.
    pub(super) fn lock_resolution(
        &self,
        key: &str,
        max_wait: Duration,
        waiting: impl FnOnce(),
    ) -> Result<Option<ResolutionLock>, PackError> {
        let path = self.folder.join(format!(".lock-{key}"));
        match Lock::acquire_within(&path, max_wait, waiting) {
            Ok(lock) => Ok(Some(ResolutionLock { _lock: lock, path })),
            Err(PackError::Locked { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the refusal with this name, if it is recent.
    pub(super) fn refusal(&self, key: &str) -> Result<Option<Refusal>, PackError> {
        let stored = read::<StoredRefusal>(&self.refusal_path(key))?;
        Ok(stored.and_then(StoredRefusal::if_recent))
    }

    /// Stores a refusal.
    pub(super) fn store_refusal(&self, key: &str, refusal: Refusal) -> Result<(), PackError> {
        let _lock = self.lock()?;
        self.replace(&self.refusal_path(key), &StoredRefusal::now(refusal))
    }

    /// Returns the unpacked wheel with this hash, if it is complete.
    pub(super) fn wheel(&self, sha256: &str) -> Result<Option<UnpackedWheel>, PackError> {
        let digit = |c: char| c.is_ascii_digit() || matches!(c, 'a'..='f');
        if sha256.len() != 64 || !sha256.chars().all(digit) {
            return Ok(None);
        }
        let folder = self.wheel_folder(sha256);
        let Some(index) = read::<WheelIndex>(&folder.join(WHEEL_JSON))? else {
            return Ok(None);
        };
        let root = folder.join(SITE);
        for (path, len) in &index.files {
            let matches = |meta: fs::Metadata| meta.is_file() && meta.len() == *len;
            let found = fs::symlink_metadata(root.join(path));
            if name_problem(path).is_some() || !found.is_ok_and(matches) {
                return Ok(None);
            }
        }
        let files = index.files;
        Ok(Some(UnpackedWheel { root, files }))
    }

    /// Moves the unpacked files of `package` from `folder`, a temporary folder on the same file system, into the cache.
    /// The caller holds the lock.
    pub(super) fn store_wheel(
        &self,
        package: &SitePackage,
        folder: &Path,
        files: BTreeMap<String, u64>,
    ) -> Result<(), PackError> {
        let staged = folder.with_extension("staged");
        create_dir(&staged).map_err(PackError::write(&staged, MAX_BYTES))?;
        rename(folder, &staged.join(SITE))?;
        let index = WheelIndex {
            package: package.clone(),
            files,
        };
        write(&staged.join(WHEEL_JSON), &index)?;
        let destination = self.wheel_folder(&package.sha256);
        if fs::symlink_metadata(&destination).is_ok() {
            // The existing folder is incomplete, because a complete one is not stored again. A rename removes it in one
            // step.
            let broken = folder.with_extension("broken");
            rename(&destination, &broken)?;
            remove_all(&broken)?;
        }
        rename(&staged, &destination)
    }

    /// Returns the resolution with this name.
    pub(super) fn resolution(&self, key: &str) -> Result<Option<StoredResolution>, PackError> {
        read(&self.resolution_path(key))
    }

    /// Stores a resolution. Replaces an older one. The caller holds the lock.
    pub(super) fn store_resolution(
        &self,
        key: &str,
        resolution: &StoredResolution,
    ) -> Result<(), PackError> {
        self.replace(&self.resolution_path(key), resolution)
    }

    /// Writes the JSON file `path` in one step. The caller holds the lock.
    fn replace(&self, path: &Path, value: &impl Serialize) -> Result<(), PackError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = temporary_prefix(Self::TEMPORARY);
        let staged = self.folder.join(format!("{prefix}{name}"));
        let _ = fs::remove_file(&staged);
        write(&staged, value)?;
        rename(&staged, path)
    }

    /// Returns the folder for the bytecode that `compiler` makes of a wheel. Returns `None` if the wheel is not in the
    /// cache, or if the name is not a plain one.
    pub(super) fn bytecode_folder(&self, sha256: &str, compiler: &str) -> Option<PathBuf> {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric());
        let wheel = self.wheel_folder(sha256);
        (plain(sha256) && plain(compiler) && wheel.is_dir())
            .then(|| wheel.join(format!("bytecode-{compiler}")))
    }

    fn wheel_folder(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("wheel-{sha256}"))
    }

    fn resolution_path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("resolution-{key}.json"))
    }

    fn refusal_path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("refusal-{key}.json"))
    }
}

/// A held lock on one resolution.
pub(super) struct ResolutionLock {
    _lock: Lock,
    path: PathBuf,
}

impl Drop for ResolutionLock {
    fn drop(&mut self) {
        // A process that has opened the file already locks the deleted one, and computes the same at worst.
        let _ = fs::remove_file(&self.path);
    }
}

/// A temporary folder for the downloads of one resolution. Its lock shows other processes that it is used.
pub(super) struct Staging {
    // Dropped before the folder, because an open file cannot be deleted on Windows.
    _lock: Lock,
    folder: TempDir,
}

impl Staging {
    const LOCK: &str = ".lock";

    /// Creates a folder, and deletes those of processes that were killed.
    pub(super) fn new(cache: &Cache) -> Result<Self, PackError> {
        let _held = cache.lock()?;
        let prefix = temporary_prefix(Cache::TEMPORARY);
        for path in entries_with_prefix(&cache.folder, &prefix)? {
            if Lock::is_free(&path.join(Self::LOCK)) {
                // An error is ignored: a client of a killed process may still write there.
                let _ = remove_all(&path);
            }
        }
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(&cache.folder)
            .map_err(PackError::write(&cache.folder, MAX_BYTES))?;
        Ok(Self {
            _lock: Lock::acquire(&folder.path().join(Self::LOCK), || {})?,
            folder,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Reads a JSON file. Returns `None` if it is missing or damaged.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, PackError> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_JSON_BYTES).read_to_end(&mut text));
    match read {
        Ok(_) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(PackError::io("read", path)(e)),
    }
}

/// Writes the new JSON file `path` and syncs it.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<(), PackError> {
    let write = || create_new(path, &serde_json::to_vec(value)?);
    write().map_err(PackError::write(path, MAX_BYTES))
}
