//! Resolution and download of packages with pip.
//!
//! If pip is restricted to wheels for any platform, it selects older versions until it finds one that was still pure,
//! possibly years old, and reports success. So pip first resolves for a reference platform: CPython of the pack's
//! version on Linux. This needs metadata only, if the index serves it. A resolved package without a wheel for any
//! platform then needs compiled code. If a version has no compiled wheel either, pip also selects an older one. So the
//! newest versions of all requirements without a version are resolved once more. If they have no wheel, this is an
//! error.
//!
//! pip evaluates environment markers for the Python that runs it, on the host: `--python-version` and `--platform`
//! select wheels only. So dependencies for `sys_platform == "win32"` are included on Windows, and dependencies for
//! `python_version >= "3.13"` are missing if an older Python runs pip. The user can request them by name.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use codeact_base::private::create_dir;

use super::Requirement;
use super::builtin::BuiltinPackages;
use super::diagnosis::{download_error, resolution_error};
use super::limits::MAX_BYTES;
use super::pip_output::{PipReport, ResolvedPackage, is_conflict, listed_versions};
use super::requested::RequestedPackages;
use super::requirement::same_version;
use super::wheel::parse_file_name;
use crate::client::ClientsError;
use crate::pip::{Client, ClientError, ClientRun};
use crate::{Clients, PackError};

// Names in the working folder of a client.
const STUBS: &str = "stubs";
const CONSTRAINTS: &str = "builtin.txt";
const REPORT: &str = "report.json";
const WHEELS: &str = "wheels";

/// Resolves and downloads `requested`. Returns the paths of the wheels, which are below `staging` and not checked.
/// `progress` is called from time to time with the number of bytes in the current client's folder.
pub(super) fn fetch(
    requested: &RequestedPackages<'_>,
    clients: &Clients,
    staging: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<PathBuf>, PackError> {
    let mut attempt = 0;
    let result = clients.try_each(|client| {
        attempt += 1;
        let folder = staging.join(format!("try-{attempt}"));
        create_dir(&folder).map_err(PackError::write(&folder, MAX_BYTES))?;
        let (stubs, constraints) = (folder.join(STUBS), folder.join(CONSTRAINTS));
        requested.builtin.write(&stubs, &constraints)?;
        let mut resolver = ClientResolver {
            requested,
            client,
            folder: &folder,
            progress: &mut *progress,
        };
        let resolved = resolver.resolve()?;
        resolver.download(&resolved)
    });
    let wanted = requested.to_string();
    result.map_err(|error| match error {
        ClientsError::Final(error) => *error,
        ClientsError::NotFound { looked_for } => {
            PackError::NoClientForPackages { wanted, looked_for }
        }
        ClientsError::Failed(failures) => PackError::PackagesNotFetched { wanted, failures },
    })
}

/// A resolution with one client, in a folder of its own.
struct ClientResolver<'a> {
    requested: &'a RequestedPackages<'a>,
    client: &'a Client<'a>,
    folder: &'a Path,
    progress: &'a mut dyn FnMut(u64),
}

impl ClientResolver<'_> {
    /// Returns the packages to download, without those of the pack.
    fn resolve(&mut self) -> Result<Vec<ResolvedPackage>, ClientError> {
        self.probe_compiled()?;
        let requirements = self.requested.requirements;
        let mut resolved = match self.resolve_for_reference(requirements) {
            Ok(resolved) => resolved,
            Err(error) => return Err(self.resolution_error(error)),
        };
        if let Some(newest) = self.pinned_to_newest(&resolved)? {
            match self.resolve_for_reference(&newest) {
                Ok(newest) => resolved = newest,
                // The newest version conflicts with the pack, so the older one is correct.
                Err(ClientError::Failed(run)) if is_conflict(&run.output) => {}
                Err(error) => return Err(self.resolution_error(error)),
            }
        }
        resolved.retain(|p| self.requested.builtin.version(&p.name).is_none());
        Ok(resolved)
    }

    /// Downloads packages that are known to need compiled code as wheels for any platform. Without this test, the
    /// resolution could download half a gigabyte before it finds that there is no such wheel.
    fn probe_compiled(&mut self) -> Result<(), ClientError> {
        let requirements = self.requested.requirements.iter();
        let known: Vec<_> = requirements
            .filter(|r| self.requested.builtin.is_known_compiled(r.name()))
            .collect();
        for requirement in known {
            let arguments = self.download_arguments("probe", [requirement.to_string()]);
            let run = client_run(self.folder, arguments, None);
            match self.client.pip(&run, self.progress) {
                Err(error @ ClientError::Failed(_)) => return Err(self.resolution_error(error)),
                result => result.map(drop)?,
            }
        }
        Ok(())
    }

    fn resolution_error(&mut self, error: ClientError) -> ClientError {
        let requested = self.requested;
        resolution_error(requested, error, |name| self.versions(name))
    }

    /// Resolves `requirements` for the reference platform.
    fn resolve_for_reference(
        &mut self,
        requirements: &[Requirement],
    ) -> Result<Vec<ResolvedPackage>, ClientError> {
        let python = self.requested.builtin.python();
        let fixed = [
            "install",
            "--dry-run",
            "--ignore-installed",
            // This check uses the version of the Python that runs pip. The download checks the pack's version.
            "--ignore-requires-python",
            "--only-binary",
            ":all:",
            "--implementation",
            "cp",
            "--python-version",
            &python,
            "--target",
            "target",
            "--find-links",
            STUBS,
            "--constraint",
            CONSTRAINTS,
            "--report",
            REPORT,
            "--",
        ];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
        arguments.extend(requirements.iter().map(ToString::to_string));
        let platforms = BuiltinPackages::platforms();
        let run = client_run(self.folder, arguments, Some(&platforms));
        let report = self.folder.join(REPORT);
        // If pip writes no report, the one of an earlier run must not be read.
        let _ = fs::remove_file(&report);
        let output = self.client.pip(&run, self.progress)?;
        let read =
            fs::read(&report).map_err(|e| format!("it succeeded, but its report is missing: {e}"));
        read.and_then(|text| PipReport::parse(&text))
            .map_err(|problem| self.client.failure(&run, problem, output).into())
    }

    /// Returns the requirements with those that have no version pinned to the newest one, or `None` if these versions
    /// were resolved already.
    fn pinned_to_newest(
        &mut self,
        resolved: &[ResolvedPackage],
    ) -> Result<Option<Vec<Requirement>>, ClientError> {
        let mut differs = false;
        let mut pinned = self.requested.requirements.to_vec();
        for requirement in pinned.iter_mut().filter(|r| r.is_bare()) {
            // If pip cannot list versions, the resolved version is used.
            let versions = self.versions(requirement.name())?;
            let package = resolved.iter().find(|p| p.name == requirement.name());
            if let Some((newest, package)) = versions.first().zip(package) {
                differs |= !same_version(&package.version, newest);
                *requirement = requirement.pinned(newest);
            }
        }
        Ok(differs.then_some(pinned))
    }

    /// Returns all versions of `name` on the index, newest first. Empty if there are none or if pip fails.
    fn versions(&mut self, name: &str) -> Result<Vec<String>, ClientError> {
        let arguments = ["index", "versions", "--ignore-requires-python", "--", name];
        let run = client_run(self.folder, arguments.map(str::to_owned).into(), None);
        match self.client.pip(&run, self.progress) {
            Ok(output) => Ok(listed_versions(&output)),
            Err(ClientError::Failed(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Downloads the wheels of `resolved` and returns their paths.
    fn download(&mut self, resolved: &[ResolvedPackage]) -> Result<Vec<PathBuf>, ClientError> {
        if resolved.is_empty() {
            return Ok(Vec::new());
        }
        let pins = resolved
            .iter()
            .map(|p| format!("{}=={}", p.name, p.version));
        let arguments = self.download_arguments(WHEELS, pins);
        let run = client_run(self.folder, arguments, None);
        let output = match self.client.pip(&run, self.progress) {
            Ok(output) => output,
            Err(ClientError::Failed(run)) => {
                return Err(download_error(self.requested, run, resolved));
            }
            Err(error) => return Err(error),
        };
        let downloaded = list_folder(&self.folder.join(WHEELS))?;
        let mut wheels = Vec::new();
        for package in resolved {
            let wheel = downloaded.iter().find(|path| {
                parse_file_name(path).is_some_and(|(name, _, _)| name == package.name)
            });
            let Some(path) = wheel else {
                let problem = format!(
                    "it succeeded, but did not write a wheel of {}",
                    package.name
                );
                return Err(self.client.failure(&run, problem, output).into());
            };
            wheels.push(path.clone());
        }
        Ok(wheels)
    }

    /// Returns pip's arguments for a download of wheels for any platform to the folder `to`.
    fn download_arguments(
        &self,
        to: &str,
        requirements: impl IntoIterator<Item = String>,
    ) -> Vec<String> {
        let python = self.requested.builtin.python();
        let fixed = [
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--implementation",
            "py",
            "--abi",
            "none",
            "--platform",
            "any",
            "--python-version",
            &python,
            "--dest",
            to,
            "--",
        ];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
        arguments.extend(requirements);
        arguments
    }
}

fn client_run<'a>(
    folder: &'a Path,
    arguments: Vec<String>,
    platforms: Option<&'a str>,
) -> ClientRun<'a> {
    ClientRun {
        arguments: arguments.into_iter().map(OsString::from).collect(),
        folder,
        platforms,
        // A download can contain two copies of a wheel for a moment.
        max_bytes: if platforms.is_some() {
            MAX_BYTES
        } else {
            2 * MAX_BYTES
        },
        needed: MAX_BYTES,
    }
}

fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, PackError> {
    let entries = fs::read_dir(folder).map_err(PackError::io("list", folder))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: std::io::Result<Vec<_>> = paths.collect();
    paths.map_err(PackError::io("list", folder))
}
