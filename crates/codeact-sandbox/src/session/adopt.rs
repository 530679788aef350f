//! Moves files between sessions, and a session to another sandbox.

use std::sync::Arc;

use crate::error::SandboxError;
use crate::fs::mount::Mount;
use crate::session::context::SessionContext;
use crate::session::handle::Session;
use crate::session::idle::lock;

impl Session {
    /// Replaces all files of this session by those of `from`, as they are now: home folder, `/tmp` and the changes in
    /// mounts. Neither session sees later changes of the other. Variables stay. The cost does not depend on the files.
    ///
    /// Several interpreters can thus take turns on the same files. Returns false, and changes nothing, if the code of
    /// this session has a file or folder open, other than a file of the pack.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Setting`] if the sessions are of different engines or have different mounts, or if this one
    /// is recorded or replayed.
    pub fn adopt_files(&mut self, from: &Session) -> Result<bool, SandboxError> {
        self.check_may_move("adopt the files of another session")?;
        check_related(&self.context, &from.context, "the other session")?;
        let (mut tree, open) = {
            let mut idle = lock(&from.idle);
            let state = idle.state();
            (state.tree.clone(), state.fds.nodes())
        };
        tree.forget_descriptors(&open);
        tree.host_lookups = 0;
        let mut idle = lock(&self.idle);
        let state = idle.state();
        // Open files of the pack, such as fonts, are the same in both trees.
        if !tree.take_over(&state.tree, &state.fds.opened()) {
            return Ok(false);
        }
        let grants = &self.context.grants;
        if let Some(site) = &grants.site
            && !Arc::ptr_eq(&grants.packages, &from.context.grants.packages)
        {
            tree.copy_packages(site, &grants.layout, false, state.clock.realtime());
        }
        idle.state_mut().tree = tree;
        Ok(true)
    }

    /// Moves the session to the sandbox of `target`; see [`Session::use_sandbox`].
    pub(crate) fn move_to(&mut self, target: &SessionContext) -> Result<(), SandboxError> {
        self.check_may_move("move to another sandbox")?;
        check_related(&self.context, target, "the sandbox")?;
        let grants = self.context.grants.moved_to(&target.grants)?;
        if let Some(site) = &grants.site
            && !Arc::ptr_eq(&grants.packages, &self.context.grants.packages)
        {
            let mut idle = lock(&self.idle);
            let state = idle.state_mut();
            let now = state.clock.realtime();
            state.tree.copy_packages(site, &grants.layout, false, now);
        }
        self.context.grants = grants;
        self.context.limits = target.limits.clone();
        Ok(())
    }

    fn check_may_move(&self, action: &str) -> Result<(), SandboxError> {
        match self.is_journaled() {
            true => Err(SandboxError::setting(format!(
                "a recorded session cannot {action}; use a fork of it, which is not recorded"
            ))),
            false => Ok(()),
        }
    }
}

/// Checks that both contexts share an engine and have the same mounts.
fn check_related(
    one: &SessionContext,
    other: &SessionContext,
    name: &str,
) -> Result<(), SandboxError> {
    if !Arc::ptr_eq(&one.runtime, &other.runtime) {
        return Err(SandboxError::setting(format!(
            "{name} has another engine; expected one that was derived from the same sandbox"
        )));
    }
    let (mounts, others) = (&one.grants.mounts, &other.grants.mounts);
    let same = mounts.len() == others.len()
        && (mounts.iter().zip(others.iter())).all(|(one, other)| Mount::is_same(one, other));
    match same {
        true => Ok(()),
        false => Err(SandboxError::setting(format!(
            "{name} has other mounts; expected the same folders at the same paths, with the same access"
        ))),
    }
}
