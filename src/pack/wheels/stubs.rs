//! The pack's own packages, shown to pip as what there is.
//!
//! pip cannot be told of packages that it does not find installed beside itself. So each of the
//! pack's becomes a wheel with nothing but a name and a version, in a folder that pip searches,
//! and a constraint, so that no other version comes into question. Their file names make pip prefer
//! them to the index's wheels of the same version: the best of the tags that are asked for, and the
//! highest build number. An extra of a pack's package brings nothing: pip warns and goes on.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::{Manifest, PackError, private};
use super::requirement::{normalised, same_version};
use super::{LARGEST, Requirement};

/// The newest C library that a wheel of the reference platform may ask for, as in `manylinux_2_N`.
const NEWEST: u32 = 60;

/// What the pack has.
pub(super) struct Builtin<'a> {
    manifest: &'a Manifest,
    /// The first two numbers of the Python version.
    python: (&'a str, &'a str),
}

impl<'a> Builtin<'a> {
    /// # Errors
    ///
    /// [`PackError::BadManifest`] if its Python version has no two numbers.
    pub(super) fn of(manifest: &'a Manifest) -> Result<Self, PackError> {
        let mut numbers = manifest.python.split('.');
        match (numbers.next(), numbers.next()) {
            (Some(major), Some(minor)) => Ok(Self {
                manifest,
                python: (major, minor),
            }),
            _ => Err(PackError::BadManifest {
                pack: manifest.name.clone(),
                problem: format!("`{}` is no Python version", manifest.python),
            }),
        }
    }

    /// The pack's Python version as pip takes it, such as `3.15`.
    pub(super) fn python(&self) -> String {
        format!("{}.{}", self.python.0, self.python.1)
    }

    /// The platforms of the reference, best first, in the form of a variable for pip.
    pub(super) fn platforms() -> String {
        let mut all: Vec<_> = (5..=NEWEST).rev().map(platform).collect();
        all.extend(["manylinux2014_x86_64".into(), "linux_x86_64".into()]);
        all.join(" ")
    }

    /// The version of the package `name`, if the pack has it.
    pub(super) fn version(&self, name: &str) -> Option<&'a str> {
        let mut packages = self.manifest.packages.python.iter();
        packages.find_map(|(own, version)| {
            let same = normalised(own).is_ok_and(|own| own == name);
            same.then_some(version.as_str())
        })
    }

    /// Whether the pack fulfils `requirement`, as far as that can be told without pip.
    ///
    /// # Errors
    ///
    /// [`PackError::BuiltInPackage`] if another version than the pack's is asked for.
    pub(super) fn has(&self, requirement: &Requirement) -> Result<bool, PackError> {
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

    /// Whether the package `name` is known to need compiled code. It may no longer do.
    pub(super) fn knows_compiled(&self, name: &str) -> bool {
        self.manifest.instead.contains_key(name)
    }

    /// The error for the package `name`, which `parent` asks for.
    pub(super) fn needs_compiled_code(&self, name: &str, parent: Option<&str>) -> PackError {
        let instead = &self.manifest.instead;
        let advice = instead.get(name).or_else(|| instead.get(parent?));
        PackError::NeedsCompiledCode {
            name: name.to_owned(),
            required_by: parent.map(str::to_owned),
            instead: advice.cloned(),
        }
    }

    /// Writes the wheels into the new folder `folder` and the constraints to the new file `list`.
    pub(super) fn write(&self, folder: &Path, list: &Path) -> Result<(), PackError> {
        private::create_dir(folder).map_err(PackError::write(folder, LARGEST))?;
        let mut constraints = String::new();
        for (name, version) in &self.manifest.packages.python {
            constraints.push_str(&format!("{name}=={version}\n"));
            let own = name.replace(['-', '.'], "_");
            let (major, minor) = self.python;
            let path = folder.join(format!(
                "{own}-{version}-999999999-cp{major}{minor}.py3-cp{major}{minor}.none-{}.any.whl",
                platform(NEWEST)
            ));
            stub(&path, name, version, &format!("{own}-{version}.dist-info"))
                .map_err(PackError::write(&path, LARGEST))?;
        }
        fs::write(list, constraints).map_err(PackError::write(list, LARGEST))
    }
}

fn platform(libc: u32) -> String {
    format!("manylinux_2_{libc}_x86_64")
}

fn stub(path: &Path, name: &str, version: &str, info: &str) -> std::io::Result<()> {
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
