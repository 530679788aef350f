//! A session between two turns: its checkpoint, and the slot of its last turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::engine::runtime::Runtime;
use crate::error::SandboxError;
use crate::fs::vfs::Tree;
use crate::instance::memory::Pages;
use crate::instance::slot::Slot;
use crate::types::limits::Limits;
use crate::wasi::GuestState;

/// A session between turns. If there is a slot and the checkpoint is not current, the state is in the slot; otherwise
/// the checkpoint is the state.
pub(crate) struct IdleSession {
    pub(crate) slot: Option<Slot>,
    pub(crate) checkpoint: Checkpoint,
    /// True if the checkpoint equals the state of the slot.
    pub(crate) is_current: bool,
}

/// State of a session at rest.
#[derive(Clone)]
pub(crate) struct Checkpoint {
    /// Pages over the base image; `None` if there are none.
    pub(crate) pages: Option<Arc<Pages>>,
    pub(crate) state: GuestState,
    /// True after the first turn, in which the guest seeds its generators.
    pub(crate) started: bool,
}

impl IdleSession {
    /// Takes a checkpoint of the slot if the last one is not current, and returns it.
    pub(crate) fn checkpoint_now(
        &mut self,
        runtime: &Runtime,
    ) -> Result<&Checkpoint, SandboxError> {
        if let Some(slot) = &mut self.slot
            && !self.is_current
        {
            let (pages, state) = slot.checkpoint(&runtime.image)?;
            self.checkpoint = Checkpoint {
                pages: Some(Arc::new(pages)),
                state,
                started: true,
            };
            self.is_current = true;
        }
        Ok(&self.checkpoint)
    }

    /// Returns the file tree after the last turn.
    pub(crate) fn tree(&mut self) -> &mut Tree {
        &mut self.state_mut().tree
    }

    /// Returns the host's state after the last turn, to change it.
    pub(crate) fn state_mut(&mut self) -> &mut GuestState {
        self.is_current = false;
        match &mut self.slot {
            Some(slot) => &mut slot.host().wasi.state,
            None => &mut self.checkpoint.state,
        }
    }

    /// Returns the host's state after the last turn.
    pub(crate) fn state(&mut self) -> &GuestState {
        match &mut self.slot {
            Some(slot) => &slot.host().wasi.state,
            None => &self.checkpoint.state,
        }
    }
}

/// Locks the session between turns.
pub(crate) fn lock(idle: &Mutex<IdleSession>) -> MutexGuard<'_, IdleSession> {
    // No code panics while it holds the lock, and the fields are valid at any time.
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a checkpoint and then the slot for a turn. If the turn is stopped or dropped, the checkpoint is still there.
/// Also returns true if a turn has run before.
pub(crate) async fn take_slot(
    runtime: &Runtime,
    idle: &Mutex<IdleSession>,
    limits: &Limits,
) -> Result<(Slot, bool), SandboxError> {
    let (slot, checkpoint) = {
        let mut idle = lock(idle);
        let checkpoint = idle.checkpoint_now(runtime)?.clone();
        (idle.slot.take(), checkpoint)
    };
    let started = checkpoint.started;
    if let Some(slot) = slot {
        return Ok((slot, started));
    }
    let slot = match &checkpoint.pages {
        None => runtime.fresh_slot(limits, checkpoint.state).await?,
        Some(pages) => {
            runtime
                .new_slot(limits, checkpoint.state, Some(pages))
                .await?
        }
    };
    Ok((slot, started))
}
