//! The session manager: what every long-lived way in uses to serve many clients.
//!
//! A [`SessionManager`] has [`Tenant`]s, which share nothing but the machine. A tenant's sessions are *live* (an
//! interpreter in memory) or *idle* (in its [`SessionBackend`](crate::SessionBackend) only). A request for an idle
//! session wakes it; sessions that are not used, or exceed the memory budget, are written out, the least recently used
//! first. A session runs one turn at a time; further turns wait in a queue of bounded length.
//!
//! ```no_run
//! # async fn example(source: std::sync::Arc<dyn codeact_sessions::manager::SandboxSource>)
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! use codeact_sandbox::{Cancel, Turn};
//! use codeact_sessions::SessionStore;
//! use codeact_sessions::manager::{ManagerOptions, Quota, SessionManager, SessionSettings};
//!
//! let manager = SessionManager::new(ManagerOptions::default());
//! let store = SessionStore::at("sessions");
//! let tenant = manager.tenant("alice", std::sync::Arc::new(store), source, Quota::default())?;
//! let session = tenant.create(None, SessionSettings::default()).await?;
//! session.run(Turn::new("x = 1"), &Cancel::new()).await?; // on disk when it returns
//! tenant.get(session.id())?.run(Turn::new("x + 1"), &Cancel::new()).await?;
//! manager.shutdown(std::time::Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! `options` and `settings` are plain data; `entry` is one session with its live state, `contexts` further interpreters
//! over its files; `handle` runs turns in it, `life` pauses, forks and removes it, `install` adds packages, `lease` lends it, `once` runs turns without a session; `tenant` owns entries and enforces quotas; `supervisor` evicts and
//! removes.

mod contexts;
mod entry;
mod error;
mod figures;
mod handle;
mod install;
mod lease;
mod life;
mod once;
mod options;
mod quota;
mod settings;
mod supervisor;
mod tenant;

pub use error::ManagerError;
pub use figures::TurnFigures;
pub use handle::{SessionHandle, SessionStatus};
pub use lease::SessionLease;
pub use options::{Durability, ManagerOptions};
pub use quota::{Quota, QuotaName, TenantUsage, TurnPermit};
pub use settings::{OnExpiry, SandboxSource, SessionSettings, SourceFuture};
pub use supervisor::{ManagerStats, SessionManager};
pub use tenant::Tenant;
