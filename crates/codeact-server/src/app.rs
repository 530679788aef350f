//! State that all requests share.

use std::sync::Arc;

use codeact::sandbox::Sandbox;
use codeact_sessions::manager::{SessionManager, Tenant};

use crate::auth::Tokens;
use crate::config::ServerConfig;

/// State of the server. Handlers take it as `State<AppState>`.
pub(crate) type AppState = Arc<App>;

/// State of the server.
pub(crate) struct App {
    pub(crate) config: ServerConfig,
    /// Sandbox without grants, from which those of the tenants are derived.
    pub(crate) sandbox: Sandbox,
    pub(crate) manager: SessionManager,
    pub(crate) tokens: Tokens,
    /// True while the server shuts down.
    pub(crate) is_stopping: std::sync::atomic::AtomicBool,
}

/// A tenant of the server, as a request acts for it.
#[derive(Clone)]
pub(crate) struct ServerTenant {
    /// Its sessions. Nothing else of the server can reach sessions.
    pub(crate) sessions: Tenant,
    /// What the operator grants it.
    pub(crate) grants: Arc<crate::grants::TenantGrants>,
}
