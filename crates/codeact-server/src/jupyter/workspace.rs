//! The sessions whose files the Contents API has: the workspace of a tenant, and kernels.

use codeact::sandbox::Session;
use codeact_sessions::SessionError;
use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings};
use serde_json::Map;

use super::content_model::ContentPath;
use super::error::JupyterError;
use super::record;
use crate::app::ServerTenant;

/// Identifier of the workspace's session.
const ID: &str = "jupyter-workspace";
/// Key in its metadata.
const KEY: &str = "jupyter_workspace";

/// Returns the session whose files `path` is in.
pub(super) async fn session_of(
    tenant: &ServerTenant,
    path: &ContentPath,
) -> Result<SessionHandle, JupyterError> {
    match &path.kernel {
        Some(id) => record::kernel(&tenant.sessions, id),
        None => of(tenant).await,
    }
}

/// Returns the workspace of `tenant`, and makes it if it does not exist.
pub(super) async fn of(tenant: &ServerTenant) -> Result<SessionHandle, JupyterError> {
    if let Some(handle) = existing(tenant) {
        return Ok(handle);
    }
    let mut settings = SessionSettings::default();
    settings.metadata = Map::from_iter([(KEY.to_owned(), true.into())]);
    match tenant.sessions.create(Some(ID.to_owned()), settings).await {
        Ok(handle) => Ok(handle),
        // Another request was faster.
        Err(ManagerError::Session(SessionError::Exists { .. })) => Ok(tenant.sessions.get(ID)?),
        Err(error) => Err(error.into()),
    }
}

/// Returns the workspace of `tenant` if it exists.
pub(super) fn existing(tenant: &ServerTenant) -> Option<SessionHandle> {
    tenant.sessions.get(ID).ok()
}

/// Gives a new kernel a copy of the files of the workspace, if there is one.
pub(super) async fn copy_to(
    tenant: &ServerTenant,
    kernel: &SessionHandle,
) -> Result<(), JupyterError> {
    let Some(workspace) = existing(tenant) else {
        return Ok(());
    };
    let copy = workspace.read(|session| Ok(session.fork()?)).await?;
    let adopt = move |session: &mut Session| Ok(session.adopt_files(&copy)?);
    kernel.change(adopt).await?;
    Ok(())
}
