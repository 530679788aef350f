//! Stored files: list, download, describe, remove.

use axum::Json;
use axum::extract::{Path, Query};
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use codeact::sandbox::FileInfo;
use codeact_sessions::manager::SessionHandle;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::LibreChatError;
use super::storage::{self, StoredFile};
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::jupyter::ids::timestamp;

#[derive(Deserialize)]
pub(super) struct Detail {
    detail: Option<String>,
}

pub(super) async fn health() -> &'static str {
    "OK"
}

fn find_file(
    tenant: &ServerTenant,
    session: &str,
    file: &str,
) -> Result<(SessionHandle, StoredFile), LibreChatError> {
    let missing = || LibreChatError::missing("File not found");
    let (handle, storage) = storage::find(tenant, session).map_err(|_| missing())?;
    // A name with an extension, as lists have it, is also accepted.
    let id = file.split('.').next().unwrap_or_default();
    let file = storage.files.get(id).cloned().ok_or_else(missing)?;
    Ok((handle, file))
}

/// Returns the name of the stored object: the session, the identifier and the extension.
fn object_name(session: &str, id: &str, file: &StoredFile) -> String {
    let base = file.name.rsplit('/').next().unwrap_or_default();
    match base.rsplit_once('.') {
        Some((_, extension)) => format!("{session}/{id}.{extension}"),
        None => format!("{session}/{id}"),
    }
}

fn etag(info: &FileInfo) -> String {
    let modified = info.modified.duration_since(std::time::UNIX_EPOCH);
    format!(
        "{:x}-{:x}",
        modified.unwrap_or_default().as_nanos(),
        info.bytes
    )
}

/// Lists the files of a storage session. `detail` is `simple` (names), `summary` or `full`.
pub(super) async fn list(
    Caller(tenant): Caller,
    Path(session): Path<String>,
    Query(Detail { detail }): Query<Detail>,
) -> Result<Json<Value>, LibreChatError> {
    let (handle, storage) = storage::find(&tenant, &session)?;
    let files = storage.files;
    let infos = handle.read(move |session| {
        let info = |(id, file): (String, StoredFile)| {
            // The code may have removed it.
            let info = session.file_info(&file.path()).ok()?;
            Some((id, file, info))
        };
        Ok(files.into_iter().filter_map(info).collect::<Vec<_>>())
    });
    let detail = detail.unwrap_or_else(|| "simple".into());
    let models = infos.await?.into_iter().map(|(id, file, info)| {
        let name = object_name(&session, &id, &file);
        let mut model = json!({
            "name": name,
            "size": info.bytes,
            "lastModified": timestamp(info.modified),
            "etag": etag(&info),
        });
        match detail.as_str() {
            "full" => {
                model["id"] = id.into();
                model["storage_session_id"] = session.as_str().into();
                model["contentType"] = file.kind.as_str().into();
                model["metadata"] = json!({
                    "content-type": file.kind,
                    "original-filename": file.name,
                });
                model
            }
            "summary" => model,
            _ => name.into(),
        }
    });
    Ok(Json(models.collect()))
}

/// Returns the content of a file.
pub(super) async fn download(
    Caller(tenant): Caller,
    Path((session, file)): Path<(String, String)>,
) -> Result<Response, LibreChatError> {
    let (handle, file) = find_file(&tenant, &session, &file)?;
    let path = file.path();
    let content = handle
        .read(move |session| Ok(session.read_file(&path)?))
        .await?;
    let bytes = tokio::task::spawn_blocking(move || content.to_vec());
    let bytes = bytes.await.map_err(ApiError::internal)?;
    let bytes = bytes.map_err(ApiError::internal)?;
    let octets = HeaderValue::from_static("application/octet-stream");
    let kind = HeaderValue::from_str(&file.kind).unwrap_or(octets);
    let disposition = HeaderValue::from_str(&disposition(&file.name));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (CONTENT_TYPE, kind),
        (CONTENT_DISPOSITION, disposition),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, bytes).into_response())
}

/// Returns the header with the name of a file that is saved and never shown, because the code chose its content.
fn disposition(name: &str) -> String {
    let base = name.rsplit('/').next().unwrap_or_default();
    let mut escaped = String::new();
    for byte in base.bytes() {
        match byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename*=UTF-8''{escaped}")
}

/// Returns the attributes of a file.
pub(super) async fn describe(
    Caller(tenant): Caller,
    Path((session, id)): Path<(String, String)>,
) -> Result<Json<Value>, LibreChatError> {
    let (handle, file) = find_file(&tenant, &session, &id)?;
    let path = file.path();
    let info = handle
        .read(move |session| Ok(session.file_info(&path)?))
        .await?;
    Ok(Json(json!({
        "name": object_name(&session, &id, &file),
        "originalFilename": file.name,
        "size": info.bytes,
        "lastModified": timestamp(info.modified),
        "etag": etag(&info),
        "contentType": file.kind,
        "readOnly": file.read_only,
    })))
}

/// Removes a file.
pub(super) async fn remove(
    Caller(tenant): Caller,
    Path((session, id)): Path<(String, String)>,
) -> Result<Json<Value>, LibreChatError> {
    let (handle, file) = find_file(&tenant, &session, &id)?;
    let path = file.path();
    let removed = handle.change(move |session| match session.file_info(&path) {
        Ok(_) => Ok(session.remove_path(&path)?),
        // The code has removed it.
        Err(_) => Ok(()),
    });
    removed.await?;
    let id = id.split('.').next().unwrap_or_default();
    storage::forget(&handle, id.to_owned()).await?;
    Ok(Json(json!({ "message": "File deleted successfully" })))
}
