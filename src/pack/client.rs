//! Running the user's own package client, so that the index, mirror, proxy, certificate and
//! credential settings that work for the user work here.
//!
//! `uv` comes first. It has no `uv pip download` (true of 0.13), but `uv tool run pip download`
//! runs pip in an environment of its own, and brings a Python if there is none. pip does not
//! read uv's index settings, so those given as variables are handed on. Then come the Pythons
//! on PATH with their own pip.
//!
//! Nothing is ever installed, and no code of what is fetched is run. Clients run in a private
//! folder without Python code: `python -m pip` would otherwise import a `pip.py` from the current
//! one.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pip::{Attempt, Client, Job};
use super::{ClientFailure, Distribution, Manifest, PackError, private};

/// A client that neither writes nor grows a file for this long is stopped.
const STALL: Duration = Duration::from_secs(300);
/// A client: the program's name and what comes before pip's own arguments.
pub(super) struct Candidate(pub(super) &'static str, pub(super) &'static [&'static str]);

pub(super) const UV: Candidate = Candidate("uv", &["tool", "run", "pip"]);
#[cfg(not(windows))]
const PYTHONS: &[Candidate] = &[
    Candidate("python3", &["-m", "pip"]),
    Candidate("python", &["-m", "pip"]),
];
#[cfg(windows)]
const PYTHONS: &[Candidate] = &[
    Candidate("python3", &["-m", "pip"]),
    Candidate("python", &["-m", "pip"]),
    Candidate("py", &["-3", "-m", "pip"]),
];

/// Where package clients are looked for, and what they are told of the user's settings.
#[derive(Debug, Clone)]
pub struct Clients {
    search_path: OsString,
    /// Variables for a pip that is run by uv.
    pub(super) index: Vec<(&'static str, OsString)>,
    pub(super) stall: Duration,
}

impl Clients {
    /// The clients on the `PATH` of this environment. The clients themselves inherit the
    /// environment of the process.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            search_path: lookup("PATH").unwrap_or_default(),
            index: index_variables(lookup),
            stall: STALL,
        }
    }

    /// The clients in these folders, separated as in `PATH`. Relative ones are passed over, so
    /// that nothing from the current folder is run.
    pub fn in_path(search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            index: Vec::new(),
            stall: STALL,
        }
    }

    /// Changes how long a client may neither write nor fetch anything before it is stopped; by
    /// default five minutes.
    pub fn stall(mut self, limit: Duration) -> Self {
        self.stall = limit;
        self
    }

    /// Fetches the wheel of `manifest` into `folder`, an empty private one, and returns its
    /// path. It is not checked. `progress` is told the count of bytes there from time to time.
    pub(super) fn download(
        &self,
        manifest: &Manifest,
        folder: &Path,
        needed: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PackError> {
        let distribution = &manifest.distribution;
        let fetched = self.first_to(|client| {
            let job = Job {
                arguments: arguments(distribution, folder),
                folder,
                platforms: None,
                largest: u64::MAX,
                needed,
            };
            let words = client.pip(&job, progress)?;
            let path = folder.join(&distribution.wheel);
            if path.is_file() {
                return Ok(path);
            }
            let problem = format!("it ended well, but left no {}", distribution.wheel);
            Err(client.failure(&job, problem, words).into())
        });
        let (pack, wheel) = (manifest.name.clone(), distribution.wheel.clone());
        fetched.map_err(|unserved| match unserved {
            Unserved::Final(error) => *error,
            Unserved::NoClient { looked_for } => PackError::NoClient {
                pack,
                wheel,
                looked_for,
            },
            Unserved::Failed(failures) => PackError::ClientFailed {
                pack,
                wheel,
                failures,
            },
        })
    }

    /// What `attempt` gets with the first client that does not fail it.
    pub(super) fn first_to<T>(
        &self,
        mut attempt: impl FnMut(&Client<'_>) -> Result<T, Attempt>,
    ) -> Result<T, Unserved> {
        let mut failures = Vec::new();
        for client in self.found() {
            match attempt(&client) {
                Ok(answer) => return Ok(answer),
                Err(Attempt::Failed(failed)) => failures.push(failed.failure),
                Err(Attempt::Final(error)) => return Err(Unserved::Final(error)),
            }
        }
        if failures.is_empty() {
            let looked_for = std::iter::once(&UV).chain(PYTHONS);
            let looked_for = looked_for.map(|c| c.0.to_owned()).collect();
            return Err(Unserved::NoClient { looked_for });
        }
        Err(Unserved::Failed(failures))
    }

    /// The clients there are, in order; two names of one program count once.
    fn found(&self) -> Vec<Client<'_>> {
        let mut found: Vec<Client<'_>> = Vec::new();
        for candidate in std::iter::once(&UV).chain(PYTHONS) {
            let name = format!("{}{EXE_SUFFIX}", candidate.0);
            let program = std::env::split_paths(&self.search_path)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(&name))
                .find(|path| private::is_program(path));
            let real = |path: &Path| fs::canonicalize(path).ok();
            if let Some(program) = program
                && !found.iter().any(|c| real(&c.program) == real(&program))
            {
                found.push(Client {
                    candidate,
                    program,
                    settings: self,
                });
            }
        }
        found
    }
}

/// Why no client did what was asked.
#[derive(Debug)]
pub(super) enum Unserved {
    /// One of them found out that it cannot be done.
    Final(Box<PackError>),
    /// There is none of these programs.
    NoClient { looked_for: Vec<String> },
    /// Each of them failed.
    Failed(Vec<ClientFailure>),
}

fn arguments(distribution: &Distribution, folder: &Path) -> Vec<OsString> {
    let Distribution { name, version, .. } = distribution;
    // The wheel's own Python code is not run, so the client's version of Python is no matter.
    let download = [
        "download",
        "--no-deps",
        "--only-binary",
        ":all:",
        "--ignore-requires-python",
        "--dest",
    ];
    let mut arguments: Vec<OsString> = download.map(Into::into).into();
    arguments.extend([folder.into(), format!("{name}=={version}").into()]);
    arguments
}

/// uv's index settings in pip's words, unless pip has its own.
fn index_variables(lookup: &dyn Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let set = |name| lookup(name).filter(|value| !value.is_empty());
    // `name=https://…` is an index with a name, which pip does not know.
    let plain = |value: OsString| -> Option<OsString> {
        let value = value.into_string().ok()?;
        let urls = value
            .split_whitespace()
            .map(|url| match url.split_once('=') {
                Some((name, url)) if !name.contains([':', '/', '.']) => url,
                _ => url,
            });
        Some(urls.collect::<Vec<_>>().join(" ").into())
    };
    let pairs = [
        ("PIP_INDEX_URL", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"]),
        ("PIP_EXTRA_INDEX_URL", ["UV_INDEX", "UV_EXTRA_INDEX_URL"]),
    ];
    pairs
        .into_iter()
        .filter(|(pip, _)| set(pip).is_none())
        .filter_map(|(pip, uv)| Some((pip, uv.into_iter().find_map(set).and_then(plain)?)))
        .collect()
}
