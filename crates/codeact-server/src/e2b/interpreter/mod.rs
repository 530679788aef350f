//! Code interpreter of a sandbox (port 49999): executions as streams of JSON lines, and contexts.
//!
//! `execute` starts an execution, `stream` writes its events as E2B's lines, `lines` are their forms. `contexts` are
//! further interpreters over the files of the sandbox. `source` finds lines of a notebook that are not Python, and `pip`
//! installs packages for them, `shell` runs cells that are commands.

mod contexts;
mod execute;
mod lines;
mod pip;
mod shell;
mod source;
mod stream;

use axum::Router;
use axum::routing::{delete, get, post};

use crate::app::AppState;

/// Returns the routes below the prefix of the port.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/execute", post(execute::execute))
        .route("/contexts", get(contexts::list).post(contexts::create))
        .route("/contexts/{context}", delete(contexts::remove))
        .route("/contexts/{context}/restart", post(contexts::restart))
        .route("/health", get(health))
}

async fn health(_sandbox: crate::e2b::route::Sandboxed) -> axum::Json<&'static str> {
    axum::Json("OK")
}
