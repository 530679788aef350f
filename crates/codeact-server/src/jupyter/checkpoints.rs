//! Checkpoints of files in the Contents API: one each, as a copy in `.ipynb_checkpoints`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use codeact::sandbox::Session;
use codeact_sessions::manager::ManagerError;
use serde_json::{Value, json};

use super::content_model::ContentPath;
use super::error::JupyterError;
use super::ids::timestamp;
use super::workspace::session_of;
use crate::app::ServerTenant;

/// Identifier of the checkpoint of every file.
const ID: &str = "checkpoint";

fn model(session: &Session, checkpoint: &ContentPath) -> Result<Value, ManagerError> {
    let info = session.file_info(&checkpoint.guest())?;
    Ok(json!({ "id": ID, "last_modified": timestamp(info.modified) }))
}

/// Copies a file in the session.
fn copy(session: &mut Session, from: &ContentPath, to: &ContentPath) -> Result<(), ManagerError> {
    let file = session.read_file(&from.guest())?;
    let bytes = file.to_vec();
    let bytes = bytes.map_err(|e| codeact::sandbox::FileError::Io(from.public(), e))?;
    Ok(session.write_file(&to.guest(), &bytes)?)
}

pub(super) async fn list(tenant: &ServerTenant, file: &str) -> Result<Json<Value>, JupyterError> {
    let path = ContentPath::parse(file)?;
    let session = session_of(tenant, &path).await?;
    let models = session.read(move |session| {
        session.file_info(&path.guest())?;
        Ok(model(session, &path.checkpoint()).into_iter().collect())
    });
    Ok(Json(models.await?))
}

pub(super) async fn create(tenant: &ServerTenant, file: &str) -> Result<Response, JupyterError> {
    let path = ContentPath::parse(file)?;
    let session = session_of(tenant, &path).await?;
    let model = session.change(move |session| {
        copy(session, &path, &path.checkpoint())?;
        model(session, &path.checkpoint())
    });
    Ok((StatusCode::CREATED, Json(model.await?)).into_response())
}

pub(super) async fn restore(tenant: &ServerTenant, file: &str) -> Result<Response, JupyterError> {
    let path = ContentPath::parse(file)?;
    let session = session_of(tenant, &path).await?;
    let restored = session.change(move |session| copy(session, &path.checkpoint(), &path));
    restored.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn remove(tenant: &ServerTenant, file: &str) -> Result<StatusCode, JupyterError> {
    let path = ContentPath::parse(file)?;
    let session = session_of(tenant, &path).await?;
    let removed = session.change(move |session| {
        session.remove_path(&path.checkpoint().guest())?;
        Ok(())
    });
    removed.await?;
    Ok(StatusCode::NO_CONTENT)
}
