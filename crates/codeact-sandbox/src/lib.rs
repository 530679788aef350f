//! Runs untrusted Python in CPython compiled to WebAssembly, within limits and without access to the host.
//!
//! A [`Sandbox`] has a pack (a build of CPython and its packages), grants ([`Mount`]s, tools) and [`Limits`]. It starts
//! sessions from a base image in about a fifth of a millisecond. [`Sandbox::run`] runs a [`Turn`] in a fresh session; a
//! [`Session`] runs many, whose variables and files last. Each turn is a transaction, and its result is an [`Execution`]:
//! exceptions, limits and cancellations are outcomes, not errors.
//!
//! A session is data. [`Session::checkpoint`] returns a [`Snapshot`], to roll back to, to start other sessions from, or
//! to save. A [`Recorder`] writes the nondeterministic inputs of each turn to a file, and a [`Recording`] replays them. A
//! turn that waits for user input can be stored as a [`SuspendedTurn`] and resumed in another process. Programs use this
//! crate through `codeact`, which re-exports it as `codeact::sandbox`.
//!
//! Layers, from the top down; imports go down only: `sandbox`, `builder` and `packages` are the entry points; `replay` has
//! recordings and suspended turns; `snapshot` is a session as data and as a file; `session` runs turns as transactions;
//! `engine` has the resources that sessions share; `instance` is one store with its memory and limits; `hostcall` and
//! `wasi` are the imports of the guest; `remote_traceback` reads the frames of a stopped guest; `fs` has files and
//! mounts; `journal` records and replays the inputs of a turn; `types` has plain data and small traits.

mod builder;
mod bytecode;
mod engine;
mod error;
mod fs;
mod hostcall;
mod instance;
mod journal;
mod packages;
mod remote_traceback;
mod replay;
mod sandbox;
mod session;
mod snapshot;
mod types;
mod wasi;

pub use builder::SandboxBuilder;
pub use error::SandboxError;
pub use fs::guest_file::GuestFile;
pub use fs::mount::{Change, ChangeKind, Changes, Mount, MountMode};
pub use replay::{RecordedEnd, RecordedTurn, Recorder, Recording, Replay, SuspendedTurn};
pub use sandbox::{DerivedBuilder, Sandbox};
pub use session::{
    Execution, FileError, FileInfo, FileKind, Outcome, Session, SessionOptions, Status, Turn,
    TurnOptions, Usage, Variable,
};
#[doc(hidden)]
pub use snapshot::SavedSnapshot;
pub use snapshot::Snapshot;
pub use types::bundle::Bundle;
pub use types::cancellation::Cancel;
pub use types::display::Display;
pub use types::limits::{Limits, NeededLimit};
pub use types::output::Captured;
pub use types::payload::{Payload, is_deeper};
pub use types::stdin::Stdin;
pub use types::toolbox::{
    Approval, FailureKind, OpenToolbox, ToolCall, ToolReply, Toolbox, no_such_tool,
};
pub use types::traceback::{Exception, Frame, Traceback};
pub use types::user_input::{InputHandler, InputResponse};
