//! The resource `/api/contents`: files and notebooks.
//!
//! The root is the home folder of the tenant's workspace; `kernels/ID` is the home folder of a kernel.
//!
//! Security boundary: paths are untrusted. They are validated here, and resolved in the tree of a session only.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codeact::sandbox::{FileError, FileKind, Session};
use codeact_sessions::manager::ManagerError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::checkpoints;
use super::content_model::{ContentPath, KERNELS, View, show as model_of};
use super::error::JupyterError;
use super::ids::timestamp;
use super::kernels::{activity, read_json};
use super::login::JupyterCaller;
use super::record;
use super::registry::JupyterState;
use super::workspace;
use crate::app::ServerTenant;
use crate::error::ApiError;

/// Number of untitled files in one folder.
const MAX_UNTITLED: u32 = 1000;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Saved {
    #[serde(rename = "type")]
    kind: Option<String>,
    format: Option<String>,
    content: Value,
    /// Only in `PATCH`: the new path.
    path: Option<String>,
    /// Only in `POST`.
    copy_from: Option<String>,
    /// Only in `POST`: the extension of the new file.
    ext: Option<String>,
}

fn without_content() -> View {
    View {
        kind: None,
        format: None,
        content: Some(0),
    }
}

pub(super) async fn show_root(
    caller: JupyterCaller,
    view: Query<View>,
) -> Result<Json<Value>, JupyterError> {
    show_path(&caller.0, "", view.0).await
}

pub(super) async fn show(
    caller: JupyterCaller,
    Path(path): Path<String>,
    view: Query<View>,
) -> Result<Json<Value>, JupyterError> {
    if let Some(file) = path.strip_suffix("/checkpoints") {
        return checkpoints::list(&caller.0, file).await;
    }
    show_path(&caller.0, &path, view.0).await
}

async fn show_path(
    tenant: &ServerTenant,
    path: &str,
    view: View,
) -> Result<Json<Value>, JupyterError> {
    let path = ContentPath::parse(path)?;
    if path.is_kernels() {
        return Ok(Json(kernels_folder(tenant)));
    }
    let session = workspace::session_of(tenant, &path).await?;
    let is_root = path == ContentPath::parse("")?;
    let mut model = session
        .read(move |session| model_of(session, &path, &view))
        .await??;
    if is_root && let Some(Value::Array(entries)) = model.get_mut("content") {
        let mut kernels = kernels_folder(tenant);
        kernels["content"] = Value::Null;
        kernels["format"] = Value::Null;
        entries.push(kernels);
    }
    Ok(Json(model))
}

/// Returns the description of the folder with the kernels' files.
fn kernels_folder(tenant: &ServerTenant) -> Value {
    let folder = |name: &str, path: &str, time: &str| {
        json!({
            "name": name, "path": path, "type": "directory", "last_modified": time, "created": time,
            "content": null, "format": null, "mimetype": null, "size": null, "writable": false,
            "hash": null, "hash_algorithm": null,
        })
    };
    let kernels = record::kernels(&tenant.sessions);
    let entries = kernels.iter().map(|(handle, _)| {
        let path = format!("{KERNELS}/{}", handle.id());
        folder(handle.id(), &path, &timestamp(activity(handle)))
    });
    let mut model = folder(KERNELS, KERNELS, &timestamp(std::time::UNIX_EPOCH));
    model["content"] = entries.collect();
    model["format"] = "json".into();
    model
}

/// Writes a file or makes a folder.
pub(super) async fn save(
    JupyterCaller(tenant): JupyterCaller,
    Path(path): Path<String>,
    body: Bytes,
) -> Result<Response, JupyterError> {
    let saved: Saved = read_json(&body)?;
    let path = writable(&path)?;
    let session = workspace::session_of(&tenant, &path).await?;
    let content = match saved.kind.as_deref() {
        Some("directory") => None,
        _ => Some(content_of(&saved)?),
    };
    let (is_new, model) = session
        .change(move |session| {
            let is_new = session.file_info(&path.guest()).is_err();
            match content {
                Some(bytes) => session.write_file(&path.guest(), &bytes)?,
                None if is_new => session.make_dir(&path.guest())?,
                None => {}
            }
            Ok((is_new, model_of(session, &path, &without_content())?))
        })
        .await?;
    let status = match is_new {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(model?)).into_response())
}

fn content_of(saved: &Saved) -> Result<Vec<u8>, ApiError> {
    match (
        saved.kind.as_deref(),
        saved.format.as_deref(),
        &saved.content,
    ) {
        (Some("notebook"), _, notebook @ Value::Object(_)) => {
            let text = serde_json::to_string_pretty(notebook);
            Ok(text.map_err(ApiError::internal)?.into_bytes())
        }
        (Some("notebook"), ..) => Err(ApiError::bad_request(
            "the content of a notebook is an object",
        )),
        (_, Some("base64"), Value::String(text)) => {
            let text: String = text.split_ascii_whitespace().collect();
            let bytes = STANDARD.decode(text);
            bytes.map_err(|_| ApiError::bad_request("the content is not valid base64"))
        }
        (_, None | Some("text"), Value::String(text)) => Ok(text.clone().into_bytes()),
        (_, Some("json"), value) if !value.is_null() => Ok(value.to_string().into_bytes()),
        _ => Err(ApiError::bad_request(
            "expected content, with the format text, base64 or json",
        )),
    }
}

/// Validates the path of a file that is written. The folder of the kernels is virtual.
fn writable(path: &str) -> Result<ContentPath, ApiError> {
    let path = ContentPath::parse(path)?;
    match path.inner.is_empty() || path.is_kernels() {
        true => Err(ApiError::bad_request(format!(
            "{:?} cannot be changed",
            path.public()
        ))),
        false => Ok(path),
    }
}

pub(super) async fn create_in_root(
    caller: JupyterCaller,
    body: Bytes,
) -> Result<Response, JupyterError> {
    create_in(&caller.0, "", &body).await
}

pub(super) async fn create(
    caller: JupyterCaller,
    Path(path): Path<String>,
    body: Bytes,
) -> Result<Response, JupyterError> {
    match path.rsplit_once("/checkpoints") {
        Some((file, "")) => checkpoints::create(&caller.0, file).await,
        Some((file, id)) if id.starts_with('/') => checkpoints::restore(&caller.0, file).await,
        _ => create_in(&caller.0, &path, &body).await,
    }
}

/// Makes an untitled file or folder, or a copy, in the folder `path`.
async fn create_in(
    tenant: &ServerTenant,
    path: &str,
    body: &Bytes,
) -> Result<Response, JupyterError> {
    let saved: Saved = read_json(body)?;
    let folder = ContentPath::parse(path)?;
    let source = saved
        .copy_from
        .as_deref()
        .map(ContentPath::parse)
        .transpose()?;
    let bytes = match &source {
        Some(source) => {
            let session = workspace::session_of(tenant, source).await?;
            let guest = source.guest();
            let read = move |session: &Session| Ok(session.read_file(&guest)?);
            let file = session.read(read).await?;
            Some(file.to_vec().map_err(ApiError::internal)?)
        }
        None => match saved.kind.as_deref() {
            Some("directory") => None,
            Some("notebook") => Some(empty_notebook()),
            _ => Some(Vec::new()),
        },
    };
    let extension = saved.ext.unwrap_or_default();
    let (stem, extension) = match (&source, saved.kind.as_deref()) {
        (Some(source), _) => {
            let name = source.inner.rsplit('/').next().unwrap_or_default();
            let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
            let dot = if extension.is_empty() { "" } else { "." };
            (format!("{stem}-Copy"), format!("{dot}{extension}"))
        }
        (None, Some("directory")) => ("Untitled Folder".to_owned(), String::new()),
        (None, Some("notebook")) => ("Untitled".to_owned(), ".ipynb".to_owned()),
        (None, _) => ("untitled".to_owned(), extension),
    };
    // Validates the extension too.
    writable(&folder.join(&format!("{stem}{extension}")).public())?;
    let session = workspace::session_of(tenant, &folder).await?;
    let model = session
        .change(move |session| {
            let path = free_name(session, &folder, &stem, &extension)?;
            match bytes {
                Some(bytes) => session.write_file(&path.guest(), &bytes)?,
                None => session.make_dir(&path.guest())?,
            }
            model_of(session, &path, &without_content())
        })
        .await??;
    let path = model["path"].as_str().unwrap_or_default();
    let location = [(LOCATION, format!("/api/contents/{}", encode(path)))];
    Ok((StatusCode::CREATED, location, Json(model)).into_response())
}

/// Returns the first name of the series `stem.ext`, `stem1.ext`, … that does not exist.
fn free_name(
    session: &Session,
    folder: &ContentPath,
    stem: &str,
    extension: &str,
) -> Result<ContentPath, ManagerError> {
    let first = u32::from(stem.ends_with("-Copy"));
    let names = (first..MAX_UNTITLED).map(|number| match number {
        0 => format!("{stem}{extension}"),
        number => format!("{stem}{number}{extension}"),
    });
    for name in names {
        let path = folder.join(&name);
        if session.file_info(&path.guest()).is_err() {
            return Ok(path);
        }
    }
    Err(FileError::Exists(folder.join(stem).public()).into())
}

fn empty_notebook() -> Vec<u8> {
    json!({ "cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5 })
        .to_string()
        .into_bytes()
}

/// Returns `path` for a header: every byte that is not plain is escaped.
fn encode(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
    path.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

pub(super) async fn rename(
    JupyterCaller(tenant): JupyterCaller,
    Path(path): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, JupyterError> {
    let saved: Saved = read_json(&body)?;
    let to = saved
        .path
        .ok_or_else(|| ApiError::bad_request("expected the new path"))?;
    let (from, to) = (writable(&path)?, writable(&to)?);
    if from.kernel != to.kernel {
        let why = "a file cannot be moved between kernels; copy it instead";
        return Err(ApiError::bad_request(why).into());
    }
    let session = workspace::session_of(&tenant, &from).await?;
    let model = session
        .change(move |session| {
            if from != to && session.file_info(&to.guest()).is_ok() {
                return Err(FileError::Exists(to.public()).into());
            }
            session.rename_path(&from.guest(), &to.guest())?;
            model_of(session, &to, &without_content())
        })
        .await??;
    Ok(Json(model))
}

pub(super) async fn remove(
    Extension(_): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(path): Path<String>,
) -> Result<StatusCode, JupyterError> {
    if let Some((file, id)) = path.rsplit_once("/checkpoints/")
        && !id.contains('/')
    {
        return checkpoints::remove(&tenant, file).await;
    }
    let path = writable(&path)?;
    let session = workspace::session_of(&tenant, &path).await?;
    session
        .change(move |session| {
            let is_full = session.file_info(&path.guest())?.kind == FileKind::Dir
                && !session.list_dir(&path.guest())?.is_empty();
            match is_full {
                true => Err(FileError::Exists(path.public()).into()),
                false => Ok(session.remove_path(&path.guest())?),
            }
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
