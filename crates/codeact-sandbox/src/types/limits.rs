//! Limits of a turn. Each has a default, so nothing is unbounded by omission.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use codeact_base::LimitName;

/// Limits of one turn; those of memory and files also of its session. The host enforces all of them.
///
/// ```
/// use codeact_sandbox::Limits;
/// use std::time::Duration;
///
/// let limits = Limits::new()
///     .with_wall(Duration::from_secs(5))
///     .with_fuel(2_000_000_000)
///     .with_memory(256 << 20);
/// assert_eq!(limits.output, Limits::default().output);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Limits {
    /// Wall time of one turn, without the time in which it waits for user input. Default: 30 s.
    pub wall: Duration,
    /// Fuel of one turn; `None`: no budget, and the use is reported. Default: `None`.
    ///
    /// An iteration of a loop of the interpreter or its C code costs as many units as the loop has wasm instructions,
    /// at most 100. A call that may recurse costs one unit. Copying or filling a block of more than 1 MiB costs one
    /// unit for each four bytes. The same code in the same state uses the same amount on every machine.
    pub fuel: Option<u64>,
    /// Linear memory of the guest, in bytes. It includes the preloaded interpreter of about 84 MiB. Beyond it Python
    /// raises `MemoryError`. Default: 512 MiB.
    pub memory: u64,
    /// Captured bytes of each of stdout and stderr in one turn. Further bytes are counted and dropped.
    /// Default: 1 MiB.
    pub output: u64,
    /// Calls from the guest to the host in one turn. Default: 10,000.
    pub host_calls: u64,
    /// Bytes of these calls in one turn, requests and answers together. Default: 64 MiB.
    pub host_call_bytes: u64,
    /// Bytes of the sandbox's own files. Default: 256 MiB.
    pub file_bytes: u64,
    /// Files, folders and links in the sandbox. Default: 10,000.
    pub files: u64,
    /// File descriptors that are open at the same time. Default: 1,024.
    pub open_files: u64,
}

impl Limits {
    /// Returns the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Limits::wall`].
    #[must_use]
    pub fn with_wall(mut self, wall: Duration) -> Self {
        self.wall = wall;
        self
    }

    /// Sets [`Limits::fuel`]; `None` for no budget.
    #[must_use]
    pub fn with_fuel(mut self, fuel: impl Into<Option<u64>>) -> Self {
        self.fuel = fuel.into();
        self
    }

    /// Sets [`Limits::memory`].
    #[must_use]
    pub fn with_memory(mut self, memory: u64) -> Self {
        self.memory = memory;
        self
    }

    /// Sets [`Limits::output`].
    #[must_use]
    pub fn with_output(mut self, output: u64) -> Self {
        self.output = output;
        self
    }

    /// Sets [`Limits::host_calls`].
    #[must_use]
    pub fn with_host_calls(mut self, host_calls: u64) -> Self {
        self.host_calls = host_calls;
        self
    }

    /// Sets [`Limits::host_call_bytes`].
    #[must_use]
    pub fn with_host_call_bytes(mut self, host_call_bytes: u64) -> Self {
        self.host_call_bytes = host_call_bytes;
        self
    }

    /// Sets [`Limits::file_bytes`].
    #[must_use]
    pub fn with_file_bytes(mut self, file_bytes: u64) -> Self {
        self.file_bytes = file_bytes;
        self
    }

    /// Sets [`Limits::files`].
    #[must_use]
    pub fn with_files(mut self, files: u64) -> Self {
        self.files = files;
        self
    }

    /// Sets [`Limits::open_files`].
    #[must_use]
    pub fn with_open_files(mut self, open_files: u64) -> Self {
        self.open_files = open_files;
        self
    }
}

impl Limits {
    /// Returns the limits of these that are above those of `allowed`. Wall time and fuel are not compared: they bound
    /// how long the code runs, but do not change what it does.
    pub(crate) fn above(&self, allowed: &Self) -> Vec<NeededLimit> {
        use LimitName as Name;

        let compared = [
            (Name::Memory, self.memory, allowed.memory),
            (Name::Output, self.output, allowed.output),
            (Name::HostCalls, self.host_calls, allowed.host_calls),
            (
                Name::HostCallBytes,
                self.host_call_bytes,
                allowed.host_call_bytes,
            ),
            (Name::FileBytes, self.file_bytes, allowed.file_bytes),
            (Name::Files, self.files, allowed.files),
            (Name::OpenFiles, self.open_files, allowed.open_files),
        ];
        (compared.into_iter())
            .filter(|(_, recorded, allowed)| recorded > allowed)
            .map(|(name, recorded, allowed)| NeededLimit {
                name,
                needed: Some(recorded),
                allowed,
            })
            .collect()
    }
}

/// A limit of a session that is too small for a turn from a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeededLimit {
    /// The limit.
    pub name: LimitName,
    /// The recorded limit, or the recorded use of fuel; `None` for wall time, whose need is not known.
    pub needed: Option<u64>,
    /// The limit of the session; wall time in milliseconds.
    pub allowed: u64,
}

impl NeededLimit {
    /// Returns the need of a turn that used `used` units of fuel, if that is more than is allowed.
    pub(crate) fn fuel(used: u64, allowed: &Limits) -> Option<Self> {
        let allowed = allowed.fuel.filter(|allowed| used > *allowed)?;
        Some(Self {
            name: LimitName::Fuel,
            needed: Some(used),
            allowed,
        })
    }

    /// Returns the need of a turn that did not end within `wall`.
    pub(crate) fn wall(wall: Duration) -> Self {
        Self {
            name: LimitName::Wall,
            needed: None,
            allowed: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl fmt::Display for NeededLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            needed,
            allowed,
        } = self;
        match (name, needed) {
            (LimitName::Wall, _) => {
                let wall = Duration::from_millis(*allowed);
                write!(f, "it has not ended after {wall:?} of wall time")
            }
            (LimitName::Fuel, Some(used)) => {
                write!(f, "it used {used} units of fuel, and {allowed} are allowed")
            }
            (name, Some(recorded)) => {
                let (recorded, allowed) = (name.amount(*recorded), name.amount(*allowed));
                write!(
                    f,
                    "its limit of {name} is {recorded}, and {allowed} are allowed"
                )
            }
            (name, None) => write!(f, "it needs more {name} than {}", name.amount(*allowed)),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wall: Duration::from_secs(30),
            fuel: None,
            memory: 512 << 20,
            output: 1 << 20,
            host_calls: 10_000,
            host_call_bytes: 64 << 20,
            file_bytes: 256 << 20,
            files: 10_000,
            open_files: 1024,
        }
    }
}
