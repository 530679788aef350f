//! Sessions that exist for one request.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings, Tenant};

/// Time after which the session of a request is removed if the server was killed meanwhile.
const LEFT_OVER_TIME: Duration = Duration::from_secs(3600);

/// A session that is removed when this value is dropped, unless it is [kept](Temporary::keep).
pub(super) struct Temporary(Option<SessionHandle>);

impl Temporary {
    /// Makes a session.
    pub(super) async fn create(
        tenant: &Tenant,
        mut settings: SessionSettings,
    ) -> Result<Self, ManagerError> {
        settings.expires_ms = Some(millis_after(LEFT_OVER_TIME));
        Ok(Self(Some(tenant.create(None, settings).await?)))
    }

    /// Returns the session.
    pub(super) fn handle(&self) -> Result<SessionHandle, ManagerError> {
        let missing = || ManagerError::Setting("the session of this request was removed".into());
        self.0.clone().ok_or_else(missing)
    }

    /// Lets the session live.
    pub(super) fn keep(&mut self) {
        self.0 = None;
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let (Some(handle), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        else {
            return;
        };
        runtime.spawn(async move {
            if let Err(error) = handle.remove().await {
                tracing::warn!(%error, "cannot remove the session of a request");
            }
        });
    }
}

/// Returns the time `after` now, in milliseconds since 1970.
pub(super) fn millis_after(after: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let then = now.unwrap_or_default().saturating_add(after);
    u64::try_from(then.as_millis()).unwrap_or(u64::MAX)
}
