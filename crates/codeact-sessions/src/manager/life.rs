//! The life of a session: its settings, expiry, pauses, forks, restarts and its end.

use std::time::Duration;

use super::entry::{LiveGuard, blocking};
use super::error::ManagerError;
use super::handle::SessionHandle;
use super::settings::{OnExpiry, SessionSettings, now_ms};
use crate::SessionError;

impl SessionHandle {
    /// Changes the settings. Packages, limits and hosts apply from the next time that the session wakes, which is the
    /// next request: a live session is written out.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub async fn update(
        &self,
        update: impl FnOnce(&mut SessionSettings) + Send + 'static,
    ) -> Result<(), ManagerError> {
        let _changing = self.entry.change_settings().await;
        let mut settings = (*self.settings()).clone();
        let before = settings.clone();
        update(&mut settings);
        let same_sandbox = settings.packages == before.packages
            && settings.limits == before.limits
            && settings.hosts == before.hosts;
        if !same_sandbox {
            // Refused before anything changes.
            self.tenant.source.sandbox(&settings).await?;
            self.pause().await?;
        }
        self.store(settings).await
    }

    /// Stores other settings.
    pub(super) async fn store(&self, settings: SessionSettings) -> Result<(), ManagerError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || this.tenant.store_settings(&this.entry, settings))
            .await
            .map_err(ManagerError::task)?
    }

    /// Sets the time after which the session ends; `None`: never.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub async fn expire_after(
        &self,
        time: Option<Duration>,
        then: OnExpiry,
    ) -> Result<(), ManagerError> {
        let at = time.map(|time| {
            now_ms().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        });
        self.update(move |settings| {
            settings.expires_ms = at;
            settings.on_expiry = then;
        })
        .await
    }

    /// Writes the session out and drops it from memory, after the running turn. The next request wakes it.
    ///
    /// # Errors
    ///
    /// Returns errors of the store; then it stays live.
    pub async fn pause(&self) -> Result<(), ManagerError> {
        for context in self.contexts() {
            context.pause_one().await?;
        }
        self.pause_one().await
    }

    pub(super) async fn pause_one(&self) -> Result<(), ManagerError> {
        let guard = self.entry.acquire_always().await;
        let this = self.clone();
        let write = move |guard: &mut LiveGuard| Ok(this.entry.write_out(guard, &this.tenant)?);
        blocking(guard, write).await.map(drop)
    }

    /// Makes a session with the state of this one after `turn`; `None`: now. `id` is its identifier; `None`: a random
    /// one. It has the same settings, without expiry and contexts.
    ///
    /// # Errors
    ///
    /// Returns [`SessionError::NoTurn`] and [`SessionError::Exists`], as [`ManagerError::Session`]; quotas.
    pub async fn fork(
        &self,
        turn: Option<u32>,
        id: Option<String>,
        metadata: Option<serde_json::Map<String, serde_json::Value>>,
    ) -> Result<SessionHandle, ManagerError> {
        let mut settings = (*self.settings()).clone();
        settings.created_ms = now_ms();
        settings.expires_ms = None;
        settings.contexts = Vec::new();
        settings.parent = None;
        settings.metadata = metadata.unwrap_or(settings.metadata);
        let source = self.clone();
        self.tenant
            .add(
                id,
                settings,
                move |backend, id, settings| backend.fork(source.id(), turn, id, settings),
                Some(self),
            )
            .await
    }

    /// Discards the state of the session and starts it again with a fresh interpreter; its settings, files of the home
    /// folder, and identifier stay. The running turn is stopped.
    ///
    /// # Errors
    ///
    /// Returns errors of the store and of the sandbox.
    pub async fn restart(&self) -> Result<(), ManagerError> {
        self.entry.stop_all();
        let (guard, _waiting) = self.acquire(&self.tenant.shared.stop).await?;
        let this = self.clone();
        let work = move |guard: &mut LiveGuard| {
            let live = guard
                .as_mut()
                .ok_or_else(|| ManagerError::missing(this.id()))?;
            let mut fresh = live.sandbox.session()?;
            fresh.adopt_files(&live.session)?;
            live.session = fresh;
            if live.push_change(&this.entry, this.tenant.shared.options.durability) {
                this.entry.commit(guard, &this.tenant)?;
            }
            Ok(())
        };
        blocking(guard, work).await.map(drop)
    }

    /// Removes the session and its contexts. The running turn is stopped, and requests that wait end.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Missing`] if it was removed before; errors of the store.
    pub async fn remove(&self) -> Result<(), ManagerError> {
        self.entry.stop_all();
        // No context can be added meanwhile.
        let _changing = self.entry.change_settings().await;
        for context in self.contexts() {
            context.remove_one().await?;
        }
        self.remove_one().await
    }

    pub(super) async fn remove_one(&self) -> Result<(), ManagerError> {
        if self.entry.set_removed(true) {
            return Err(ManagerError::missing(self.id()));
        }
        self.entry.stop_all();
        let guard = self.entry.acquire_always().await;
        let this = self.clone();
        let work = move |guard: &mut LiveGuard| {
            this.entry.drop_live(guard, &this.tenant);
            match this.tenant.backend.remove(this.id()) {
                Err(SessionError::Missing { .. }) | Ok(()) => {}
                Err(error) => {
                    this.entry.set_removed(false);
                    return Err(error.into());
                }
            }
            this.tenant.forget(&this.entry);
            Ok(())
        };
        blocking(guard, work).await.map(drop)
    }
}
