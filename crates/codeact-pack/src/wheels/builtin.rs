//! The packages of the pack, which count as installed. An extra of such a package adds nothing.

use super::requirement::{Requirement, normalised};
use super::syntax::{Environment, Version};
use crate::{Manifest, PackError};

/// Newest C library for which the reference platform accepts wheels: the `N` of `manylinux_2_N`.
const MAX_GLIBC: u32 = 60;

/// The packages of the pack.
pub(super) struct BuiltinPackages<'a> {
    manifest: &'a Manifest,
    /// Major and minor version of Python.
    python: (&'a str, &'a str),
}

impl<'a> BuiltinPackages<'a> {
    /// Returns the packages of `manifest`.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadManifest`] if the Python version has fewer than two parts.
    pub(super) fn new(manifest: &'a Manifest) -> Result<Self, PackError> {
        let mut numbers = manifest.python.split('.');
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => Ok(Self {
                manifest,
                python: (major, minor),
            }),
            _ => Err(PackError::BadManifest {
                pack: manifest.name.clone(),
                problem: format!("`{}` is not a Python version", manifest.python),
            }),
        }
    }

    /// Returns the Python version as an argument of pip, such as `3.15`.
    pub(super) fn python(&self) -> String {
        format!("{}.{}", self.python.0, self.python.1)
    }

    /// Returns the reference platforms, best first, as a value of `PIP_PLATFORM`.
    pub(super) fn platforms() -> String {
        let mut all: Vec<_> = (5..=MAX_GLIBC).rev().map(platform).collect();
        all.extend(["manylinux2014_x86_64".into(), "linux_x86_64".into()]);
        all.join(" ")
    }

    /// Returns the version of the package `name` in the pack.
    pub(super) fn version(&self, name: &str) -> Option<&'a str> {
        let mut packages = self.manifest.packages.python.iter();
        packages.find_map(|(own, version)| {
            let same = normalised(own).is_ok_and(|own| own == name);
            same.then_some(version.as_str())
        })
    }

    /// Returns the version of the package `name` in the pack.
    pub(super) fn parsed_version(&self, name: &str) -> Option<Version> {
        Version::parse(self.version(name)?)
    }

    /// Returns the environment of the guest.
    pub(super) fn environment(&self) -> Environment {
        Environment::new(&self.manifest.python)
    }

    /// Returns true if the pack has the package and fulfils `requirement`.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BuiltInPackage`] if the pack has it in a version that does not match.
    pub(super) fn fulfils(&self, requirement: &Requirement) -> Result<bool, PackError> {
        let Some(version) = self.version(requirement.name()) else {
            return Ok(false);
        };
        let versions = requirement.specifiers()?;
        if Version::parse(version).is_some_and(|own| versions.contains(&own)) {
            return Ok(true);
        }
        Err(PackError::BuiltInPackage {
            name: requirement.name().to_owned(),
            version: version.to_owned(),
            wanted: requirement.to_string(),
        })
    }

    /// Returns true if the package `name` needs compiled code according to the manifest. A newer version may not.
    pub(super) fn is_known_compiled(&self, name: &str) -> bool {
        self.manifest.instead.contains_key(name)
    }

    /// Returns the error for a package that needs compiled code. `chain` is the packages that need it, from a requested
    /// one down to itself.
    pub(super) fn needs_compiled_code(&self, chain: &[String]) -> PackError {
        PackError::NeedsCompiledCode {
            name: chain.last().cloned().unwrap_or_default(),
            required_by: required_by(chain),
            instead: self.instead(chain),
        }
    }

    /// Returns the replacement for the requested package at the start of `chain`, or else for the last one or the
    /// nearest that needs it.
    pub(super) fn instead(&self, chain: &[String]) -> Option<String> {
        let names = chain.first().into_iter().chain(chain.iter().rev());
        let mut found = names.filter_map(|name| self.manifest.instead.get(name));
        found.next().cloned()
    }
}

/// Returns the requested package that needs the last package of `chain`, if that was not requested itself.
pub(super) fn required_by(chain: &[String]) -> Option<String> {
    chain.first().filter(|_| chain.len() > 1).cloned()
}

fn platform(libc: u32) -> String {
    format!("manylinux_2_{libc}_x86_64")
}
