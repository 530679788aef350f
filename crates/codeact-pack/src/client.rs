//! The user's package clients, so that the user's index, mirror, proxy, certificates and credentials are used.
//!
//! `uv` comes first. It has no `uv pip download` (as of 0.13), but `uv tool run pip download` runs pip in an
//! environment of its own and installs a Python if there is none. pip does not read uv's index settings, so those that
//! are environment variables are converted to pip's. The Pythons on `PATH` with their own pip follow.
//!
//! Nothing is installed, and no code of a downloaded file is run. Clients run in a private folder without Python code,
//! because `python -m pip` would import a `pip.py` from the current folder.

use std::env::consts::EXE_SUFFIX;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::permissions::is_program;
use crate::pip::{Client, ClientError, ClientRun};
use crate::{ClientFailure, Distribution, Manifest, PackError};

/// Default of [`Clients::stall`].
const DEFAULT_STALL: Duration = Duration::from_secs(300);
/// Default of [`Clients::time_limit`].
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(180);

/// Name of a client's program, and the arguments before those of pip.
struct Candidate(&'static str, &'static [&'static str]);

const UV: Candidate = Candidate("uv", &["tool", "run", "pip"]);
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

/// Variables of pip that decide which packages it finds.
const PIP_SETTINGS: [&str; 6] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_NO_INDEX",
    "PIP_FIND_LINKS",
    "PIP_CONFIG_FILE",
    "PIP_PRE",
];

/// Folders that are searched for package clients, and the clients' settings.
#[derive(Debug, Clone)]
pub struct Clients {
    search_path: OsString,
    /// Index variables for a pip that uv runs.
    index: Vec<(&'static str, OsString)>,
    /// Values of [`PIP_SETTINGS`].
    settings: Vec<OsString>,
    stall: Duration,
    time_limit: Duration,
    cancelled: Arc<AtomicBool>,
}

/// Reason why no client completed a request.
#[derive(Debug)]
pub(crate) enum ClientsError {
    /// A client found that the request cannot succeed.
    Final(Box<PackError>),
    /// None of these programs was found.
    NotFound { looked_for: Vec<String> },
    /// Each client failed.
    Failed(Vec<ClientFailure>),
}

impl Clients {
    /// Returns the clients on the `PATH` of the environment that `lookup` reads. The clients inherit the environment
    /// of the process.
    pub fn from_env(lookup: &dyn Fn(&str) -> Option<OsString>) -> Self {
        Self {
            search_path: lookup("PATH").unwrap_or_default(),
            index: index_variables(lookup),
            settings: PIP_SETTINGS
                .map(|name| lookup(name).unwrap_or_default())
                .into(),
            ..Self::in_path("")
        }
    }

    /// Returns the clients in `search_path`, a list of folders like `PATH`. Relative folders are ignored, so that no
    /// program from the current folder is run.
    pub fn in_path(search_path: impl Into<OsString>) -> Self {
        Self {
            search_path: search_path.into(),
            index: Vec::new(),
            settings: Vec::new(),
            stall: DEFAULT_STALL,
            time_limit: DEFAULT_TIME_LIMIT,
            cancelled: Arc::default(),
        }
    }

    /// Sets the time without output and without downloaded bytes after which a client is stopped. Default: five
    /// minutes.
    #[must_use]
    pub fn stall(mut self, limit: Duration) -> Self {
        self.stall = limit;
        self
    }

    /// Sets the maximum time of one resolution of packages with its downloads, without waits for other processes.
    /// Default: three minutes.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Sets a flag that stops a running client when it becomes true. Default: a flag that is always false.
    #[must_use]
    pub fn cancelled_by(mut self, cancelled: Arc<AtomicBool>) -> Self {
        self.cancelled = cancelled;
        self
    }

    pub(crate) fn limit(&self) -> Duration {
        self.time_limit
    }

    /// Returns the settings that decide which packages are found.
    pub(crate) fn settings(&self) -> impl Iterator<Item = &OsString> {
        let index = self.index.iter().map(|(_, value)| value);
        self.settings.iter().chain(index)
    }

    /// Downloads the wheel of `manifest` into `folder`, an empty private folder, and returns its path. The wheel is not
    /// checked. `progress` is called from time to time with the number of bytes in the folder.
    pub(crate) fn download(
        &self,
        manifest: &Manifest,
        folder: &Path,
        needed: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<PathBuf, PackError> {
        let distribution = &manifest.distribution;
        let result = self.try_each(|client| {
            let run = ClientRun {
                arguments: arguments(distribution, folder),
                folder,
                platforms: None,
                max_bytes: u64::MAX,
                needed,
                deadline: None,
            };
            let output = client.pip(&run, progress)?;
            let path = folder.join(&distribution.wheel);
            if path.is_file() {
                return Ok(path);
            }
            let problem = format!("it succeeded, but did not write {}", distribution.wheel);
            Err(client.failure(&run, problem, output).into())
        });
        let (pack, wheel) = (manifest.name.clone(), distribution.wheel.clone());
        result.map_err(|error| match error {
            ClientsError::Final(error) => *error,
            ClientsError::NotFound { looked_for } => PackError::NoClient {
                pack,
                wheel,
                looked_for,
            },
            ClientsError::Failed(failures) => PackError::ClientFailed {
                pack,
                wheel,
                failures,
            },
        })
    }

    /// Calls `attempt` with one client after the other, and returns the result of the first one that does not fail.
    pub(crate) fn try_each<T>(
        &self,
        mut attempt: impl FnMut(&Client<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientsError> {
        let mut failures = Vec::new();
        for client in self.found() {
            match attempt(&client) {
                Ok(value) => return Ok(value),
                Err(ClientError::Failed(run)) => failures.push(run.failure),
                Err(ClientError::Final(error)) => return Err(ClientsError::Final(error)),
            }
        }
        if failures.is_empty() {
            let looked_for = std::iter::once(&UV).chain(PYTHONS);
            let looked_for = looked_for.map(|c| c.0.to_owned()).collect();
            return Err(ClientsError::NotFound { looked_for });
        }
        Err(ClientsError::Failed(failures))
    }

    /// Returns the installed clients, in order. Two names of one program count once.
    fn found(&self) -> Vec<Client<'_>> {
        let mut found: Vec<Client<'_>> = Vec::new();
        for candidate in std::iter::once(&UV).chain(PYTHONS) {
            let name = format!("{}{EXE_SUFFIX}", candidate.0);
            let program = std::env::split_paths(&self.search_path)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(&name))
                .find(|path| is_program(path));
            let real = |path: &Path| fs::canonicalize(path).ok();
            let variables = if candidate.0 == UV.0 {
                self.index.as_slice()
            } else {
                &[]
            };
            if let Some(program) = program
                && !found.iter().any(|c| real(&c.program) == real(&program))
            {
                found.push(Client {
                    program,
                    prefix: candidate.1,
                    variables,
                    stall: self.stall,
                    cancelled: &self.cancelled,
                });
            }
        }
        found
    }
}

fn arguments(distribution: &Distribution, folder: &Path) -> Vec<OsString> {
    let Distribution { name, version, .. } = distribution;
    // The Python code of the wheel does not run on the host, so the Python version of the client does not matter.
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

/// Returns uv's index settings as variables of pip, except those that are set for pip.
fn index_variables(lookup: &dyn Fn(&str) -> Option<OsString>) -> Vec<(&'static str, OsString)> {
    let set = |name| lookup(name).filter(|value| !value.is_empty());
    // pip has no named indexes, so the name of `name=https://…` is removed.
    let without_names = |value: OsString| -> Option<OsString> {
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
        .filter_map(|(pip, uv)| {
            let value = uv.into_iter().find_map(set)?;
            Some((pip, without_names(value)?))
        })
        .collect()
}
