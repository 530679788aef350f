//! A session between two turns: its checkpoint, and the slot that may still hold it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::SandboxError;
use super::host::GuestState;
use super::limits::Limits;
use super::memory::Pages;
use super::runtime::Runtime;
use super::slot::Slot;
use super::vfs::Tree;

/// The session between turns. The slot is an optimisation: the checkpoint alone is the session.
pub(super) struct AtRest {
    pub(super) slot: Option<Slot>,
    pub(super) checkpoint: Checkpoint,
    /// Whether the checkpoint is what the slot holds.
    pub(super) is_current: bool,
}

#[derive(Clone)]
pub(super) struct Checkpoint {
    /// `None`: the base image itself.
    pub(super) pages: Option<Arc<Pages>>,
    pub(super) state: GuestState,
    /// Whether anything ran; the first turn seeds.
    pub(super) started: bool,
}

impl AtRest {
    /// Brings the checkpoint to what the slot holds.
    pub(super) fn checkpoint_now(
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

    /// The files as they are after the last turn.
    pub(super) fn tree(&mut self) -> &mut Tree {
        // Whoever asks may change it.
        self.is_current = false;
        match &mut self.slot {
            Some(slot) => &mut slot.host().state.tree,
            None => &mut self.checkpoint.state.tree,
        }
    }
}

pub(super) fn lock(at_rest: &Mutex<AtRest>) -> MutexGuard<'_, AtRest> {
    // Nothing panics while holding it; and if it did, both fields are whole values.
    at_rest.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the slot out for the turn: whatever happens to this future, the checkpoint stays.
pub(super) async fn take_slot(
    runtime: &Runtime,
    at_rest: &Mutex<AtRest>,
    limits: &Limits,
) -> Result<(Slot, bool), SandboxError> {
    let (slot, checkpoint) = {
        let mut at_rest = lock(at_rest);
        let checkpoint = at_rest.checkpoint_now(runtime)?.clone();
        (at_rest.slot.take(), checkpoint)
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
