//! Files of a session, by path. A path is absolute, or relative to the home folder `/home/user`.
//!
//! Security boundary: a path is untrusted. It is resolved in the tree of the sandbox only, where `..` cannot leave it.
//! The code chose the content, so it is served in a way in which a browser runs nothing of it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use codeact::sandbox::{FileKind, GuestFile, Session};
use codeact::wire::FileInfoJson;
use codeact_sessions::manager::ManagerError;
use serde::Serialize;

use super::json_body::read_body;
use super::outlet::whole;
use super::pictures::GUEST_POLICY;
use super::state::V1State;
use super::transfers::send;
use super::url::{QueryMap, UrlPath};
use crate::app::AppState;
use crate::auth::Caller;
use crate::error::ApiError;

/// Size up to which a file is read into memory, in bytes. A larger one is copied to a temporary file, so that a slow
/// client holds neither memory nor a thread.
const IN_MEMORY_BYTES: u64 = 1 << 20;
/// Limit of the entries in one listing.
const MAX_ENTRIES: usize = 10_000;
/// The home folder.
const HOME: &str = "/home/user";

/// Response of `GET /v1/sessions/{id}/files`.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    entries: Vec<FileInfoJson>,
    /// Entries beyond the limit.
    left_out: usize,
}

/// `GET /v1/sessions/{id}/files`
pub(super) async fn list(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    mut query: QueryMap,
) -> Result<Json<Listing>, ApiError> {
    let path = query.text("path").unwrap_or_else(|| HOME.to_owned());
    query.finish()?;
    let read = move |session: &Session| Ok(session.list_dir(&path)?);
    let entries = tenant.sessions.get(&id)?.read(read).await?;
    let left_out = entries.len().saturating_sub(MAX_ENTRIES);
    let entries = entries.iter().take(MAX_ENTRIES).map(FileInfoJson::from);
    Ok(Json(Listing {
        entries: entries.collect(),
        left_out,
    }))
}

/// Content of a file on its way to a client.
enum Content {
    Memory(Vec<u8>),
    File(tempfile::NamedTempFile),
}

/// `GET /v1/sessions/{id}/files/{path}`
pub(super) async fn download(
    State(app): State<AppState>,
    Extension(v1): Extension<Arc<V1State>>,
    Caller(tenant): Caller,
    UrlPath((id, path)): UrlPath<(String, String)>,
    query: QueryMap,
) -> Result<Response, ApiError> {
    query.finish()?;
    let read = move |session: &Session| Ok(session.read_file(&path)?);
    // Cheap: the content is shared with the session and read without access to it.
    let file = tenant.sessions.get(&id)?.read(read).await?;
    let bytes = file.len();
    let content = tokio::task::spawn_blocking(move || copy(&file, &v1, &app))
        .await
        .map_err(ApiError::internal)?
        .map_err(ApiError::internal)?;
    let body = match content {
        Content::Memory(content) => whole(Bytes::from(content)),
        Content::File(temporary) => {
            let file = temporary.reopen().map_err(ApiError::internal)?;
            send(file, temporary)
        }
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    for (name, value) in [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, GUEST_POLICY),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Copies the content of `file`. Blocks.
fn copy(file: &GuestFile, v1: &V1State, app: &AppState) -> std::io::Result<Content> {
    if file.len() <= IN_MEMORY_BYTES {
        return Ok(Content::Memory(file.to_vec()?));
    }
    let mut temporary = v1.transfers.file(&app.config)?;
    file.copy_to(temporary.as_file_mut())?;
    Ok(Content::File(temporary))
}

/// `PUT /v1/sessions/{id}/files/{path}`
pub(super) async fn upload(
    State(app): State<AppState>,
    Caller(tenant): Caller,
    UrlPath((id, path)): UrlPath<(String, String)>,
    query: QueryMap,
    request: Request,
) -> Result<Json<FileInfoJson>, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    let content = read_body(request.into_body(), app.config.body).await?;
    let write = move |session: &mut Session| {
        session.write_file(&path, &content)?;
        Ok(session.file_info(&path)?)
    };
    let info = session.change(write).await?;
    Ok(Json(FileInfoJson::from(&info)))
}

/// `DELETE /v1/sessions/{id}/files/{path}`
pub(super) async fn remove(
    Caller(tenant): Caller,
    UrlPath((id, path)): UrlPath<(String, String)>,
    mut query: QueryMap,
) -> Result<StatusCode, ApiError> {
    let recursive = query.parse::<bool>("recursive", "`true` or `false`")?;
    query.finish()?;
    let remove = move |session: &mut Session| {
        let is_folder = session.file_info(&path)?.kind == FileKind::Dir;
        if is_folder && recursive != Some(true) && !session.list_dir(&path)?.is_empty() {
            return Err(ManagerError::File(codeact::sandbox::FileError::Exists(
                path,
            )));
        }
        Ok(session.remove_path(&path)?)
    };
    tenant.sessions.get(&id)?.change(remove).await?;
    Ok(StatusCode::NO_CONTENT)
}
