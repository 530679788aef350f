//! The resource `/api/sessions`: documents and their kernels.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{StatusCode, header::LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use codeact_sessions::manager::SessionHandle;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::JupyterError;
use super::ids::uuid;
use super::kernels::{self, read_json};
use super::login::JupyterCaller;
use super::record::{self, JupyterSession, KernelRecord};
use super::registry::JupyterState;
use super::workspace;
use crate::app::ServerTenant;
use crate::error::ApiError;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    path: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    kernel: Option<WantedKernel>,
    /// The form of old clients.
    notebook: Option<WantedNotebook>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WantedKernel {
    id: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct WantedNotebook {
    path: Option<String>,
    name: Option<String>,
}

impl Wanted {
    /// Returns `session` with the values that are set.
    fn apply(&self, mut session: JupyterSession) -> JupyterSession {
        let notebook = self.notebook.as_ref();
        let path = self.path.clone();
        let path = path.or_else(|| notebook.and_then(|notebook| notebook.path.clone()));
        let name = self.name.clone();
        let name = name.or_else(|| notebook.and_then(|notebook| notebook.name.clone()));
        session.path = path.unwrap_or(session.path);
        session.name = name.unwrap_or(session.name);
        session.kind = self.kind.clone().unwrap_or(session.kind);
        session
    }
}

fn model(
    state: &JupyterState,
    tenant: &ServerTenant,
    handle: &SessionHandle,
    session: &JupyterSession,
) -> Value {
    json!({
        "id": session.id,
        "path": session.path,
        "name": session.name,
        "type": session.kind,
        "kernel": kernels::model(state, tenant, handle),
        "notebook": { "path": session.path, "name": session.name },
    })
}

/// Returns the Jupyter session `id` and its kernel.
fn find(tenant: &ServerTenant, id: &str) -> Result<(SessionHandle, JupyterSession), JupyterError> {
    let found = record::kernels(&tenant.sessions)
        .into_iter()
        .find_map(|(handle, record)| {
            let session = record.session.filter(|session| session.id == id)?;
            Some((handle, session))
        });
    let missing = || ApiError::not_found(format!("Session not found: session_id={id:.100}"));
    Ok(found.ok_or_else(missing)?)
}

/// Stores `session` with a kernel.
async fn store(
    handle: &SessionHandle,
    session: Option<JupyterSession>,
) -> Result<(), JupyterError> {
    let record = KernelRecord { session };
    let update = move |settings: &mut codeact_sessions::manager::SessionSettings| {
        settings.metadata.extend(record::metadata(&record));
    };
    Ok(handle.update(update).await?)
}

pub(super) async fn list(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
) -> Json<Value> {
    let kernels = record::kernels(&tenant.sessions);
    let models = kernels.iter().filter_map(|(handle, record)| {
        let session = record.session.as_ref()?;
        Some(model(&state, &tenant, handle, session))
    });
    Json(models.collect())
}

/// Returns the session of a document, and makes it with a kernel if there is none. A new kernel has a copy of the files of
/// the workspace.
pub(super) async fn create(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    body: Bytes,
) -> Result<Response, JupyterError> {
    let wanted: Wanted = read_json(&body)?;
    let mut session = wanted.apply(JupyterSession {
        kind: "notebook".into(),
        ..JupyterSession::default()
    });
    session.check()?;
    let existing = record::kernels(&tenant.sessions)
        .into_iter()
        .find_map(|(handle, record)| {
            let known = record.session?;
            (!session.path.is_empty() && known.path == session.path).then_some((handle, known))
        });
    let wanted_kernel = wanted.kernel.unwrap_or_default();
    let (handle, session) = match (existing, wanted_kernel.id.as_deref()) {
        (Some(found), _) => found,
        (None, Some(id)) => {
            let handle = record::kernel(&tenant.sessions, id)?;
            session.id = uuid()?;
            store(&handle, Some(session.clone())).await?;
            (handle, session)
        }
        (None, None) => {
            session.id = uuid()?;
            let record = KernelRecord {
                session: Some(session.clone()),
            };
            let name = wanted_kernel.name.as_deref();
            let handle = kernels::start(&tenant, name, &record).await?;
            workspace::copy_to(&tenant, &handle).await?;
            (handle, session)
        }
    };
    let location = [(LOCATION, format!("/api/sessions/{}", session.id))];
    let model = Json(model(&state, &tenant, &handle, &session));
    Ok((StatusCode::CREATED, location, model).into_response())
}

pub(super) async fn show(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
) -> Result<Json<Value>, JupyterError> {
    let (handle, session) = find(&tenant, &id)?;
    Ok(Json(model(&state, &tenant, &handle, &session)))
}

/// Renames a session, or gives it another kernel.
pub(super) async fn change(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<Value>, JupyterError> {
    let wanted: Wanted = read_json(&body)?;
    let (before, session) = find(&tenant, &id)?;
    let session = wanted.apply(session);
    session.check()?;
    let handle = match wanted.kernel {
        Some(WantedKernel { id: Some(id), .. }) => record::kernel(&tenant.sessions, &id)?,
        Some(WantedKernel {
            name: Some(name), ..
        }) => kernels::start(&tenant, Some(&name), &KernelRecord::default()).await?,
        _ => before.clone(),
    };
    if handle.id() != before.id() {
        store(&before, None).await?;
    }
    store(&handle, Some(session.clone())).await?;
    Ok(Json(model(&state, &tenant, &handle, &session)))
}

/// Removes a session and its kernel.
pub(super) async fn remove(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
    Path(id): Path<String>,
) -> Result<StatusCode, JupyterError> {
    let (handle, _) = find(&tenant, &id)?;
    kernels::end(&state, &tenant, &handle).await?;
    Ok(StatusCode::NO_CONTENT)
}
