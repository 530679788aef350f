//! The server itself: version, status, identity, kernel specs and (no) terminals.

use std::sync::Arc;

use axum::Extension;
use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::error::JupyterError;
use super::ids::timestamp;
use super::kernels::activity;
use super::login::JupyterCaller;
use super::record::{self, KERNEL_NAME};
use super::registry::JupyterState;
use crate::error::ApiError;

/// Version of Jupyter Server whose API this is.
const API_VERSION: &str = "2.17.0";

pub(super) async fn version() -> Json<Value> {
    Json(json!({ "version": API_VERSION }))
}

pub(super) async fn status(
    Extension(state): Extension<Arc<JupyterState>>,
    JupyterCaller(tenant): JupyterCaller,
) -> Json<Value> {
    let kernels = record::kernels(&tenant.sessions);
    let connections: usize = (kernels.iter())
        .filter_map(|(handle, _)| state.find(&tenant.sessions, handle.id()))
        .map(|kernel| kernel.connections())
        .sum();
    let last = kernels.iter().map(|(handle, _)| activity(handle)).max();
    Json(json!({
        "connections": connections,
        "kernels": kernels.len(),
        "last_activity": timestamp(last.unwrap_or(state.started)),
        "started": timestamp(state.started),
    }))
}

pub(super) async fn me(JupyterCaller(tenant): JupyterCaller) -> Json<Value> {
    let name = tenant.sessions.name();
    let initial: String = name.chars().take(1).collect();
    Json(json!({
        "identity": {
            "username": name,
            "name": name,
            "display_name": name,
            "initials": initial.to_uppercase(),
            "avatar_url": null,
            "color": null,
        },
        "permissions": {},
    }))
}

/// Returns the kernel spec.
fn spec() -> Value {
    json!({
        "name": KERNEL_NAME,
        "spec": {
            "argv": [],
            "env": {},
            "display_name": "Python 3 (codeact)",
            "language": "python",
            "interrupt_mode": "message",
            "metadata": { "debugger": false },
        },
        "resources": {},
    })
}

pub(super) async fn kernelspecs(_: JupyterCaller) -> Json<Value> {
    Json(json!({ "default": KERNEL_NAME, "kernelspecs": { KERNEL_NAME: spec() } }))
}

pub(super) async fn kernelspec(
    _: JupyterCaller,
    Path(name): Path<String>,
) -> Result<Json<Value>, JupyterError> {
    match name == KERNEL_NAME {
        true => Ok(Json(spec())),
        false => Err(ApiError::not_found(format!("Kernel spec {name:.100} not found")).into()),
    }
}

pub(super) async fn terminals(_: JupyterCaller) -> Json<Value> {
    Json(json!([]))
}

pub(super) async fn no_terminals(_: JupyterCaller) -> JupyterError {
    ApiError::new(
        StatusCode::NOT_IMPLEMENTED,
        "no_terminals",
        "the sandbox has no terminals; run code in a kernel",
    )
    .into()
}
