//! Numbers of executions, as a notebook counts its cells.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use codeact_sessions::manager::{ManagerError, SessionHandle};

/// Limit of the numbers in memory. Those of others are counted again.
const MAX_ENTRIES: usize = 50_000;
/// Start of code that the server itself runs, which is not counted.
pub(crate) const HIDDEN: &str = "pass # by the server: ";

/// The number of the last execution in each interpreter, by the identifier of its session.
#[derive(Default)]
pub(crate) struct ExecutionCounts(Mutex<HashMap<String, u64>>);

impl ExecutionCounts {
    /// Begins to count a new interpreter.
    pub(crate) fn start(&self, id: &str) {
        self.set(id, 0);
    }

    /// Forgets an interpreter that is gone, and its contexts.
    pub(crate) fn forget(&self, id: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.remove(id).is_some() {
            let contexts = format!("{id}.");
            counts.retain(|id, _| !id.starts_with(&contexts));
        }
    }

    /// Returns the number of the next execution, from 1. After a restart of the server, the committed turns are counted.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub(crate) async fn next(&self, handle: &SessionHandle) -> Result<u64, ManagerError> {
        if let Some(count) = self.increment(handle.id()) {
            return Ok(count);
        }
        let turns = handle.turns().await?;
        let is_counted = |code: &str| !code.is_empty() && !code.starts_with(HIDDEN);
        let count = turns.iter().filter(|turn| is_counted(&turn.code)).count();
        self.set(handle.id(), count as u64);
        Ok(self.increment(handle.id()).unwrap_or(1))
    }

    fn increment(&self, id: &str) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get_mut(id)?;
        *count += 1;
        Some(*count)
    }

    fn set(&self, id: &str, count: u64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_ENTRIES {
            counts.clear();
        }
        counts.insert(id.to_owned(), count);
    }
}
