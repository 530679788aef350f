//! The packages of the pack, presented to pip as wheels and constraints.
//!
//! pip has no option for a list of installed packages. So each package of the pack becomes a wheel with only a name and
//! a version, in a folder that pip searches, and a constraint, so that pip selects no other version. The file names of
//! the wheels have the best of the requested tags and the highest build number, so that pip prefers them to wheels of
//! the same version on the index. An extra of such a package adds nothing: pip prints a warning.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use codeact_base::private::create_dir;

use super::limits::MAX_BYTES;
use super::requirement::{Requirement, normalised, same_version};
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

    /// Returns true if the pack fulfils `requirement`. Returns false if only pip can decide it.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BuiltInPackage`] if `requirement` is pinned to a version other than the pack's.
    pub(super) fn fulfils(&self, requirement: &Requirement) -> Result<bool, PackError> {
        let Some(version) = self.version(requirement.name()) else {
            return Ok(false);
        };
        match requirement.pin() {
            Some(pin) if !same_version(pin, version) => Err(PackError::BuiltInPackage {
                name: requirement.name().to_owned(),
                version: version.to_owned(),
                wanted: requirement.to_string(),
            }),
            pin => Ok(pin.is_some() || requirement.is_bare()),
        }
    }

    /// Returns true if the package `name` needs compiled code according to the manifest. A newer version may not.
    pub(super) fn is_known_compiled(&self, name: &str) -> bool {
        self.manifest.instead.contains_key(name)
    }

    /// Returns the error for the package `name`, a dependency of `parent`.
    pub(super) fn needs_compiled_code(&self, name: &str, parent: Option<&str>) -> PackError {
        let instead = &self.manifest.instead;
        let advice = instead.get(name).or_else(|| instead.get(parent?));
        PackError::NeedsCompiledCode {
            name: name.to_owned(),
            required_by: parent.map(str::to_owned),
            instead: advice.cloned(),
        }
    }

    /// Writes the wheels to the new folder `folder` and the constraints to the file `constraints_file`.
    pub(super) fn write(&self, folder: &Path, constraints_file: &Path) -> Result<(), PackError> {
        create_dir(folder).map_err(PackError::write(folder, MAX_BYTES))?;
        let mut constraints = String::new();
        for (name, version) in &self.manifest.packages.python {
            constraints.push_str(&format!("{name}=={version}\n"));
            let file_name = name.replace(['-', '.'], "_");
            let (major, minor) = self.python;
            let path = folder.join(format!(
                "{file_name}-{version}-999999999-cp{major}{minor}.py3-cp{major}{minor}.none-{}.any.whl",
                platform(MAX_GLIBC)
            ));
            write_stub(
                &path,
                name,
                version,
                &format!("{file_name}-{version}.dist-info"),
            )
            .map_err(PackError::write(&path, MAX_BYTES))?;
        }
        fs::write(constraints_file, constraints)
            .map_err(PackError::write(constraints_file, MAX_BYTES))
    }
}

fn platform(libc: u32) -> String {
    format!("manylinux_2_{libc}_x86_64")
}

/// Writes a wheel with metadata only.
fn write_stub(path: &Path, name: &str, version: &str, info: &str) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(File::create_new(path)?);
    let members = [
        (
            "METADATA",
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        ),
        (
            "WHEEL",
            "Wheel-Version: 1.0\nGenerator: codeact\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ),
        ("RECORD", String::new()),
    ];
    for (member, text) in members {
        zip.start_file(format!("{info}/{member}"), SimpleFileOptions::default())?;
        zip.write_all(text.as_bytes())?;
    }
    zip.finish().map(drop).map_err(Into::into)
}
