//! What a pack is made of, pinned. The format is described in `wasm-python/README.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::PackError;
use super::marker::MARKER;

/// The version of the contract between host and pack that this program speaks.
pub const SUPPORTED_ABI: u32 = 1;

/// The version of the manifest's own format.
const FORMAT: u32 = 1;

/// No pinned size may be larger, in bytes.
const LARGEST: u64 = 1 << 30;

const BUILTIN: &[(&str, &str)] = &[(
    "science",
    include_str!("../../wasm-python/packs/science.toml"),
)];

/// A pack's description and pins. Sizes are in bytes, hashes are SHA-256 in lowercase
/// hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the manifest format: 1.
    pub format: u32,
    /// The pack's name: lowercase letters, digits and `_`.
    pub name: String,
    /// The pack's version.
    pub version: String,
    /// One line for people.
    pub description: String,
    /// The contract between host and pack: [`SUPPORTED_ABI`].
    pub abi: u32,
    /// The version of CPython.
    pub python: String,
    /// What is taken from the wheel.
    pub files: Vec<PinnedFile>,
    /// The wheel.
    pub distribution: Distribution,
    /// Where the guest sees the pack.
    pub guest: Guest,
    /// Archives within archives that are unpacked to folders.
    #[serde(default)]
    pub unpack: Vec<Unpack>,
    /// How the base image is made.
    pub image: Image,
    /// What is inside, by name with version.
    pub packages: Packages,
    /// What to use instead of packages that need compiled code, by normalised name.
    #[serde(default)]
    pub instead: BTreeMap<String, String>,
}

/// A wheel, as the user's package client knows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// The project's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The wheel's file name.
    pub wheel: String,
    /// The wheel's size.
    pub size: u64,
    /// The wheel's hash.
    pub sha256: String,
}

/// One file of the wheel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedFile {
    /// What it is for.
    pub role: Role,
    /// Its size.
    pub size: u64,
    /// Its hash.
    pub sha256: String,
    /// Where it lies in the wheel.
    pub path: String,
    /// Where it lies in the pack's folder; `/` between parts.
    pub to: String,
}

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The WebAssembly module; exactly one.
    Module,
    /// The archive of the standard library and packages; exactly one.
    Stdlib,
    /// How the pack was built.
    Record,
    /// A licence text.
    License,
}

/// Where the guest sees the pack's read-only parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
    /// The standard library archive; an absolute guest path.
    pub stdlib: String,
}

/// An archive inside one of the pack's archives that the guest needs as a folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unpack {
    /// The outer archive: the `to` of one of the files.
    pub archive: String,
    /// The inner archive's name in it.
    pub member: String,
    /// The inner archive's size.
    pub size: u64,
    /// The inner archive's hash.
    pub sha256: String,
    /// The folder in the pack's folder that it is unpacked to.
    pub to: String,
    /// Where the guest sees that folder; an absolute guest path.
    pub guest: String,
    /// How many files come out of it.
    pub unpacked_files: u64,
    /// Their sizes' sum.
    pub unpacked_size: u64,
}

/// How the base image is made.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Modules imported before the image is taken, in this order.
    pub warm: Vec<String>,
}

/// What is inside a pack, by name with version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packages {
    /// What Python code can import, by the project's name.
    pub python: BTreeMap<String, String>,
    /// Libraries linked into the module.
    #[serde(default)]
    pub native: BTreeMap<String, String>,
    /// What was used only to build.
    #[serde(default)]
    pub build: BTreeMap<String, String>,
}

/// The names of the packs this program knows, the default one first.
pub fn builtin_names() -> impl Iterator<Item = &'static str> {
    BUILTIN.iter().map(|(name, _)| *name)
}

impl Manifest {
    /// The built-in manifest of this name. See [`Manifest::known`] for an error to show.
    pub fn builtin(name: &str) -> Option<&'static Self> {
        static PARSED: OnceLock<Vec<Manifest>> = OnceLock::new();
        let parsed = PARSED.get_or_init(|| {
            BUILTIN
                .iter()
                .map(|(name, text)| {
                    // Compiled in, and parsed by a test: not something a user can influence.
                    Self::parse(text).unwrap_or_else(|e| panic!("built-in pack {name}: {e}"))
                })
                .collect()
        });
        parsed.iter().find(|manifest| manifest.name == name)
    }

    /// The built-in manifest of this name.
    ///
    /// # Errors
    ///
    /// [`PackError::UnknownPack`], which lists the known ones.
    pub fn known(name: &str) -> Result<&'static Self, PackError> {
        Self::builtin(name).ok_or_else(|| PackError::UnknownPack {
            name: name.to_owned(),
            known: builtin_names().map(str::to_owned).collect(),
        })
    }

    /// Reads a manifest from TOML.
    ///
    /// # Errors
    ///
    /// [`PackError::BadManifest`] if it is no valid TOML, has a field missing, unknown or
    /// malformed, or contradicts itself.
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

    /// The pack's identity: the SHA-256, in hexadecimal, of everything that decides which bytes
    /// it consists of. Descriptions, package lists, what to use instead and the warm list are no
    /// part of it.
    pub fn hash(&self) -> String {
        let mut lines: Vec<String> = self
            .files
            .iter()
            .map(|f| format!("file {} {} {}\n", f.sha256, f.size, f.to))
            .chain(self.unpack.iter().map(|u| {
                let Unpack {
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

    /// `NAME-VERSION-HASH8`: the name of the folders that belong to this pack.
    pub(super) fn folder(&self) -> String {
        let hash = self.hash();
        format!("{}-{}-{}", self.name, self.version, &hash[..8])
    }

    /// The file that plays `role`; validation made sure of module and stdlib.
    pub(super) fn file(&self, role: Role) -> Option<&PinnedFile> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Bytes that lie on disk once the pack is installed.
    pub fn installed_size(&self) -> u64 {
        let files = self.files.iter().map(|f| f.size);
        files
            .chain(self.unpack.iter().map(|u| u.unpacked_size))
            .sum()
    }

    fn problem(&self) -> Option<String> {
        let text = |what: &str, value: &str, extra: &str| {
            let ok = |c: char| c.is_ascii_alphanumeric() || extra.contains(c);
            (value.is_empty() || value.len() > 128 || !value.chars().all(ok))
                .then(|| format!("{what} `{value}` has forbidden characters or length"))
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
            return Some(format!("name `{}` is not of a-z, 0-9 and _", self.name));
        }
        // A name that begins with `-` would be an option to the package client.
        if d.name.starts_with('-') || d.wheel.starts_with(['-', '.']) || !d.wheel.ends_with(".whl")
        {
            return Some(format!("`{}` or `{}` cannot be asked for", d.name, d.wheel));
        }
        text("version", &self.version, ".+_")
            .or_else(|| text("python", &self.python, "."))
            .or_else(|| text("distribution.name", &d.name, "-_."))
            .or_else(|| text("distribution.version", &d.version, ".+!_"))
            .or_else(|| text("distribution.wheel", &d.wheel, "-_.+"))
            .or_else(|| pin_problem("the wheel", d.size, &d.sha256))
            .or_else(|| self.files_problem())
            .or_else(|| self.unpack_problem())
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
        for (role, name) in [(Role::Module, "module"), (Role::Stdlib, "stdlib")] {
            if self.files.iter().filter(|f| f.role == role).count() != 1 {
                return Some(format!("there must be one file with role {name}"));
            }
        }
        // Compared without case, as on some file systems; a folder counts with its parents.
        let mut taken = BTreeSet::from([MARKER.to_owned()]);
        let targets = self.files.iter().map(|f| &f.to);
        for to in targets.chain(self.unpack.iter().map(|u| &u.to)) {
            if !is_plain_path(to) {
                return Some(format!("`{to}` is no plain relative path"));
            }
            if !taken.insert(to.to_ascii_lowercase()) {
                return Some(format!("`{to}` is written twice"));
            }
        }
        for to in &taken {
            let mut parents = to.match_indices('/').map(|(i, _)| &to[..i]);
            if let Some(parent) = parents.find(|p| taken.contains(*p)) {
                return Some(format!("`{to}` lies in `{parent}`, which is written too"));
            }
        }
        self.files
            .iter()
            .find_map(|f| pin_problem(&f.to, f.size, &f.sha256))
    }

    fn unpack_problem(&self) -> Option<String> {
        self.unpack.iter().find_map(|u| {
            if !self.files.iter().any(|f| f.to == u.archive) {
                return Some(format!("`{}` is none of the files", u.archive));
            }
            if u.unpacked_size > LARGEST || u.unpacked_files > 100_000 {
                return Some(format!("`{}` unpacks to too much", u.member));
            }
            pin_problem(&u.member, u.size, &u.sha256).or_else(|| guest_problem(&u.guest))
        })
    }
}

fn pin_problem(what: &str, size: u64, sha256: &str) -> Option<String> {
    let digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    if sha256.len() != 64 || !sha256.chars().all(digit) {
        return Some(format!("the SHA-256 of {what} is not 64 lowercase digits"));
    }
    (size == 0 || size > LARGEST).then(|| format!("the size of {what} is not 1 to {LARGEST}"))
}

fn guest_problem(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/').unwrap_or("");
    (!is_plain_path(inner)).then(|| format!("`{path}` is no plain absolute guest path"))
}

/// Whether `path` is made of plain parts with `/` between them, safe on every system.
pub(super) fn is_plain_path(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+ ".contains(c);
    path.split('/').all(|part| {
        !part.is_empty()
            && !part.starts_with([' ', '.'])
            && !part.ends_with([' ', '.'])
            && part.chars().all(plain)
    })
}

/// `bytes` in lowercase hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
