//! Settings of a session, and the sandbox that follows from them.

use std::future::Future;
use std::pin::Pin;
use std::time::{SystemTime, UNIX_EPOCH};

use codeact_sandbox::{Limits, Sandbox};
use serde::{Deserialize, Serialize};

use super::error::ManagerError;

/// Settings of one session. They are stored with it, so that it wakes with the same sandbox. They can only narrow the
/// grants of the tenant.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SessionSettings {
    /// Time at which the session was made, in milliseconds since 1970. Set by the manager.
    pub created_ms: u64,
    /// Packages in addition to those of the tenant, as requirements such as `tabulate==0.9.0`.
    pub packages: Vec<String>,
    /// Environment variables of every turn.
    pub env: Vec<(String, String)>,
    /// Limits of turns without limits of their own; `None`: those of the tenant.
    pub limits: Option<Limits>,
    /// Hosts to which the code can make requests; `None`: all that the tenant has.
    pub hosts: Option<Vec<String>>,
    /// Seed of all randomness; `None`: from the operating system.
    pub seed: Option<u64>,
    /// Time after which the session ends without regard to its use, in milliseconds since 1970.
    pub expires_ms: Option<u64>,
    /// What happens then.
    pub on_expiry: OnExpiry,
    /// Contexts: further interpreters over the same files.
    pub contexts: Vec<String>,
    /// The session of which this is a context. Set by the manager.
    pub parent: Option<String>,
    /// Data of the protocol that made the session. The manager does not interpret it.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// What happens to a session at its expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnExpiry {
    /// It is removed.
    #[default]
    Remove,
    /// It is written out, and wakes on the next request.
    Pause,
}

/// A future of [`SandboxSource::sandbox`].
pub type SourceFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Sandbox, ManagerError>> + Send + 'a>>;

/// Makes the sandboxes of a tenant's sessions.
pub trait SandboxSource: Send + Sync + 'static {
    /// Returns a sandbox with the grants of the tenant, narrowed by `settings`. Equal settings should share one.
    ///
    /// # Errors
    ///
    /// The future returns [`ManagerError::Setting`] if the settings ask for more than the tenant has, and errors of
    /// packages.
    fn sandbox<'a>(&'a self, settings: &'a SessionSettings) -> SourceFuture<'a>;
}

/// Returns the time in milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
