//! The package index, as the user's package client sees it. This file is a security boundary.
//!
//! Wheels are downloaded without their dependencies, and only those for every platform: then pip selects a version that
//! has one, fetches no address that a package names, and builds nothing. All arguments after `--` are requirements
//! that were parsed and written again. pip lists the versions of a package in its error for a requirement that none
//! can match.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use codeact_base::private::create_dir;

use super::builtin::{BuiltinPackages, required_by};
use super::limits::{MAX_BYTES, MAX_REQUESTS, MAX_VERSIONS};
use super::metadata::Metadata;
use super::pip_output::{NoMatch, is_about_a_wheel, listed_versions, no_match};
use super::resolver::{Fetched, Index, Unmet, Wanted};
use super::syntax::Version;
use super::wheel::parse_file_name;
use crate::PackError;
use crate::pip::{Client, ClientError, ClientOutput, ClientRun};

/// Maximum length of a requirement for pip, in bytes.
const MAX_REQUIREMENT_BYTES: usize = 8192;
/// Matches no version.
const NO_VERSION: &str = "<0.dev0";
/// An older Python, for packages that have no compiled wheels for the pack's Python yet.
const OLDER_PYTHON: &str = "3.12";

/// Receiver of the progress of a resolution.
pub(super) trait Reporter {
    /// The current client's folder has this many bytes.
    fn bytes(&mut self, bytes: u64);
    /// This is being done.
    fn status(&mut self, text: String);
}

/// The index of one client.
pub(super) struct ClientIndex<'a> {
    pub(super) builtin: &'a BuiltinPackages<'a>,
    pub(super) client: &'a Client<'a>,
    /// New private folder for the downloads.
    pub(super) folder: &'a Path,
    pub(super) reporter: &'a mut dyn Reporter,
    /// The requirements, for errors.
    pub(super) wanted: String,
    pub(super) deadline: Instant,
    /// Requests so far, most of them runs of the client.
    pub(super) requests: usize,
    /// What was reported last.
    pub(super) last_status: String,
    /// Downloaded wheels by name and version.
    pub(super) wheels: BTreeMap<(String, String), (Metadata, PathBuf)>,
}

impl<'a> ClientIndex<'a> {
    /// Returns the downloaded wheel of a package.
    pub(super) fn wheel(&self, package: &Metadata) -> Option<PathBuf> {
        let key = (package.name.clone(), package.version.clone());
        self.wheels.get(&key).map(|(_, path)| path.clone())
    }

    /// Runs pip, within the limits of the resolution.
    fn pip(
        &mut self,
        arguments: Vec<String>,
        platforms: Option<&str>,
    ) -> Result<ClientOutput, ClientError> {
        self.count()?;
        let run = self.run(arguments, platforms);
        let result = self
            .client
            .pip(&run, &mut |bytes| self.reporter.bytes(bytes));
        match result {
            Err(ClientError::Failed(_)) if Instant::now() >= self.deadline => {
                Err(self.gave_up().into())
            }
            result => result,
        }
    }

    /// Counts a request, also one that needs no run: dependencies can lead in circles.
    fn count(&mut self) -> Result<(), PackError> {
        self.requests += 1;
        match self.requests <= MAX_REQUESTS {
            true => Ok(()),
            false => Err(self.gave_up()),
        }
    }

    fn run<'r>(&self, arguments: Vec<String>, platforms: Option<&'r str>) -> ClientRun<'r>
    where
        'a: 'r,
    {
        ClientRun {
            arguments: arguments.into_iter().map(OsString::from).collect(),
            folder: self.folder,
            platforms,
            // A download can contain two copies of a wheel for a moment.
            max_bytes: 2 * MAX_BYTES,
            needed: MAX_BYTES,
            deadline: Some(self.deadline),
        }
    }

    fn gave_up(&self) -> PackError {
        PackError::ResolutionGaveUp {
            wanted: self.wanted.clone(),
            requests: self.requests,
            last: self.last_status.clone(),
        }
    }

    /// Returns the versions of `name` that have a wheel for the given Python and platforms, newest first.
    fn listed(
        &mut self,
        name: &str,
        arguments: Vec<String>,
        platforms: Option<&str>,
    ) -> Result<Vec<Version>, ClientError> {
        match self.pip(arguments, platforms) {
            // pip does not succeed without a version.
            Ok(_) => Ok(Vec::new()),
            Err(ClientError::Failed(run)) => match no_match(&run.output) {
                Some(found) if found.name == name => Ok(parsed(&found.versions)),
                _ => Err(ClientError::Failed(run)),
            },
            Err(error) => Err(error),
        }
    }

    /// Returns the versions of `name` that have a wheel for Linux.
    fn compiled_versions(&mut self, name: &str, python: &str) -> Result<Vec<Version>, ClientError> {
        let platforms = BuiltinPackages::platforms();
        let fixed = [
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--python-version",
            python,
        ];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
        arguments.extend(["--dest", "probe", "--"].map(str::to_owned));
        arguments.push(format!("{name}{NO_VERSION}"));
        self.listed(name, arguments, Some(&platforms))
    }

    /// Returns the versions of `name` in any form, newest first. Empty if there are none or if pip cannot list them.
    pub(super) fn all_versions(&mut self, name: &str) -> Result<Vec<Version>, ClientError> {
        let arguments = ["index", "versions", "--ignore-requires-python", "--", name];
        match self.pip(arguments.map(str::to_owned).into(), None) {
            Ok(output) => Ok(parsed(&listed_versions(&output))),
            Err(ClientError::Failed(_)) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Returns pip's arguments for a download of wheels for every platform to the folder `to`.
    fn download_arguments(
        &self,
        to: &str,
        requirements: impl IntoIterator<Item = String>,
    ) -> Vec<String> {
        let python = self.builtin.python();
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

    /// Fetches the packages one by one after the client failed because of a wheel, or returns the version that it fails for.
    fn without_unreadable(
        &mut self,
        wanted: &[Wanted],
        error: ClientError,
    ) -> Result<Fetched, ClientError> {
        if let [one] = wanted {
            let mut fitting = self.versions(&one.name)?;
            fitting.retain(|version| one.versions.contains(version));
            let newest = fitting.iter().find(|version| !version.is_prerelease());
            return match newest.or(fitting.first()) {
                Some(version) => Ok(Fetched::Unusable {
                    name: one.name.clone(),
                    version: version.clone(),
                    error,
                }),
                None => Err(error),
            };
        }
        let mut all = Vec::new();
        for one in wanted {
            match self.fetch(std::slice::from_ref(one))? {
                Fetched::All(found) => all.extend(found),
                other => return Ok(other),
            }
        }
        Ok(Fetched::All(all))
    }

    /// Reads the downloaded wheel of `wanted` in the folder `to`.
    fn downloaded(&self, wanted: &Wanted, to: &Path) -> Result<Option<PathBuf>, PackError> {
        let paths = list_folder(to)?;
        let own = |path: &&PathBuf| {
            let fits =
                |text: &str| Version::parse(text).is_some_and(|v| wanted.versions.contains(&v));
            parse_file_name(path)
                .is_some_and(|(name, version, _)| name == wanted.name && fits(&version))
        };
        Ok(paths.iter().find(own).cloned())
    }
}

impl Index for ClientIndex<'_> {
    fn fetch(&mut self, wanted: &[Wanted]) -> Result<Fetched, ClientError> {
        if let [one] = wanted {
            let exact = |(metadata, _): &&(Metadata, PathBuf)| {
                metadata.name == one.name
                    && one.versions.to_string() == format!("=={}", metadata.version)
            };
            let known = self.wheels.values().find(exact);
            if let Some(metadata) = known.map(|(metadata, _)| metadata.clone()) {
                self.count()?;
                return Ok(Fetched::All(vec![metadata]));
            }
        }
        let requirements: Vec<String> = wanted
            .iter()
            .map(|wanted| format!("{}{}", wanted.name, wanted.versions))
            .collect();
        if let Some(long) = requirements
            .iter()
            .find(|r| r.len() > MAX_REQUIREMENT_BYTES)
        {
            return Err(PackError::BadRequirement {
                text: long.chars().take(80).collect(),
                problem: format!("it is longer than {MAX_REQUIREMENT_BYTES} bytes"),
            }
            .into());
        }
        self.status(format!("fetching {}", requirements.join(" ")));
        let to = format!("wheels-{}", self.requests);
        let folder = self.folder.join(&to);
        create_dir(&folder).map_err(PackError::write(&folder, MAX_BYTES))?;
        let arguments = self.download_arguments(&to, requirements);
        let output = match self.pip(arguments.clone(), None) {
            Ok(output) => output,
            Err(ClientError::Failed(run)) => {
                return match no_match(&run.output) {
                    Some(NoMatch { name, versions }) if wanted.iter().any(|w| w.name == name) => {
                        let versions = parsed(&versions);
                        Ok(Fetched::NoMatch { name, versions })
                    }
                    _ if !is_about_a_wheel(&run.output) => Err(ClientError::Failed(run)),
                    _ => self.without_unreadable(wanted, ClientError::Failed(run)),
                };
            }
            Err(error) => return Err(error),
        };
        let mut all = Vec::new();
        for wanted in wanted {
            let Some(path) = self.downloaded(wanted, &folder)? else {
                let problem = format!(
                    "it succeeded, but did not write a wheel of {}{}",
                    wanted.name, wanted.versions
                );
                let run = self.run(arguments, None);
                return Err(self.client.failure(&run, problem, output).into());
            };
            let metadata = match Metadata::read(&path) {
                Ok(metadata) => metadata,
                Err(error @ PackError::BadWheel { .. }) => {
                    let version = parse_file_name(&path).and_then(|(_, v, _)| Version::parse(&v));
                    let error = ClientError::from(error);
                    return match version {
                        Some(version) => Ok(Fetched::Unusable {
                            name: wanted.name.clone(),
                            version,
                            error,
                        }),
                        None => Err(error),
                    };
                }
                Err(error) => return Err(error.into()),
            };
            let key = (metadata.name.clone(), metadata.version.clone());
            self.wheels.insert(key, (metadata.clone(), path));
            all.push(metadata);
        }
        Ok(Fetched::All(all))
    }

    fn versions(&mut self, name: &str) -> Result<Vec<Version>, ClientError> {
        let arguments = self.download_arguments("probe", [format!("{name}{NO_VERSION}")]);
        self.listed(name, arguments, None)
    }

    fn explain(&mut self, unmet: &Unmet) -> Result<PackError, ClientError> {
        let Unmet {
            name,
            versions,
            chain,
            pure,
        } = unmet;
        let fits = |all: &[Version]| all.iter().any(|version| versions.contains(version));
        if pure.is_empty() && self.builtin.is_known_compiled(name) {
            return Ok(self.builtin.needs_compiled_code(chain));
        }
        self.status(format!("looking for other files of {name}"));
        let mut arguments = self.download_arguments("probe", [format!("{name}{NO_VERSION}")]);
        arguments.insert(1, "--ignore-requires-python".to_owned());
        if fits(&self.listed(name, arguments, None)?) {
            return Ok(PackError::OtherPython {
                requirement: format!("{name}{versions}"),
                required_by: required_by(chain),
                python: self.builtin.python(),
            });
        }
        let python = self.builtin.python();
        for python in [&python, OLDER_PYTHON] {
            if fits(&self.compiled_versions(name, python)?) {
                return Ok(self.builtin.needs_compiled_code(chain));
            }
        }
        let all = self.all_versions(name)?;
        if fits(&all) {
            return Ok(PackError::SourceOnly {
                name: name.clone(),
                required_by: required_by(chain),
                instead: self.builtin.instead(chain),
            });
        }
        let newest = all.first().or(pure.first()).map(Version::to_string);
        Ok(PackError::NoSuchPackage {
            requirement: match newest {
                Some(_) => format!("{name}{versions}"),
                None => name.clone(),
            },
            newest,
            required_by: required_by(chain),
        })
    }

    fn status(&mut self, text: String) {
        self.last_status.clone_from(&text);
        self.reporter.status(text);
    }
}

fn parsed(versions: &[String]) -> Vec<Version> {
    let versions = versions.iter().filter_map(|text| Version::parse(text));
    let mut versions: Vec<_> = versions.collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.truncate(MAX_VERSIONS);
    versions
}

fn list_folder(folder: &Path) -> Result<Vec<PathBuf>, PackError> {
    let entries = fs::read_dir(folder).map_err(PackError::io("list", folder))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: std::io::Result<Vec<_>> = paths.collect();
    paths.map_err(PackError::io("list", folder))
}

/// Returns the newest final release of `all`, if it is newer than `version`.
pub(super) fn newer_release(version: &Version, all: &[Version]) -> Option<Version> {
    let newest = all.iter().find(|v| !v.is_prerelease())?;
    (version < newest).then(|| newest.clone())
}
