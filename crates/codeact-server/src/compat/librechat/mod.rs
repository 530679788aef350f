//! LibreChat's code interpreter API: scripts over stored files, and programmatic tool calling.
//!
//! A *storage session* is a session of the tenant whose home folder, `/mnt/data`, has the files; its metadata has their
//! identifiers (`storage`). `exec` runs a script in a new one. `programmatic` runs a script whose tools are functions of
//! the client: the turn waits in place (`waiting`) between the client's requests, which `client_tools` connects.
//!
//! The shapes are those of ClickHouse/code-interpreter, `service/src/types/service.ts`, and of the client
//! danny-avila/agents, `src/tools`.

mod client_tools;
mod error;
mod exec;
mod files;
mod outputs;
mod programmatic;
mod storage;
mod upload;
mod waiting;

use std::sync::Arc;

use axum::routing::{delete, get, post};
use axum::{Extension, Router};

use crate::app::AppState;

/// Returns the routes. The client's base URL can end with `/v1`, as that of the original service does.
pub(super) fn routes() -> Router<AppState> {
    let both = Router::new()
        .route("/exec", post(exec::exec))
        .route("/exec/programmatic", post(programmatic::exec))
        .route("/upload", post(upload::upload))
        .route("/upload/batch", post(upload::upload_batch))
        .route("/files/{session}", get(files::list))
        .route("/files/{session}/{file}", delete(files::remove))
        .route("/download/{session}/{file}", get(files::download));
    Router::new()
        .nest("/v1", both.clone())
        .merge(both)
        .route("/v1/health", get(files::health))
        .route("/sessions/{session}/objects/{file}", get(files::describe))
        .route("/v1/sessions/{id}/objects/{file}", get(files::describe))
        .layer(Extension(Arc::new(waiting::WaitingTurns::default())))
}
