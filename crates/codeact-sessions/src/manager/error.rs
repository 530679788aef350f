//! Errors of the session manager.

use std::fmt;
use std::time::Duration;

use codeact_sandbox::{Execution, FileError, SandboxError};

use super::quota::QuotaName;
use crate::SessionError;

/// A request to the session manager could not be served. Unless the variant says otherwise, no code has run and the
/// session is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The tenant has no session of this identifier. Sessions of other tenants are not visible.
    #[error("there is no session {id}")]
    Missing {
        /// The identifier.
        id: String,
    },
    /// The session has no such context.
    #[error("there is no context {context}")]
    MissingContext {
        /// The identifier of the context.
        context: String,
    },
    /// The queue of the session is full.
    #[error("the session {id} is busy: {waiting} requests wait for it; try again later")]
    Busy {
        /// The identifier.
        id: String,
        /// The length of the queue.
        waiting: usize,
    },
    /// A quota of the tenant is used up.
    #[error("the quota of {name} is used up: {limit}{}", retry(*.retry_after))]
    Quota {
        /// The quota.
        name: QuotaName,
        /// Its limit, with the unit.
        limit: String,
        /// Time after which the request can succeed, if it is known.
        retry_after: Option<Duration>,
    },
    /// The request was cancelled while it waited.
    #[error("the request was cancelled before the code ran")]
    Cancelled,
    /// The manager shuts down.
    #[error("the server shuts down; try again later")]
    ShuttingDown,
    /// The settings are invalid, or ask for more than the tenant has.
    #[error("{0}")]
    Setting(String),
    /// The code has run, and its turn could not be written to the store. With [`Durability::Turn`](super::Durability::Turn)
    /// the session is as it was before the turn; otherwise the turn is written with the next one.
    #[error("the turn has run and could not be committed: {source}")]
    NotCommitted {
        /// The result of the turn.
        execution: Box<Execution>,
        /// The error of the store.
        source: Box<SessionError>,
    },
    /// A file of the session could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The sandbox failed.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A task of the manager failed. The session is reloaded from the store.
    #[error("a task of the session manager failed: {0}")]
    Task(String),
}

impl ManagerError {
    pub(super) fn task(error: impl fmt::Display) -> Self {
        Self::Task(error.to_string())
    }

    pub(super) fn missing(id: &str) -> Self {
        Self::Missing { id: id.to_owned() }
    }
}

fn retry(after: Option<Duration>) -> String {
    after.map_or(String::new(), |after| {
        format!("; try again in {} s", after.as_secs().max(1))
    })
}
