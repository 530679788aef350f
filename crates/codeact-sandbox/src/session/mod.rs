//! Sessions: turns that share variables and files, each a transaction.
//!
//! `turn` is the input of a turn; `execution` is its result; `context` is shared by sessions; `idle` is a session between
//! turns; `transaction` runs one turn; `handle` is the public [`Session`].

pub(crate) mod context;
pub(crate) mod execution;
pub(crate) mod handle;
pub(crate) mod idle;
pub(crate) mod transaction;
pub(crate) mod turn;

pub use execution::{Execution, Outcome, Status, Usage, Variable};
pub use handle::{Session, SessionOptions};
pub use turn::{Turn, TurnOptions};
