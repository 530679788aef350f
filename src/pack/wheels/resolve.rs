//! Asking pip: what would be installed, then exactly that as wheels for any platform.
//!
//! Asked for wheels for any platform only, pip goes back to ever older versions until it finds one
//! that was still pure, years old, and calls that a success. So it is first asked what a CPython of
//! the pack's version on an ordinary Linux machine would get (the reference), which costs only
//! metadata where the index serves that; what has no wheel for any platform then needs compiled
//! code. Where there is no compiled wheel either, pip goes back as well: so the newest versions of
//! what was named without a version are asked for once more, and if they cannot be had for want of
//! a wheel, that is the answer.
//!
//! pip evaluates environment markers for the Python that runs it, on the host: `--python-version`
//! and `--platform` choose wheels only. So what is needed for `sys_platform == "win32"` comes along
//! on Windows, and what is needed for `python_version >= "3.13"` is missing if an older Python runs
//! pip; it can be named like any other package.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::client::Unserved;
use super::super::pip::{Attempt, Client, Job};
use super::super::{Clients, PackError, private};
use super::answers::{Chosen, Report, is_conflict, versions};
use super::requirement::same_version;
use super::stubs::Builtin;
use super::wheel::file_name;
use super::{LARGEST, Requirement, shown};

const STUBS: &str = "stubs";
const BUILTIN: &str = "builtin.txt";
const REPORT: &str = "report.json";
const WHEELS: &str = "wheels";

/// What is asked for.
pub(super) struct Resolver<'a> {
    pub(super) builtin: &'a Builtin<'a>,
    /// What the pack does not have; not empty.
    pub(super) missing: &'a [Requirement],
}

impl Resolver<'_> {
    /// The fetched wheels, in a folder below `staging`. They are not checked. `progress` is told
    /// the count of bytes there from time to time.
    pub(super) fn fetch(
        &self,
        clients: &Clients,
        staging: &Path,
        progress: &mut dyn FnMut(u64),
    ) -> Result<Vec<PathBuf>, PackError> {
        let mut tries = 0;
        let fetched = clients.first_to(|client| {
            tries += 1;
            let folder = staging.join(format!("try-{tries}"));
            private::create_dir(&folder).map_err(PackError::write(&folder, LARGEST))?;
            self.builtin
                .write(&folder.join(STUBS), &folder.join(BUILTIN))?;
            let mut asked = Asked {
                resolver: self,
                client,
                folder: &folder,
                progress: &mut *progress,
            };
            let chosen = asked.choose()?;
            asked.download(&chosen)
        });
        let wanted = shown(self.missing);
        fetched.map_err(|unserved| match unserved {
            Unserved::Final(error) => *error,
            Unserved::NoClient { looked_for } => {
                PackError::NoClientForPackages { wanted, looked_for }
            }
            Unserved::Failed(failures) => PackError::PackagesNotFetched { wanted, failures },
        })
    }

    /// The first of the requirements that leads to the package `name`, if it is not named itself.
    pub(super) fn root(&self, name: &str, chosen: &[Chosen]) -> Option<&str> {
        let mut names = self.missing.iter().map(Requirement::name);
        if names.clone().any(|named| named == name) {
            return None;
        }
        let first = names.clone().next().filter(|_| names.len() == 1);
        let leads = |root: &&str| {
            let mut seen = BTreeSet::from([*root]);
            let mut open = vec![*root];
            while let Some(next) = open.pop() {
                let package = chosen.iter().find(|c| c.name == next);
                for dependency in package.into_iter().flat_map(|c| &c.dependencies) {
                    if seen.insert(dependency) {
                        open.push(dependency);
                    }
                }
            }
            seen.contains(name)
        };
        names.find(leads).or(first)
    }
}

/// One client being asked, in its own folder.
pub(super) struct Asked<'a> {
    pub(super) resolver: &'a Resolver<'a>,
    client: &'a Client<'a>,
    folder: &'a Path,
    progress: &'a mut dyn FnMut(u64),
}

impl Asked<'_> {
    /// What the reference would get, the pack's packages left out.
    fn choose(&mut self) -> Result<Vec<Chosen>, Attempt> {
        self.probe()?;
        let missing = self.resolver.missing;
        let mut chosen = match self.reference(missing) {
            Ok(chosen) => chosen,
            Err(attempt) => return Err(self.explain(attempt)?),
        };
        if let Some(newest) = self.newest(&chosen)? {
            match self.reference(&newest) {
                Ok(newest) => chosen = newest,
                // An older version is the best that goes with the pack.
                Err(Attempt::Failed(failed)) if is_conflict(&failed.words) => {}
                Err(attempt) => return Err(self.explain(attempt)?),
            }
        }
        chosen.retain(|c| self.resolver.builtin.version(&c.name).is_none());
        Ok(chosen)
    }

    /// Asks for what is known to need compiled code as a wheel for any platform: the reference
    /// might fetch half a gigabyte to find out that there is none.
    fn probe(&mut self) -> Result<(), Attempt> {
        let missing = self.resolver.missing.iter();
        let known: Vec<_> = missing
            .filter(|r| self.resolver.builtin.knows_compiled(r.name()))
            .collect();
        for requirement in known {
            let arguments = self.for_any_platform("probe", [requirement.to_string()]);
            let job = job(self.folder, arguments, None);
            match self.client.pip(&job, self.progress) {
                Err(Attempt::Failed(failed)) => return Err(self.explain(Attempt::Failed(failed))?),
                ended => ended.map(drop)?,
            }
        }
        Ok(())
    }

    fn reference(&mut self, wanted: &[Requirement]) -> Result<Vec<Chosen>, Attempt> {
        let python = self.resolver.builtin.python();
        let fixed = [
            "install",
            "--dry-run",
            "--ignore-installed",
            // pip compares with the Python that runs it; the download compares with the pack's.
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
            BUILTIN,
            "--report",
            REPORT,
            "--",
        ];
        let mut arguments: Vec<String> = fixed.map(str::to_owned).into();
        arguments.extend(wanted.iter().map(ToString::to_string));
        let platforms = Builtin::platforms();
        let job = job(self.folder, arguments, Some(&platforms));
        let report = self.folder.join(REPORT);
        // It would be taken for the new one.
        let _ = fs::remove_file(&report);
        let words = self.client.pip(&job, self.progress)?;
        let read = fs::read(&report).map_err(|e| format!("it ended well, but: {e}"));
        read.and_then(|text| Report::read(&text))
            .map_err(|problem| self.client.failure(&job, problem, words).into())
    }

    /// The requirements pinned to the newest versions of what was named without one; none if those
    /// were chosen anyway.
    fn newest(&mut self, chosen: &[Chosen]) -> Result<Option<Vec<Requirement>>, Attempt> {
        let mut differs = false;
        let mut pinned = self.resolver.missing.to_vec();
        for requirement in pinned.iter_mut().filter(|r| r.is_bare()) {
            // A pip that cannot list versions is believed.
            let versions = self.versions(requirement.name())?;
            let own = chosen.iter().find(|c| c.name == requirement.name());
            if let Some((newest, own)) = versions.first().zip(own) {
                differs |= !same_version(&own.version, newest);
                *requirement = requirement.pinned(newest);
            }
        }
        Ok(differs.then_some(pinned))
    }

    /// All versions of `name` on the index, newest first; none if there are none, or if pip
    /// cannot tell.
    pub(super) fn versions(&mut self, name: &str) -> Result<Vec<String>, Attempt> {
        let arguments = ["index", "versions", "--ignore-requires-python", "--", name];
        let job = job(self.folder, arguments.map(str::to_owned).into(), None);
        match self.client.pip(&job, self.progress) {
            Ok(words) => Ok(versions(&words)),
            Err(Attempt::Failed(_)) => Ok(Vec::new()),
            Err(attempt) => Err(attempt),
        }
    }

    /// Fetches the wheels of `chosen`.
    fn download(&mut self, chosen: &[Chosen]) -> Result<Vec<PathBuf>, Attempt> {
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let pins = chosen.iter().map(|c| format!("{}=={}", c.name, c.version));
        let arguments = self.for_any_platform(WHEELS, pins);
        let job = job(self.folder, arguments, None);
        let words = match self.client.pip(&job, self.progress) {
            Ok(words) => words,
            Err(Attempt::Failed(failed)) => return Err(self.not_pure(failed, chosen)),
            Err(attempt) => return Err(attempt),
        };
        let there = list(&self.folder.join(WHEELS))?;
        let mut wheels = Vec::new();
        for package in chosen {
            let own = there
                .iter()
                .find(|path| file_name(path).is_some_and(|(name, _, _)| name == package.name));
            let Some(path) = own else {
                let problem = format!("it ended well, but left no wheel of {}", package.name);
                return Err(self.client.failure(&job, problem, words).into());
            };
            wheels.push(path.clone());
        }
        Ok(wheels)
    }

    fn for_any_platform(&self, to: &str, what: impl IntoIterator<Item = String>) -> Vec<String> {
        let python = self.resolver.builtin.python();
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
        arguments.extend(what);
        arguments
    }
}

fn job<'a>(folder: &'a Path, arguments: Vec<String>, platforms: Option<&'a str>) -> Job<'a> {
    Job {
        arguments: arguments.into_iter().map(OsString::from).collect(),
        folder,
        platforms,
        // Of a wheel that it keeps, pip may hold two copies for a moment.
        largest: if platforms.is_some() {
            LARGEST
        } else {
            2 * LARGEST
        },
        needed: LARGEST,
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>, PackError> {
    let entries = fs::read_dir(folder).map_err(PackError::io("list", folder))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let paths: std::io::Result<Vec<_>> = paths.collect();
    paths.map_err(PackError::io("list", folder))
}
