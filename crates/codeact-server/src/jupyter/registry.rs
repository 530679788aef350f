//! The kernels that clients use now, and the browsers that have logged in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use codeact_sessions::manager::Tenant;

use super::error::JupyterError;
use super::kernel::Kernel;
use super::logins::Logins;
use super::{record, worker};
use crate::app::ServerTenant;

/// State of the Jupyter API.
pub(super) struct JupyterState {
    pub(super) logins: Logins,
    pub(super) started: SystemTime,
    kernels: Mutex<Kernels>,
}

#[derive(Default)]
struct Kernels {
    /// By the names of the tenant and of the session.
    by_id: HashMap<(String, String), Arc<Kernel>>,
    /// Number of kernels at which those of removed sessions are dropped.
    sweep_at: usize,
}

impl Default for JupyterState {
    fn default() -> Self {
        Self {
            logins: Logins::default(),
            started: SystemTime::now(),
            kernels: Mutex::default(),
        }
    }
}

impl JupyterState {
    /// Returns the kernel `id`, and makes it if no client has used it since the server started.
    pub(super) async fn open(
        &self,
        tenant: &ServerTenant,
        id: &str,
    ) -> Result<Arc<Kernel>, JupyterError> {
        let handle = record::kernel(&tenant.sessions, id)?;
        if let Some(kernel) = self.find(&tenant.sessions, id) {
            return Ok(kernel);
        }
        let new = worker::start(tenant, handle).await?;
        let mut kernels = self.lock();
        if kernels.by_id.len() >= kernels.sweep_at.max(64) {
            // The manager removes sessions on its own.
            kernels.by_id.retain(|_, kernel| kernel.exists());
            kernels.sweep_at = kernels.by_id.len() * 2;
        }
        let key = (tenant.sessions.name().to_owned(), id.to_owned());
        Ok(kernels.by_id.entry(key).or_insert(new).clone())
    }

    /// Returns the kernel `id` if a client has used it.
    pub(super) fn find(&self, tenant: &Tenant, id: &str) -> Option<Arc<Kernel>> {
        let key = (tenant.name().to_owned(), id.to_owned());
        self.lock().by_id.get(&key).cloned()
    }

    /// Forgets the kernel `id` and closes its sockets.
    pub(super) fn forget(&self, tenant: &Tenant, id: &str) {
        let key = (tenant.name().to_owned(), id.to_owned());
        let removed = self.lock().by_id.remove(&key);
        if let Some(kernel) = removed {
            kernel.close();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kernels> {
        // No code panics while it holds the lock.
        self.kernels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
