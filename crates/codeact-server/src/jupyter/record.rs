//! What is stored with the session of a kernel.

use codeact_sessions::manager::{SessionHandle, SessionSettings, Tenant};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::JupyterError;
use crate::error::ApiError;

/// Key in the metadata of sessions.
const KEY: &str = "jupyter";
/// Name of the only kernel spec.
pub(super) const KERNEL_NAME: &str = "python3";
/// Limit of the path, name and type of a Jupyter session, in bytes each.
const MAX_TEXT_BYTES: usize = 4096;

/// Metadata of a kernel's session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct KernelRecord {
    /// The Jupyter session that uses the kernel.
    pub(super) session: Option<JupyterSession>,
}

/// A Jupyter session: a document and its kernel.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct JupyterSession {
    pub(super) id: String,
    pub(super) path: String,
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
}

impl JupyterSession {
    /// Returns an error if a text is too long.
    pub(super) fn check(&self) -> Result<(), JupyterError> {
        let texts = [&self.path, &self.name, &self.kind];
        match texts.iter().all(|text| text.len() <= MAX_TEXT_BYTES) {
            true => Ok(()),
            false => Err(ApiError::bad_request(format!(
                "path, name and type can have {MAX_TEXT_BYTES} bytes each"
            ))
            .into()),
        }
    }
}

/// Returns the metadata of a session with `record`.
pub(super) fn metadata(record: &KernelRecord) -> Map<String, Value> {
    let value = serde_json::to_value(record).unwrap_or_default();
    Map::from_iter([(KEY.to_owned(), value)])
}

/// Returns the record of a session; `None` if the session is not a kernel.
pub(super) fn of(settings: &SessionSettings) -> Option<KernelRecord> {
    let value = settings.metadata.get(KEY)?;
    KernelRecord::deserialize(value).ok()
}

/// Returns the kernel `id` of `tenant`. Sessions that were made by other protocols are not kernels.
pub(super) fn kernel(tenant: &Tenant, id: &str) -> Result<SessionHandle, JupyterError> {
    let missing = || ApiError::not_found(format!("Kernel does not exist: {id:.100}"));
    let handle = tenant.get(id).map_err(|_| missing())?;
    match of(&handle.settings()) {
        Some(_) => Ok(handle),
        None => Err(missing().into()),
    }
}

/// Returns the kernels of `tenant`, the oldest first.
pub(super) fn kernels(tenant: &Tenant) -> Vec<(SessionHandle, KernelRecord)> {
    (tenant.list().into_iter())
        .filter_map(|handle| {
            let record = of(&handle.settings())?;
            Some((handle, record))
        })
        .collect()
}
