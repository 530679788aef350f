//! Turns in sandboxes that are gone afterwards.

use codeact_sandbox::{Cancel, Execution, Sandbox, SessionOptions, Turn};
use tracing::Instrument;

use super::error::ManagerError;
use super::figures::turn_span;
use super::handle::{SessionHandle, supervise};
use super::quota::TurnPermit;
use super::settings::SessionSettings;
use super::tenant::Tenant;

impl Tenant {
    /// Runs `turn` in a fresh sandbox with `settings` that is gone afterwards. If `cancel` is cancelled or the returned
    /// future is dropped, it stops.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Setting`], quotas, and errors of the sandbox.
    pub async fn run_once(
        &self,
        settings: &SessionSettings,
        turn: Turn,
        cancel: &Cancel,
    ) -> Result<Execution, ManagerError> {
        let mut turn = turn;
        for (key, value) in &settings.env {
            turn = turn.env_default(key, value);
        }
        let seed = settings.seed;
        let shared = self.inner.shared.clone();
        let run = move |sandbox: Sandbox, stop: Cancel| async move {
            let turn = turn.cancel(stop);
            let execution = match seed {
                None => sandbox.run(turn).await?,
                Some(_) => {
                    let options = SessionOptions::new().seed(seed);
                    sandbox.session_with(&options)?.run(turn.last(true)).await?
                }
            };
            shared.counters.finished.observe(&execution);
            let fuel = execution.usage.fuel;
            Ok((execution, fuel))
        };
        let span = turn_span(self.name());
        let run = move |sandbox: Sandbox, stop: Cancel| run(sandbox, stop).instrument(span);
        self.run_with(settings, cancel, run).await
    }

    /// Calls `work` with a sandbox with `settings`, as one turn for the quotas. `work` gets a handle that stops its turns,
    /// and returns its result with the fuel that they used. If `cancel` is cancelled or the returned future is dropped,
    /// that handle is cancelled.
    ///
    /// # Errors
    ///
    /// As [`Tenant::run_once`], and the error of `work`.
    pub async fn run_with<R, F>(
        &self,
        settings: &SessionSettings,
        cancel: &Cancel,
        work: impl FnOnce(Sandbox, Cancel) -> F,
    ) -> Result<R, ManagerError>
    where
        R: Send + 'static,
        F: Future<Output = Result<(R, u64), ManagerError>> + Send + 'static,
    {
        let permit = self.inner.begin_turn()?;
        self.inner.shared.check_open()?;
        let sandbox = self.inner.source.sandbox(settings).await?;
        let stop = self.inner.shared.stop.child();
        let meter = self.inner.meter.clone();
        let work = work(sandbox, stop.clone());
        let task = async move {
            let (result, fuel) = work.await?;
            meter.charge_fuel(fuel);
            drop(permit);
            Ok(result)
        };
        supervise(task, stop, cancel).await
    }
}

impl SessionHandle {
    /// Begins work for the session that counts as one of the tenant's concurrent turns until the permit is dropped.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Quota`].
    pub fn permit(&self) -> Result<TurnPermit, ManagerError> {
        self.tenant.begin_turn()
    }

    /// Counts fuel of other work than turns against the tenant's quota.
    pub fn charge_fuel(&self, fuel: u64) {
        self.tenant.meter.charge_fuel(fuel);
    }

    /// Runs `turn` in a copy of the session that is gone afterwards: to list variables, complete names and the like. The
    /// session itself is not changed, and is not held while the turn runs.
    ///
    /// # Errors
    ///
    /// As [`SessionHandle::run`].
    pub async fn run_fork(&self, turn: Turn, cancel: &Cancel) -> Result<Execution, ManagerError> {
        let permit = self.tenant.begin_turn()?;
        let stop = self.tenant.shared.stop.child();
        let (this, turn) = (self.clone(), turn.cancel(stop.clone()));
        let for_task = stop.clone();
        let task = async move {
            let (guard, waiting) = this.acquire(&for_task).await?;
            let live = guard.as_ref();
            let mut fork = live
                .ok_or_else(|| ManagerError::missing(this.id()))?
                .session
                .fork()?;
            drop((guard, waiting));
            let execution = fork.run(turn).await?;
            this.tenant.meter.charge_fuel(execution.usage.fuel);
            drop(permit);
            Ok(execution)
        };
        supervise(task, stop, cancel).await
    }
}
