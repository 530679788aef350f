//! Jupyter Server's REST and WebSocket API.
//!
//! A kernel is a session of the tenant whose metadata has the key `jupyter` (`record`). While clients use it, it has a
//! [`Kernel`](kernel::Kernel) in memory, with a queue of requests and the connected sockets (`registry`).
//!
//! From the top down; a file imports only files of its row and of the rows below:
//!
//! | file | content |
//! |---|---|
//! | `info`, `sessions`, `contents`, `checkpoints`, `channels`, `kernels` | the routes, by their resource |
//! | `login` | the log-in, and the tenant of a request |
//! | `registry` | the kernels that clients use now |
//! | `worker`, `execute`, `output`, `ask_user`, `introspect`, `history` | the answers to messages on the shell channel |
//! | `kernel` | a kernel's queue of requests and its sockets |
//! | `replies`, `socket`, `message`, `frames`, `request` | contents, bounded queues, messages and their encodings |
//! | `logins`, `workspace`, `record`, `content_model`, `ids`, `error` | log-ins, sessions and files as data |

mod ask_user;
mod channels;
mod checkpoints;
mod content_model;
mod contents;
mod error;
mod execute;
mod frames;
mod history;
pub(crate) mod ids;
mod info;
mod introspect;
mod kernel;
mod kernels;
mod login;
mod logins;
mod message;
pub(crate) mod output;
mod record;
mod registry;
mod replies;
mod request;
mod sessions;
mod socket;
mod worker;
mod workspace;

use std::sync::Arc;

use axum::routing::{any, get, post};
use axum::{Extension, Router};

use crate::app::AppState;

/// Returns the routes.
pub(crate) fn routes() -> Router<AppState> {
    let state = Arc::new(registry::JupyterState::default());
    Router::new()
        .route("/login", get(login::form).post(login::submit))
        .route("/logout", get(login::logout))
        .route("/api", get(info::version))
        .route("/api/", get(info::version))
        .route("/api/status", get(info::status))
        .route("/api/me", get(info::me))
        .route(
            "/api/terminals",
            get(info::terminals).post(info::no_terminals),
        )
        .route("/api/kernelspecs", get(info::kernelspecs))
        .route("/api/kernelspecs/{name}", get(info::kernelspec))
        .route("/api/kernels", get(kernels::list).post(kernels::create))
        .route(
            "/api/kernels/{id}",
            get(kernels::show).delete(kernels::remove),
        )
        .route("/api/kernels/{id}/interrupt", post(kernels::interrupt))
        .route("/api/kernels/{id}/restart", post(kernels::restart))
        .route("/api/kernels/{id}/channels", any(channels::connect))
        .route("/api/sessions", get(sessions::list).post(sessions::create))
        .route(
            "/api/sessions/{id}",
            get(sessions::show)
                .patch(sessions::change)
                .delete(sessions::remove),
        )
        .route(
            "/api/contents",
            get(contents::show_root).post(contents::create_in_root),
        )
        .route(
            "/api/contents/",
            get(contents::show_root).post(contents::create_in_root),
        )
        .route(
            "/api/contents/{*path}",
            get(contents::show)
                .post(contents::create)
                .put(contents::save)
                .patch(contents::rename)
                .delete(contents::remove),
        )
        .layer(Extension(state))
}
