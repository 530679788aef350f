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
}
