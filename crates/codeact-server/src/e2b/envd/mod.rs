//! envd: the files and processes of a sandbox (port 49983).
//!
//! | module | subject |
//! |---|---|
//! | `connect`, `stream` | the Connect protocol: calls, and streams of framed messages |
//! | `error` | errors of calls, with their codes |
//! | `paths`, `entry` | paths as clients write them, and descriptions of files |
//! | `transfer`, `upload` | `GET /files` and `POST /files` |
//! | `metadata` | the client's metadata of files |
//! | `filesystem` | the service `filesystem.Filesystem` |
//! | `listing`, `watch` | watchers: listings of folders, compared |
//! | `process`, `processes` | the service `process.Process`, and the commands that run |
//! | `state` | what the handlers share |

mod connect;
mod entry;
mod error;
mod filesystem;
mod listing;
mod metadata;
mod paths;
mod process;
mod process_messages;
mod processes;
mod state;
mod stream;
mod transfer;
mod upload;
mod watch;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};

use crate::app::AppState;
use crate::e2b::route::Sandboxed;
use state::SharedState;

/// Returns the routes, without the prefix of the port.
pub(crate) fn routes() -> Router<AppState> {
    let calls = Router::new()
        .route("/filesystem.Filesystem/Stat", post(filesystem::stat))
        .route("/filesystem.Filesystem/ListDir", post(filesystem::list_dir))
        .route("/filesystem.Filesystem/MakeDir", post(filesystem::make_dir))
        .route("/filesystem.Filesystem/Move", post(filesystem::move_entry))
        .route("/filesystem.Filesystem/Remove", post(filesystem::remove))
        .route("/filesystem.Filesystem/CreateWatcher", post(watch::create))
        .route(
            "/filesystem.Filesystem/GetWatcherEvents",
            post(watch::events),
        )
        .route("/filesystem.Filesystem/RemoveWatcher", post(watch::remove))
        .route("/process.Process/List", post(process::list))
        .route("/process.Process/Update", post(process::update))
        .route("/process.Process/SendInput", post(process::send_input))
        .route("/process.Process/SendSignal", post(process::send_signal))
        .route("/process.Process/CloseStdin", post(process::close_stdin))
        .layer(middleware::from_fn(connect::with_deadline));
    Router::new()
        .route("/health", get(health))
        .route("/files", get(transfer::download).post(upload::upload))
        .route("/filesystem.Filesystem/WatchDir", post(watch::watch_dir))
        .route("/process.Process/Start", post(process::start))
        .route("/process.Process/Connect", post(process::connect))
        .route("/process.Process/StreamInput", post(process::stream_input))
        .merge(calls)
        .layer(Extension(SharedState::default()))
}

/// The clients ask whether a sandbox runs.
async fn health(Sandboxed(_): Sandboxed) -> StatusCode {
    StatusCode::NO_CONTENT
}
