//! Packages beside the pack's own: pure-Python wheels, resolved by the user's own client.
//!
//! A [`Requirement`] is what the user typed. [`Store::packages`] has pip find out what a CPython
//! of the pack's version would install for it (`resolve`), with the pack's own packages shown to
//! pip as installed (`stubs`), then fetch exactly that as wheels for any platform. A wheel that is
//! not there for any platform needs compiled code, which the sandbox does not load; pip's words
//! (`answers`) tell which it is (`explain`). Each wheel is checked and unpacked (`wheel`) into the pack's
//! private cache folder under its hash, and what was resolved is noted there (`cache`), so that
//! later starts ask nobody. The result is a [`Site`]: the files to show the guest in one folder.
//! No code of a wheel is run on the host.

mod answers;
mod cache;
mod explain;
mod requirement;
mod resolve;
mod stubs;
#[cfg(test)]
mod tests;
mod wheel;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::event::{EventSink, SetupStage};

use super::install::{Meter, remove_stale, temporary_prefix};
use super::{Clients, Manifest, PackError, Store, private};

pub use requirement::Requirement;

use cache::{Cache, Resolution};
use resolve::Resolver;
use stubs::Builtin;
use wheel::{Budget, Fetched, Unpacked, Wheel};

/// All that one resolution unpacks to may have this many bytes and files.
const LARGEST: u64 = 256 << 20;
const MOST_FILES: u64 = 20_000;
/// What temporary folders are named after.
const TEMPORARY: &str = "packages";
/// What progress is reported as.
const STAGE: SetupStage = SetupStage::Packages;

/// The packages of one resolution, unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Site {
    /// What it consists of, by name; the pack's own packages are not among them.
    pub packages: Vec<SitePackage>,
    /// The files, by path.
    pub files: Vec<SiteFile>,
}

/// A package of a [`Site`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SitePackage {
    /// Its name, normalised: lowercase, with single hyphens.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The SHA-256 of its wheel, in lowercase hexadecimal.
    pub sha256: String,
}

/// A file of a [`Site`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteFile {
    /// Where the guest must find it, relative to site-packages, with `/` between parts. No path
    /// lies below another.
    pub path: String,
    /// Where it lies on the host. It is never changed, but `pack remove` deletes it.
    pub host: PathBuf,
    /// Its size in bytes.
    pub len: u64,
}

impl Store {
    /// The pure-Python packages for `wanted` and what they depend on, fetched now unless they are
    /// in the cache. Blocks. What the pack has itself counts as installed.
    ///
    /// An earlier resolution of the same requirements is used without asking anybody if it is
    /// younger than a day, if all of `wanted` are pinned with `==`, or if `offline`.
    ///
    /// # Errors
    ///
    /// [`PackError::NeedsCompiledCode`], [`PackError::NoSuchPackage`],
    /// [`PackError::BuiltInPackage`] or [`PackError::PackagesConflict`] if they cannot be had,
    /// [`PackError::PackagesNotFetched`] or [`PackError::NoClientForPackages`] if nobody could be
    /// asked, [`PackError::PackagesOffline`] if nobody may be, [`PackError::BadWheel`] if a wheel
    /// is not as it should be; and errors of the file system. After any, the cache is as it was.
    pub fn packages(
        &self,
        manifest: &Manifest,
        wanted: &[Requirement],
        offline: bool,
    ) -> Result<Site, PackError> {
        let builtin = Builtin::of(manifest)?;
        let mut missing = Vec::new();
        for requirement in wanted {
            if !builtin.has(requirement)? {
                missing.push(requirement.clone());
            }
        }
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(Site::default());
        }
        let cache = Cache::open(&self.prepare_cache(manifest)?)?;
        let key = Resolution::key(manifest, &missing);
        let pinned = missing.iter().all(|r| r.pin().is_some());
        if let Some(site) = cached(&cache, &key, offline || pinned)? {
            return Ok(site);
        }
        if offline {
            return Err(PackError::PackagesOffline {
                wanted: shown(&missing),
            });
        }
        let _lock = cache.lock()?;
        // Somebody else may have fetched it while this one waited.
        if let Some(site) = cached(&cache, &key, pinned)? {
            return Ok(site);
        }
        let _ = remove_stale(cache.folder(), TEMPORARY);
        let packages = fetch(&cache, &builtin, &missing, &self.clients(), self.events())?;
        let wheels = open_all(&cache, &packages)?;
        let Some(wheels) = wheels else {
            return Err(PackError::io("find", cache.folder())(
                std::io::ErrorKind::NotFound.into(),
            ));
        };
        let site = site(packages, wheels)?;
        cache.note(&key, &Resolution::now(&missing, &site.packages))?;
        Ok(site)
    }
}

/// What was resolved before and is still complete.
fn cached(cache: &Cache, key: &str, any_age: bool) -> Result<Option<Site>, PackError> {
    let Some(resolution) = cache.resolution(key)? else {
        return Ok(None);
    };
    if !any_age && !resolution.is_recent() {
        return Ok(None);
    }
    let wheels = open_all(cache, &resolution.packages)?;
    wheels.map(|w| site(resolution.packages, w)).transpose()
}

/// The unpacked wheels of `packages`; none if one of them is missing or incomplete.
fn open_all(cache: &Cache, packages: &[SitePackage]) -> Result<Option<Vec<Wheel>>, PackError> {
    let wheels = packages.iter().map(|package| cache.wheel(&package.sha256));
    wheels.collect()
}

/// Has a client resolve and fetch `missing`, and unpacks what the cache does not have yet.
fn fetch(
    cache: &Cache,
    builtin: &Builtin<'_>,
    missing: &[Requirement],
    clients: &Clients,
    events: &EventSink,
) -> Result<Vec<SitePackage>, PackError> {
    let staging = tempfile::Builder::new()
        .prefix(&temporary_prefix(TEMPORARY))
        .tempdir_in(cache.folder())
        .map_err(PackError::write(cache.folder(), LARGEST))?;
    let mut meter = Meter::start(STAGE, None, events);
    let resolver = Resolver { builtin, missing };
    let fetched = resolver.fetch(clients, staging.path(), &mut |bytes| meter.reach(bytes))?;
    let mut packages = Vec::new();
    let mut budget = Budget {
        bytes: LARGEST,
        files: MOST_FILES,
    };
    for path in fetched {
        let package = take(cache, builtin, &staging, &path, &mut budget)?;
        packages.push(package);
    }
    packages.sort_by(|a: &SitePackage, b| a.name.cmp(&b.name));
    meter.finish();
    Ok(packages)
}

/// Checks one fetched wheel and puts it into the cache.
fn take(
    cache: &Cache,
    builtin: &Builtin<'_>,
    staging: &TempDir,
    path: &Path,
    budget: &mut Budget,
) -> Result<SitePackage, PackError> {
    let wheel = Fetched::check(path)?;
    if !wheel.is_pure() {
        return Err(builtin.needs_compiled_code(&wheel.name, None));
    }
    let package = SitePackage {
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        sha256: wheel.sha256.clone(),
    };
    if let Some(kept) = cache.wheel(&package.sha256)? {
        budget.take(&kept)?;
        return Ok(package);
    }
    let folder = staging.path().join(format!("unpacked-{}", package.sha256));
    private::create_dir(&folder).map_err(PackError::write(&folder, LARGEST))?;
    match wheel.unpack(&folder, budget)? {
        Unpacked::Pure(files) => cache.keep(&package, &folder, files)?,
        Unpacked::Compiled => {
            return Err(builtin.needs_compiled_code(&package.name, None));
        }
    }
    Ok(package)
}

/// Lays the wheels over one another. Where two bring the same file, the first in the order of
/// names wins: pip would silently keep the last that it installs, and its order is its own.
fn site(packages: Vec<SitePackage>, wheels: Vec<Wheel>) -> Result<Site, PackError> {
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
            return Err(PackError::BadWheel {
                wheel: shown(packages.iter().map(|p| &p.name)),
                problem: format!("one brings `{parent}` as a file and another as a folder"),
            });
        }
    }
    Ok(Site {
        packages,
        files: files.into_values().collect(),
    })
}

/// `items`, for people.
fn shown(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(" ")
}
