//! Exclusive access to a session for work of many turns, such as a run of an agent.

use codeact_sandbox::{Cancel, Session};

use super::entry::{LiveGuard, blocking};
use super::error::ManagerError;
use super::handle::{Access, SessionHandle};
use crate::log::FinishedTurn;

/// Exclusive access to a live session. Other requests wait until it is dropped. Turns that were run in it count only
/// after [`SessionLease::commit`]; otherwise the session is loaded again as it was.
pub struct SessionLease {
    handle: SessionHandle,
    access: Option<Access>,
    stop: Cancel,
}

impl SessionHandle {
    /// Waits for exclusive access to the session. `cancel` ends the wait.
    ///
    /// # Errors
    ///
    /// As [`SessionHandle::run`].
    pub async fn lease(&self, cancel: &Cancel) -> Result<SessionLease, ManagerError> {
        let permit = self.tenant.begin_turn()?;
        let (guard, waiting) = self.acquire(cancel).await?;
        // A lease that is dropped loses all turns that are not committed.
        let this = self.clone();
        let commit = move |guard: &mut LiveGuard| Ok(this.entry.commit(guard, &this.tenant)?);
        let (guard, ()) = blocking(guard, commit).await?;
        let stop = cancel.child();
        self.entry.set_current(Some(stop.clone()));
        Ok(SessionLease {
            handle: self.clone(),
            access: Some(Access {
                guard,
                waiting,
                permit,
            }),
            stop,
        })
    }
}

impl SessionLease {
    /// Returns the session, to run turns in it.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Task`] after a commit that failed.
    pub fn session(&mut self) -> Result<&mut Session, ManagerError> {
        let access = self.access.as_mut();
        let live = access.and_then(|access| access.guard.as_mut());
        live.map(|live| &mut live.session)
            .ok_or_else(|| ManagerError::task("the lease is over"))
    }

    /// Returns the handle that stops the turns of the lease: [`SessionHandle::interrupt`] cancels it.
    pub fn cancel(&self) -> &Cancel {
        &self.stop
    }

    /// Commits `turns`, which were run in the session in this order, and ends the lease.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Session`] if they could not be written; the live session has their state.
    pub async fn commit(mut self, turns: Vec<FinishedTurn>) -> Result<(), ManagerError> {
        let Some(mut access) = self.access.take() else {
            return Ok(());
        };
        self.handle.entry.set_current(None);
        let handle = self.handle.clone();
        tokio::task::spawn_blocking(move || {
            let durability = handle.tenant.shared.options.durability;
            let mut commit = false;
            if let Some(live) = access.guard.as_mut() {
                live.files_version += 1;
                for FinishedTurn { code, execution } in turns {
                    handle.tenant.meter.charge_fuel(execution.usage.fuel);
                    handle.tenant.shared.counters.finished.observe(&execution);
                    commit |= live.push(&handle.entry, code, &execution, durability);
                }
            }
            match commit {
                true => Ok(handle.entry.commit(&mut access.guard, &handle.tenant)?),
                false => Ok(()),
            }
        })
        .await
        .map_err(ManagerError::task)?
    }
}

impl Drop for SessionLease {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(mut access) = self.access.take() {
            self.handle.entry.set_current(None);
            // Turns may have run that were not committed.
            self.handle
                .entry
                .drop_live(&mut access.guard, &self.handle.tenant);
        }
    }
}
