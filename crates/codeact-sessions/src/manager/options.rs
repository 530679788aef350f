//! Options of a session manager.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a turn is written to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Durability {
    /// Before its result is returned.
    #[default]
    Turn,
    /// When the session becomes idle, is forked or paused, or the manager shuts down. A killed process loses the turns
    /// since then.
    Idle,
    /// As [`Durability::Idle`], but not at a shutdown: the store is a place for idle sessions of one process.
    None,
}

/// Options of a [`SessionManager`](super::SessionManager).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagerOptions {
    /// Memory that all live sessions may take between turns, in bytes, approximate. Default: 4 GiB.
    pub memory: u64,
    /// Number of sessions that may be live between turns. Default: 1,000.
    pub live: usize,
    /// Time without a request after which a session is written out. Default: 5 minutes.
    pub idle: Duration,
    /// Time without a request after which a session is removed; `None`: never. Default: `None`.
    pub ttl: Option<Duration>,
    /// When a turn is written to the store. Default: [`Durability::Turn`].
    pub durability: Durability,
    /// Number of requests that may wait for one session. Default: 32.
    pub queue: usize,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        Self {
            memory: 4 << 30,
            live: 1000,
            idle: Duration::from_secs(300),
            ttl: None,
            durability: Durability::Turn,
            queue: 32,
        }
    }
}
