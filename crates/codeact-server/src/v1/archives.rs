//! Sessions as archives: export and import.
//!
//! Security boundary: an archive is untrusted. Its size is bounded here; the session store validates its content.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use codeact_sessions::SessionError;
use codeact_sessions::manager::ManagerError;

use super::requests::SandboxRequest;
use super::sessions::{created, expires_ms, ttl};
use super::state::V1State;
use super::transfers::{receive, send};
use super::url::{QueryMap, UrlPath};
use crate::app::AppState;
use crate::auth::Caller;
use crate::error::ApiError;

/// Limit of an archive, in bytes: that of the session store.
const MAX_ARCHIVE_BYTES: u64 = 4 << 30;

/// `GET /v1/sessions/{id}/export`
pub(super) async fn export(
    State(app): State<AppState>,
    Extension(v1): Extension<Arc<V1State>>,
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
) -> Result<Response, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    let temporary = tokio::task::spawn_blocking(move || v1.transfers.file(&app.config))
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    // The export replaces the file.
    let path = temporary.into_temp_path();
    session.export(path.to_path_buf()).await?;
    let file = std::fs::File::open(&path).map_err(ApiError::internal)?;
    let bytes = file.metadata().map_err(ApiError::internal)?.len();
    let mut response = Response::new(send(file, path));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    // An identifier has no characters that would need quoting.
    let disposition = format!("attachment; filename=\"{}.zip\"", session.id());
    if let Ok(disposition) = HeaderValue::try_from(disposition) {
        headers.insert(CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}

/// `POST /v1/sessions/import`
pub(super) async fn import(
    State(app): State<AppState>,
    Extension(v1): Extension<Arc<V1State>>,
    Caller(tenant): Caller,
    mut query: QueryMap,
    request: Request,
) -> Result<Response, ApiError> {
    let id = query.text("id");
    let ttl = query
        .parse::<u64>("ttl_s", "a number of seconds")?
        .map(ttl)
        .transpose()?;
    query.finish()?;
    let free = (tenant.sessions.quota().disk).saturating_sub(tenant.sessions.usage().disk);
    let max = free.min(MAX_ARCHIVE_BYTES);
    let body: Body = request.into_body();
    let transfers = v1.clone();
    let temporary = tokio::task::spawn_blocking(move || transfers.transfers.file(&app.config))
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let bytes = receive(body, temporary.as_file(), max).await?;
    if bytes == 0 {
        return Err(ApiError::bad_request(
            "the body is empty; expected an archive of a session",
        ));
    }
    let mut settings = SandboxRequest::default().settings(&tenant)?;
    settings.expires_ms = ttl.map(expires_ms);
    let path = temporary.path().to_owned();
    let imported = tenant.sessions.import(path, id, settings).await;
    let session = imported.map_err(refused)?;
    // A snapshot is validated when it is loaded.
    if let Err(error) = session.read(|_| Ok(())).await {
        let _ = session.remove().await;
        return Err(refused(error));
    }
    Ok(created(&tenant, &session))
}

/// Returns the error of an import. A damaged archive is the fault of the request. The path in the error is one of the
/// host, so only the reason is passed on.
fn refused(error: ManagerError) -> ApiError {
    let why = match error {
        ManagerError::Session(SessionError::Damaged { why, .. }) => why,
        ManagerError::Session(SessionError::Sandbox(error)) => {
            tracing::info!(%error, "an archive was refused");
            "its state is damaged, or was made with another pack or version".into()
        }
        ManagerError::Session(SessionError::NoTurn { .. }) => "its last state is missing".into(),
        error => return error.into(),
    };
    let message = format!("the archive cannot be imported: {why}");
    ApiError::new(StatusCode::BAD_REQUEST, "invalid_archive", message)
}
