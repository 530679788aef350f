//! Sessions: turns that share variables and files, each a transaction.
//!
//! `turn` is the input of a turn; `execution` is its result; `context` is shared by sessions; `idle` is a session between
//! turns; `transaction` runs one turn; `handle` is the public [`Session`]. `files` reads and
//! changes its files between turns, `adopt` moves files and sandboxes between sessions, `file_error` and `file_info` are
//! the types of the former.

pub(crate) mod adopt;
pub(crate) mod context;
pub(crate) mod execution;
pub(crate) mod file_error;
pub(crate) mod file_info;
pub(crate) mod files;
pub(crate) mod handle;
pub(crate) mod idle;
pub(crate) mod transaction;
pub(crate) mod turn;

pub use execution::{Execution, Outcome, Status, Usage, Variable};
pub use file_error::FileError;
pub use file_info::{FileInfo, FileKind};
pub use handle::{Session, SessionOptions};
pub use turn::{Turn, TurnOptions};
