//! Advice that goes with an error.

/// Advice that goes with an error, without words of a particular program: the command renders it as flags and
/// subcommands, a server or a binding as settings of its own.
///
/// The errors of the crates have a method `hint()`, which returns `None` if the message says all there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hint {
    /// Install the pack from a local wheel, for a machine that cannot download it.
    InstallPackFromFile {
        /// The pack's name.
        pack: String,
        /// The wheel's file name.
        wheel: String,
    },
    /// See which packages a pack has.
    ListPackages,
    /// Remove the pack and install it again.
    ReinstallPack,
    /// See which sessions there are.
    ListSessions,
    /// See which turns a session has.
    ListTurns {
        /// The session's name.
        session: String,
    },
    /// Choose a model: by name, by the address of its server, or by an API key in the environment.
    ChooseModel,
    /// Name a model: the server is known and has several, or does not list them.
    NameModel,
    /// Give the address of the model's server.
    GiveModelAddress,
    /// Raise limits of the sandbox.
    RaiseLimits {
        /// Each limit, and the value that is needed if it is known.
        limits: Vec<(LimitName, Option<u64>)>,
    },
}

/// A limit of a turn or a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LimitName {
    /// Wall time.
    Wall,
    /// Fuel.
    Fuel,
    /// Linear memory, in bytes.
    Memory,
    /// Captured output of each stream, in bytes.
    Output,
    /// Calls from the guest to the host.
    HostCalls,
    /// Bytes of these calls.
    HostCallBytes,
    /// Bytes of the sandbox's own files.
    FileBytes,
    /// Files, folders and links in the sandbox.
    Files,
    /// Open files.
    OpenFiles,
}

impl LimitName {
    /// Returns `amount` with its unit: whole MiB if it is a number of bytes and divisible.
    pub fn amount(self, amount: u64) -> String {
        match self {
            Self::Memory | Self::Output | Self::HostCallBytes | Self::FileBytes => {
                match amount % (1 << 20) {
                    0 => format!("{} MiB", amount >> 20),
                    _ => format!("{amount} bytes"),
                }
            }
            Self::Wall => format!("{amount} ms"),
            Self::Fuel | Self::HostCalls | Self::Files | Self::OpenFiles => amount.to_string(),
        }
    }
}

impl std::fmt::Display for LimitName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wall => "wall time",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::HostCalls => "host calls",
            Self::HostCallBytes => "bytes in host calls",
            Self::FileBytes => "bytes in files",
            Self::Files => "files",
            Self::OpenFiles => "open files",
        })
    }
}
