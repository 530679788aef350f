//! Packages that are added to a live session.

use super::error::ManagerError;
use super::handle::SessionHandle;

impl SessionHandle {
    /// Adds packages to the session and its contexts, between two turns. Variables stay. Packages that the session has
    /// are not changed.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Setting`] if the tenant may not add packages, or one of them cannot be used; then nothing
    /// is changed.
    pub async fn install(&self, packages: Vec<String>) -> Result<(), ManagerError> {
        let _changing = self.entry.change_settings().await;
        let (mut guard, _waiting) = self.acquire(&self.tenant.shared.stop).await?;
        let mut settings = (*self.settings()).clone();
        let new = packages
            .into_iter()
            .filter(|package| !settings.packages.contains(package));
        let new: Vec<_> = new.collect();
        if new.is_empty() {
            return Ok(());
        }
        settings.packages.extend(new);
        let sandbox = self.tenant.source.sandbox(&settings).await?;
        let live = guard
            .as_mut()
            .ok_or_else(|| ManagerError::missing(self.id()))?;
        live.session.use_sandbox(&sandbox)?;
        live.sandbox = sandbox;
        let packages = settings.packages.clone();
        self.store(settings).await?;
        for context in self.contexts() {
            // It wakes with the packages.
            context.pause_one().await?;
            let _changing = context.entry.change_settings().await;
            let mut settings = (*context.settings()).clone();
            settings.packages.clone_from(&packages);
            context.store(settings).await?;
        }
        Ok(())
    }
}
