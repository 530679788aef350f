//! [`Store::packages`]: the cached or newly downloaded packages for a list of requirements.

use std::path::Path;

use tempfile::TempDir;

use codeact_base::event::{EventSink, SetupStage};
use codeact_base::private::create_dir;

use super::builtin::BuiltinPackages;
use super::cache::{Cache, StoredResolution};
use super::limits::{MAX_BYTES, MAX_FILES};
use super::requested::{RequestedPackages, list};
use super::resolve;
use super::wheel::{Budget, DownloadedWheel, UnpackResult, UnpackedWheel};
use super::{Requirement, Site, SitePackage};
use crate::folders::{remove_stale, temporary_prefix};
use crate::progress::ProgressReporter;
use crate::{Clients, Manifest, PackError, Store};

impl Store {
    /// Returns the pure-Python packages for `wanted` and their dependencies. Downloads those that are not in the cache.
    /// The packages of the pack count as installed. Blocks.
    ///
    /// An earlier resolution of the same requirements is used if it is less than a day old, if all of `wanted` are
    /// pinned with `==`, or if `offline` is true.
    ///
    /// # Errors
    ///
    /// - [`PackError::NeedsCompiledCode`], [`PackError::NoSuchPackage`], [`PackError::BuiltInPackage`] or
    ///   [`PackError::PackagesConflict`] if the requirements cannot be fulfilled.
    /// - [`PackError::PackagesNotFetched`] or [`PackError::NoClientForPackages`] if no package client succeeded.
    /// - [`PackError::PackagesOffline`] if a package must be downloaded and `offline` is true.
    /// - [`PackError::BadWheel`] or [`PackError::PackagesTooLarge`] if a wheel is not usable.
    /// - Errors of the file system.
    ///
    /// The cache is unchanged after an error.
    pub fn packages(
        &self,
        manifest: &Manifest,
        wanted: &[Requirement],
        offline: bool,
    ) -> Result<Site, PackError> {
        let builtin = BuiltinPackages::new(manifest)?;
        let mut missing = Vec::new();
        for requirement in wanted {
            if !builtin.fulfils(requirement)? {
                missing.push(requirement.clone());
            }
        }
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(Site::default());
        }
        let cache = Cache::open(&self.prepare_cache(manifest)?)?;
        let key = StoredResolution::key(manifest, &missing);
        let pinned = missing.iter().all(|r| r.pin().is_some());
        if let Some(site) = cached(&cache, &key, offline || pinned)? {
            return Ok(site);
        }
        if offline {
            return Err(PackError::PackagesOffline {
                wanted: list(&missing),
            });
        }
        let _lock = cache.lock()?;
        // Another process or thread may have downloaded the packages during the wait for the lock.
        if let Some(site) = cached(&cache, &key, pinned)? {
            return Ok(site);
        }
        let _ = remove_stale(cache.folder(), Cache::TEMPORARY);
        let requested = RequestedPackages {
            builtin: &builtin,
            requirements: &missing,
        };
        let packages = fetch(&cache, &requested, &self.clients(), self.events())?;
        let wheels = open_all(&cache, &packages)?;
        let Some(wheels) = wheels else {
            return Err(PackError::io("find", cache.folder())(
                std::io::ErrorKind::NotFound.into(),
            ));
        };
        let site = Site::merge(packages, wheels)?;
        cache.store_resolution(&key, &StoredResolution::now(&missing, &site.packages))?;
        Ok(site)
    }
}

/// Returns the packages of a stored resolution, if their wheels are complete.
fn cached(cache: &Cache, key: &str, any_age: bool) -> Result<Option<Site>, PackError> {
    let Some(resolution) = cache.resolution(key)? else {
        return Ok(None);
    };
    if !any_age && !resolution.is_recent() {
        return Ok(None);
    }
    let wheels = open_all(cache, &resolution.packages)?;
    wheels
        .map(|wheels| Site::merge(resolution.packages, wheels))
        .transpose()
}

/// Returns the unpacked wheels of `packages`, or `None` if one is missing or incomplete.
fn open_all(
    cache: &Cache,
    packages: &[SitePackage],
) -> Result<Option<Vec<UnpackedWheel>>, PackError> {
    let wheels = packages.iter().map(|package| cache.wheel(&package.sha256));
    wheels.collect()
}

/// Resolves and downloads `requested`, and unpacks the wheels that are not in the cache.
fn fetch(
    cache: &Cache,
    requested: &RequestedPackages<'_>,
    clients: &Clients,
    events: &EventSink,
) -> Result<Vec<SitePackage>, PackError> {
    let staging = tempfile::Builder::new()
        .prefix(&temporary_prefix(Cache::TEMPORARY))
        .tempdir_in(cache.folder())
        .map_err(PackError::write(cache.folder(), MAX_BYTES))?;
    let mut progress = ProgressReporter::start(SetupStage::Packages, None, events);
    let mut report = |bytes| progress.reach(bytes);
    let wheels = resolve::fetch(requested, clients, staging.path(), &mut report)?;
    let mut packages = Vec::new();
    let mut budget = Budget {
        bytes: MAX_BYTES,
        files: MAX_FILES,
    };
    for path in wheels {
        packages.push(add_wheel(
            cache,
            requested.builtin,
            &staging,
            &path,
            &mut budget,
        )?);
    }
    packages.sort_by(|a: &SitePackage, b| a.name.cmp(&b.name));
    progress.finish();
    Ok(packages)
}

/// Checks one downloaded wheel and adds it to the cache.
fn add_wheel(
    cache: &Cache,
    builtin: &BuiltinPackages<'_>,
    staging: &TempDir,
    path: &Path,
    budget: &mut Budget,
) -> Result<SitePackage, PackError> {
    let wheel = DownloadedWheel::open(path)?;
    if !wheel.is_pure() {
        return Err(builtin.needs_compiled_code(&wheel.name, None));
    }
    let package = SitePackage {
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        sha256: wheel.sha256.clone(),
    };
    if let Some(unpacked) = cache.wheel(&package.sha256)? {
        budget.charge(&unpacked)?;
        return Ok(package);
    }
    let folder = staging.path().join(format!("unpacked-{}", package.sha256));
    create_dir(&folder).map_err(PackError::write(&folder, MAX_BYTES))?;
    match wheel.unpack(&folder, budget)? {
        UnpackResult::Pure(files) => cache.store_wheel(&package, &folder, files)?,
        UnpackResult::Compiled => {
            return Err(builtin.needs_compiled_code(&package.name, None));
        }
    }
    Ok(package)
}
