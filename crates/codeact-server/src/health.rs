//! `GET /healthz` and `GET /readyz`, for supervisors and load balancers, without a token; `GET /` for people.

use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;

use crate::app::AppState;

/// Returns the routes.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        // The address that the server prints, in a browser.
        .route("/", get(async || Redirect::temporary("/docs")))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
}

/// Answers 503 while the server shuts down.
async fn readyz(State(app): State<AppState>) -> (StatusCode, &'static str) {
    match app.is_stopping.load(Ordering::Relaxed) {
        false => (StatusCode::OK, "ready\n"),
        true => (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n"),
    }
}
