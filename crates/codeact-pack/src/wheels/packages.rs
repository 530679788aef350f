//! [`Store::packages`]: the cached or newly downloaded packages for a list of requirements.

use std::path::Path;
use std::time::Instant;

use codeact_base::event::{Event, EventSink, SetupStage};
use codeact_base::private::create_dir;

use super::builtin::BuiltinPackages;
use super::cache::{Cache, Staging, StoredResolution};
use super::client_index::Reporter;
use super::import_names::package_of_module;
use super::limits::{MAX_BYTES, MAX_FILES};
use super::refusal::Refusal;
use super::requested::{RequestedPackages, list};
use super::resolve;
use super::wheel::{Budget, DownloadedWheel, UnpackResult, UnpackedWheel};
use super::{Requirement, Site, SitePackage};
use crate::progress::ProgressReporter;
use crate::{Clients, Manifest, PackError, Store};

impl Store {
    /// Returns the pure-Python packages for `wanted` and their dependencies. Downloads those that are not in the cache.
    /// The packages of the pack count as installed. Blocks.
    ///
    /// An earlier resolution of the same requirements is used if it is less than a day old, if all of `wanted` are
    /// pinned with `==`, or if `offline` is true. A refusal is returned again for ten minutes.
    ///
    /// A requirement can also be the name of a module, such as `yaml` or `PIL`, if no package has that name. Older
    /// versions are used if newer ones need compiled code. No lock is held during the resolution.
    ///
    /// # Errors
    ///
    /// - [`PackError::NeedsCompiledCode`], [`PackError::SourceOnly`], [`PackError::OtherPython`],
    ///   [`PackError::NoSuchPackage`], [`PackError::BuiltInPackage`] or [`PackError::PackagesConflict`] if the
    ///   requirements cannot be fulfilled.
    /// - [`PackError::DirectReference`] if a package requires another one from an address. Nothing is fetched from it.
    /// - [`PackError::ResolutionGaveUp`] or [`PackError::TooManyPackages`] at the limits of a resolution, and
    ///   [`PackError::Cancelled`] if it was cancelled ([`Clients::cancelled_by`]).
    /// - [`PackError::PackagesNotFetched`] or [`PackError::NoClientForPackages`] if no package client succeeded.
    /// - [`PackError::PackagesOffline`] if a package must be downloaded and `offline` is true.
    /// - [`PackError::BadWheel`] or [`PackError::PackagesTooLarge`] if a wheel is not usable.
    /// - Errors of the file system.
    ///
    /// The cache has no new packages after an error.
    pub fn packages(
        &self,
        manifest: &Manifest,
        wanted: &[Requirement],
        offline: bool,
    ) -> Result<Site, PackError> {
        let builtin = BuiltinPackages::new(manifest)?;
        let mut missing = Vec::new();
        for requirement in wanted {
            let requirement = match package_of_module(requirement.name()) {
                Some(package) => requirement.renamed(package),
                None => requirement.clone(),
            };
            if !builtin.fulfils(&requirement)? {
                missing.push(requirement);
            }
        }
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(Site::default());
        }
        let cache = Cache::open(&self.prepare_cache(manifest)?)?;
        let clients = self.clients();
        let request = Request {
            cache: &cache,
            key: StoredResolution::key(manifest, &missing),
            refusal_key: Refusal::key(manifest, &missing, &clients),
            pinned: missing.iter().all(|r| r.pin().is_some()),
        };
        if let Some(site) = request.cached(offline)? {
            return Ok(site);
        }
        if offline {
            return Err(PackError::PackagesOffline {
                wanted: list(&missing),
            });
        }
        if let Some(refusal) = cache.refusal(&request.refusal_key)? {
            return Err(refusal.into());
        }
        // Another process or thread may be resolving the same requirements. Others do not wait for it.
        let limit = clients.limit();
        let waiting = || {
            let text = format!(
                "waiting for another process that fetches {}",
                list(&missing)
            );
            emit_status(self.events(), text);
        };
        let _same = cache.lock_resolution(&request.key, limit, waiting)?;
        if let Some(site) = request.cached(false)? {
            return Ok(site);
        }
        if let Some(refusal) = cache.refusal(&request.refusal_key)? {
            return Err(refusal.into());
        }
        let requested = RequestedPackages {
            builtin: &builtin,
            requirements: &missing,
        };
        let fetched = fetch(
            &cache,
            &requested,
            &clients,
            Instant::now() + limit,
            self.events(),
        );
        let site = fetched.inspect_err(|error| {
            if let Some(refusal) = Refusal::of(error) {
                // It only saves time.
                let _ = cache.store_refusal(&request.refusal_key, refusal);
            }
        })?;
        // Under the selected versions, too: they are the packages that a recording names.
        let mut pinned = Vec::new();
        for package in &site.packages {
            pinned.push(format!("{}=={}", package.name, package.version).parse()?);
        }
        pinned.sort();
        let _lock = cache.lock()?;
        for wanted in [&missing, &pinned] {
            let key = StoredResolution::key(manifest, wanted);
            cache.store_resolution(&key, &StoredResolution::now(wanted, &site.packages))?;
        }
        Ok(site)
    }
}

/// The requirements of one call, as keys of the cache.
struct Request<'a> {
    cache: &'a Cache,
    key: String,
    refusal_key: String,
    /// True if all versions are given.
    pinned: bool,
}

impl Request<'_> {
    /// Returns the packages of the stored resolution, if it may be used and its wheels are complete.
    fn cached(&self, any_age: bool) -> Result<Option<Site>, PackError> {
        let Some(resolution) = self.cache.resolution(&self.key)? else {
            return Ok(None);
        };
        if !any_age && !self.pinned && !resolution.is_recent() {
            return Ok(None);
        }
        let wheels = open_all(self.cache, &resolution.packages)?;
        wheels
            .map(|wheels| Site::merge(resolution.packages, wheels))
            .transpose()
    }
}

/// Returns the unpacked wheels of `packages`, or `None` if one is missing or incomplete.
fn open_all(
    cache: &Cache,
    packages: &[SitePackage],
) -> Result<Option<Vec<UnpackedWheel>>, PackError> {
    let wheels = packages.iter().map(|package| cache.wheel(&package.sha256));
    wheels.collect()
}

/// Passes progress on as events.
struct EventReporter<'a> {
    progress: ProgressReporter<'a>,
    events: &'a EventSink,
}

impl Reporter for EventReporter<'_> {
    fn bytes(&mut self, bytes: u64) {
        self.progress.reach(bytes);
    }

    fn status(&mut self, text: String) {
        emit_status(self.events, text);
    }
}

fn emit_status(events: &EventSink, text: String) {
    let stage = SetupStage::Packages;
    events.emit(Event::SetupStatus { stage, text });
}

/// Resolves and downloads `requested`, and unpacks the wheels that are not in the cache.
fn fetch(
    cache: &Cache,
    requested: &RequestedPackages<'_>,
    clients: &Clients,
    deadline: Instant,
    events: &EventSink,
) -> Result<Site, PackError> {
    let staging = Staging::new(cache)?;
    let mut reporter = EventReporter {
        progress: ProgressReporter::start(SetupStage::Packages, None, events),
        events,
    };
    let fetched = resolve::fetch(requested, clients, staging.path(), deadline, &mut reporter)?;
    let mut packages = Vec::new();
    let mut budget = Budget {
        bytes: MAX_BYTES,
        files: MAX_FILES,
    };
    for path in fetched.wheels {
        packages.push(add_wheel(
            cache,
            requested.builtin,
            staging.path(),
            &path,
            &mut budget,
        )?);
    }
    packages.sort_by(|a: &SitePackage, b| a.name.cmp(&b.name));
    let Some(wheels) = open_all(cache, &packages)? else {
        let missing = std::io::ErrorKind::NotFound.into();
        return Err(PackError::io("find", cache.folder())(missing));
    };
    let site = Site::merge(packages, wheels)?;
    reporter.progress.finish();
    for text in fetched.notes {
        events.emit(Event::SetupNote { text });
    }
    Ok(site)
}

/// Checks one downloaded wheel and adds it to the cache.
fn add_wheel(
    cache: &Cache,
    builtin: &BuiltinPackages<'_>,
    staging: &Path,
    path: &Path,
    budget: &mut Budget,
) -> Result<SitePackage, PackError> {
    let wheel = DownloadedWheel::open(path)?;
    let compiled = |name: &str| builtin.needs_compiled_code(&[name.to_owned()]);
    if !wheel.is_pure() {
        return Err(compiled(&wheel.name));
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
    let folder = staging.join(format!("unpacked-{}", package.sha256));
    create_dir(&folder).map_err(PackError::write(&folder, MAX_BYTES))?;
    let UnpackResult::Pure(files) = wheel.unpack(&folder, budget)? else {
        return Err(compiled(&package.name));
    };
    let _lock = cache.lock()?;
    // Another process may have added it in the meantime.
    if cache.wheel(&package.sha256)?.is_none() {
        cache.store_wheel(&package, &folder, files)?;
    }
    Ok(package)
}
