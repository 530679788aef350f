//! E2B: control plane and data plane of its SDKs, so that `E2B_API_URL` and `E2B_SANDBOX_URL` set to this server are the
//! whole change.
//!
//! An E2B sandbox is a session of the manager with a `record` of what E2B knows about it. `control` has the control
//! plane, `interpreter` the code interpreter of a sandbox (port 49999), `envd` its files and processes (port 49983).
//! `route` finds the sandbox of a request and checks its tokens, `signature` those of file URLs, `debug` serves clients
//! in debug mode. `counts` numbers executions, `state` is what handlers
//! share.

pub(crate) mod control;
mod counts;
pub(crate) mod debug;
mod envd;
pub(crate) mod error;
mod interpreter;
pub(crate) mod record;
pub(crate) mod route;
mod signature;
mod state;
pub(crate) mod timestamp;

use axum::{Extension, Router};

use crate::app::AppState;

pub(crate) use state::SharedState;

/// Returns the routes.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .merge(control::routes())
        .nest("/e2b/49983", envd::routes())
        .nest("/e2b/49999", interpreter::routes())
        .layer(Extension(SharedState::default()))
}
