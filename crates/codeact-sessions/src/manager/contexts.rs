//! Contexts: further interpreters over the files of one session.
//!
//! A context is a session of its own whose `parent` is set. Before and after each of its turns, its files and those of
//! its parent are made equal, so only one turn of a session and its contexts runs at a time.

use codeact_sandbox::{Cancel, Execution, Turn};

use super::entry::LiveGuard;
use super::error::ManagerError;
use super::handle::{Access, Interpreter, SessionHandle, supervise};
use super::settings::now_ms;

/// Limit of the contexts of one session.
const MAX_CONTEXTS: usize = 32;

impl SessionHandle {
    /// Returns the contexts of the session. A context is a session: it can be restarted and removed, and its turns are
    /// run with [`SessionHandle::run_context`].
    pub fn contexts(&self) -> Vec<SessionHandle> {
        let settings = self.settings();
        let ids = settings.contexts.iter();
        ids.filter_map(|id| self.tenant.find(id).ok())
            .map(|entry| Self {
                entry,
                tenant: self.tenant.clone(),
            })
            .collect()
    }

    /// Returns the context `name` of the session.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::MissingContext`].
    pub fn context(&self, name: &str) -> Result<SessionHandle, ManagerError> {
        let id = self.context_id(name);
        let found = self
            .contexts()
            .into_iter()
            .find(|context| context.id() == id);
        found.ok_or_else(|| ManagerError::MissingContext {
            context: name.to_owned(),
        })
    }

    /// Makes the context `name`, with the settings of the session and its own `metadata`.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::Setting`] if the session has 32 contexts; [`ManagerError::Session`] if there is one of this
    /// name or the name is invalid; quotas.
    pub async fn create_context(
        &self,
        name: &str,
        metadata: serde_json::Map<String, serde_json::Value>,
    ) -> Result<SessionHandle, ManagerError> {
        let _changing = self.entry.change_settings().await;
        let mut above = (*self.settings()).clone();
        let mut settings = above.clone();
        if settings.parent.is_some() || settings.contexts.len() >= MAX_CONTEXTS {
            return Err(ManagerError::Setting(format!(
                "a session can have {MAX_CONTEXTS} contexts, and a context none; remove one first"
            )));
        }
        settings.created_ms = now_ms();
        settings.contexts = Vec::new();
        settings.expires_ms = None;
        settings.parent = Some(self.id().to_owned());
        settings.metadata = metadata;
        let id = self.context_id(name);
        let create = |backend: &dyn crate::SessionBackend, id: &str, settings: &[u8]| {
            backend.create(id, settings)
        };
        let context = self.tenant.add(Some(id), settings, create, None).await?;
        above.contexts.push(context.id().to_owned());
        if let Err(error) = self.store(above).await {
            // Otherwise nothing could reach it.
            let _ = context.remove_one().await;
            return Err(error);
        }
        Ok(context)
    }

    /// Removes the context `name`. Its running turn is stopped.
    ///
    /// # Errors
    ///
    /// Returns [`ManagerError::MissingContext`]; errors of the store.
    pub async fn remove_context(&self, name: &str) -> Result<(), ManagerError> {
        let context = self.context(name)?;
        context.remove_one().await?;
        let id = context.id().to_owned();
        self.update(move |settings| settings.contexts.retain(|context| *context != id))
            .await
    }

    /// Runs `turn` in the context `name`, over the files of this session.
    ///
    /// # Errors
    ///
    /// As [`SessionHandle::run`]; [`ManagerError::MissingContext`]; [`ManagerError::Setting`] if files must be exchanged
    /// while one side has open files.
    pub async fn run_context(
        &self,
        name: &str,
        turn: Turn,
        cancel: &Cancel,
    ) -> Result<Execution, ManagerError> {
        let context = self.context(name)?;
        let permit = self.tenant.begin_turn()?;
        let stop = self.tenant.shared.stop.child();
        let (parent, for_task) = (self.clone(), stop.clone());
        let task = async move {
            let (mut above, _above_waiting) = parent.acquire(&for_task).await?;
            let (mut guard, waiting) = context.acquire(&for_task).await?;
            exchange(&mut above, &mut guard)?;
            let access = Access {
                guard,
                waiting,
                permit,
            };
            let (execution, access) = context
                .run_live(access, Interpreter::Session, turn, for_task)
                .await?;
            if !execution.rolled_back {
                parent.take_files(above, access).await?;
            }
            Ok(execution)
        };
        supervise(task, stop, cancel).await
    }

    /// Gives this session the files that its context has left, and commits them.
    async fn take_files(
        &self,
        mut above: LiveGuard,
        mut access: Access,
    ) -> Result<(), ManagerError> {
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            let (Some(parent), Some(live)) = (above.as_mut(), access.guard.as_mut()) else {
                return Err(ManagerError::task("the session is not live"));
            };
            if !parent.session.adopt_files(&live.session)? {
                return Err(open_files());
            }
            let commit = parent.push_change(&this.entry, this.tenant.shared.options.durability);
            live.synced = Some(parent.files_version);
            if commit {
                this.entry.commit(&mut above, &this.tenant)?;
            }
            Ok(())
        })
        .await
        .map_err(ManagerError::task)?
    }

    fn context_id(&self, name: &str) -> String {
        format!("{}.{name}", self.id())
    }
}

/// Gives a context the files of its parent, and checks that the parent can take the context's afterwards.
fn exchange(above: &mut LiveGuard, below: &mut LiveGuard) -> Result<(), ManagerError> {
    let (Some(parent), Some(live)) = (above.as_mut(), below.as_mut()) else {
        return Err(ManagerError::task("the session is not live"));
    };
    let is_current = live.synced == Some(parent.files_version);
    if !is_current && !live.session.adopt_files(&parent.session)? {
        return Err(open_files());
    }
    live.synced = Some(parent.files_version);
    // The files are equal now, so this changes nothing.
    match is_current || parent.session.adopt_files(&live.session)? {
        true => Ok(()),
        false => Err(open_files()),
    }
}

fn open_files() -> ManagerError {
    ManagerError::Setting(
        "an interpreter of the session has open files; close them before another one uses them"
            .into(),
    )
}
