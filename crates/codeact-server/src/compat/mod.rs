//! Small protocols of other servers: SandboxFusion and LibreChat's code interpreter.
//!
//! Both run scripts: `script` has a script's turn and the exit status of its end, `temporary` a session that is removed
//! when its request ends.

mod fusion;
mod fusion_error;
mod fusion_jupyter;
mod librechat;
mod script;
mod temporary;

use axum::Router;
use axum::routing::{get, post};

use crate::app::AppState;

/// Returns the routes.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/run_code", post(fusion::run_code))
        .route("/run_jupyter", post(fusion_jupyter::run_jupyter))
        .route("/v1/ping", get(fusion::ping))
        .merge(librechat::routes())
}
