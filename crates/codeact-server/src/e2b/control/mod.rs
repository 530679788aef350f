//! Control plane: sandboxes, snapshots and templates.
//!
//! A sandbox is a session of the tenant whose API key the request has. `create` makes it, `list` and `info` describe it,
//! `life` has its end, pause and resumption, `fork` and `snapshots` copy it, `network` narrows its hosts, `templates`
//! answers which templates there are. `body` and `idempotency` are shared by their handlers.

mod body;
mod create;
mod fork;
mod idempotency;
mod info;
mod life;
mod list;
mod network;
mod snapshots;
mod templates;

use axum::Router;
use axum::routing::{any, delete, get, post, put};

use crate::app::AppState;
use crate::e2b::error::E2bError;

pub(crate) use create::is_variable;
pub(crate) use idempotency::Idempotency;

/// Returns the routes of the control plane.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/sandboxes", post(create::create_v1).get(list::list_v1))
        .route("/v2/sandboxes", post(create::create_v2).get(list::list_v2))
        .route("/sandboxes/metrics", get(info::metrics_of_many))
        .route("/sandboxes/{id}", get(info::detail).delete(life::kill))
        .route("/sandboxes/{id}/timeout", post(life::set_timeout))
        .route("/sandboxes/{id}/refreshes", post(life::refresh))
        .route("/sandboxes/{id}/pause", post(life::pause))
        .route("/sandboxes/{id}/resume", post(life::resume))
        .route("/sandboxes/{id}/connect", post(life::connect_v1))
        .route("/v2/sandboxes/{id}/connect", post(life::connect_v2))
        .route("/sandboxes/{id}/fork", post(fork::fork))
        .route("/sandboxes/{id}/snapshots", post(snapshots::create))
        .route("/sandboxes/{id}/network", put(network::update))
        .route("/sandboxes/{id}/metrics", get(info::metrics))
        .route("/sandboxes/{id}/logs", get(info::logs))
        .route("/v2/sandboxes/{id}/logs", get(info::logs_v2))
        .route("/snapshots", get(snapshots::list))
        .route("/templates", get(templates::list))
        .route("/v2/templates", get(templates::list))
        .route("/templates/defaults", get(templates::defaults))
        .route("/templates/aliases/{alias}", get(templates::alias))
        .route(
            "/templates/{id}",
            delete(snapshots::remove)
                .get(templates::detail)
                .post(no_builds)
                .patch(no_builds),
        )
        .route("/templates/{id}/{*rest}", any(no_builds))
        .route("/v2/templates/{*rest}", any(no_builds))
        .route("/v3/templates", any(no_builds))
        .route("/volumes", any(no_volumes))
        .route("/volumes/{*rest}", any(no_volumes))
        .route("/secrets", any(no_secrets))
        .route("/secrets/{*rest}", any(no_secrets))
        .route("/teams", any(no_teams))
        .route("/teams/{*rest}", any(no_teams))
}

async fn no_builds() -> E2bError {
    E2bError::not_available(
        "this server does not build templates. Set up a sandbox with code, and give it a name with create_snapshot: \
         Sandbox.create(NAME) then starts from it",
    )
}

async fn no_volumes() -> E2bError {
    E2bError::not_available(
        "this server has no volumes. Its operator can mount folders of the host; fork and create_snapshot copy files",
    )
}

async fn no_secrets() -> E2bError {
    E2bError::not_available(
        "this server has no API for secrets. Its operator grants secrets to the tenant, and code uses them in requests",
    )
}

async fn no_teams() -> E2bError {
    E2bError::not_available("this server has no teams. Its operator sets tenants and their tokens")
}
