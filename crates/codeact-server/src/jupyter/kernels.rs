//! The resource `/api/kernels`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use codeact_sessions::manager::{SessionHandle, SessionSettings};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::error::JupyterError;
use super::ids::{ago, timestamp, uuid};
use super::login::JupyterCaller;
use super::record::{self, KERNEL_NAME, KernelRecord};
use super::registry::JupyterState;
use crate::app::ServerTenant;
use crate::error::ApiError;

/// Names of kernel specs that clients ask for.
const KNOWN_NAMES: [&str; 3] = [KERNEL_NAME, "python", ""];

#[derive(Deserialize, Default)]
#[serde(default)]
struct NewKernel {
    name: Option<String>,
}

/// Reads a body in JSON; the default if it is empty.
pub(super) fn read_json<T: DeserializeOwned + Default>(body: &Bytes) -> Result<T, JupyterError> {
    if body.trim_ascii().is_empty() || body.trim_ascii() == b"null" {
        return Ok(T::default());
    }
    serde_json::from_slice(body)
        .map_err(|e| ApiError::bad_request(format!("Invalid JSON in body of request: {e}")).into())
}

/// Returns the time of the last request to a kernel.
pub(super) fn activity(handle: &SessionHandle) -> SystemTime {
    ago(handle.status().unused)
}

/// Returns the description of a kernel.
pub(super) fn model(state: &JupyterState, tenant: &ServerTenant, handle: &SessionHandle) -> Value {
    let kernel = state.find(&tenant.sessions, handle.id());
    let execution_state = match &kernel {
        Some(kernel) if kernel.is_busy() => "busy",
        Some(_) => "idle",
        None => "starting",
    };
    json!({
        "id": handle.id(),
        "name": KERNEL_NAME,
        "last_activity": timestamp(activity(handle)),
        "execution_state": execution_state,
        "connections": kernel.map_or(0, |kernel| kernel.connections()),
    })
}

/// Makes a kernel. `name` is that of a kernel spec.
pub(super) async fn start(
    tenant: &ServerTenant,
    name: Option<&str>,
    record: &KernelRecord,
) -> Result<SessionHandle, JupyterError> {
    if let Some(name) = name.filter(|name| !KNOWN_NAMES.contains(name)) {
        return Err(ApiError::not_found(format!("No such kernel named {name:.100}")).into());
    }
    let mut settings = SessionSettings::default();
    settings.metadata = record::metadata(record);
    Ok(tenant.sessions.create(Some(uuid()?), settings).await?)
}

/// Removes a kernel, with its running code and its files.
pub(super) async fn end(
    state: &JupyterState,
    tenant: &ServerTenant,
    handle: &SessionHandle,
) -> Result<(), JupyterError> {
    handle.remove().await?;
    state.forget(&tenant.sessions, handle.id());
    Ok(())
}

pub(super) async fn list(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
) -> Json<Value> {
    let kernels = record::kernels(&tenant.sessions);
    let models = kernels
        .iter()
        .map(|(handle, _)| model(&state, &tenant, handle));
    Json(models.collect())
}

pub(super) async fn create(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    body: Bytes,
) -> Result<Response, JupyterError> {
    let new: NewKernel = read_json(&body)?;
    let handle = start(&tenant, new.name.as_deref(), &KernelRecord::default()).await?;
    let location = [(LOCATION, format!("/api/kernels/{}", handle.id()))];
    let model = Json(model(&state, &tenant, &handle));
    Ok((StatusCode::CREATED, location, model).into_response())
}

pub(super) async fn show(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, JupyterError> {
    let handle = record::kernel(&tenant.sessions, &id)?;
    Ok(Json(model(&state, &tenant, &handle)))
}

pub(super) async fn remove(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, JupyterError> {
    let handle = record::kernel(&tenant.sessions, &id)?;
    end(&state, &tenant, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Stops the running code. Its cell is rolled back.
pub(super) async fn interrupt(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, JupyterError> {
    let handle = record::kernel(&tenant.sessions, &id)?;
    match state.find(&tenant.sessions, &id) {
        Some(kernel) => kernel.interrupt(),
        None => {
            handle.interrupt();
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Starts the interpreter again. Files stay.
pub(super) async fn restart(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, JupyterError> {
    let kernel = state.open(&tenant, &id).await?;
    kernel.restart().await?;
    Ok(Json(model(&state, &tenant, &kernel.handle)))
}
