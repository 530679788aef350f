//! Numbers of executions, as a notebook counts its cells.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use codeact_sessions::manager::{ManagerError, SessionHandle};

use crate::turn_records::TurnRecords;

/// Limit of the numbers of one tenant in memory. Those of others are counted again.
const MAX_ENTRIES: usize = 20_000;
/// Start of code that the server itself runs, which is not counted.
pub(crate) const HIDDEN: &str = "pass # by the server: ";

/// The number of the last execution in each interpreter, by the tenant and the identifier of its session.
#[derive(Default)]
pub(crate) struct ExecutionCounts(Mutex<HashMap<String, HashMap<String, u64>>>);

impl ExecutionCounts {
    /// Begins to count a new interpreter.
    pub(crate) fn start(&self, handle: &SessionHandle) {
        self.set(handle.tenant_name(), handle.id(), 0);
    }

    /// Forgets an interpreter that is gone, and its contexts.
    pub(crate) fn forget(&self, handle: &SessionHandle) {
        let (mut all, id) = (self.lock(), handle.id());
        if let Some(counts) = all.get_mut(handle.tenant_name())
            && counts.remove(id).is_some()
        {
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
        let (tenant, id) = (handle.tenant_name(), handle.id());
        if let Some(count) = self.increment(tenant, id) {
            return Ok(count);
        }
        let count = TurnRecords::after(handle, 0)
            .count(|turn| !turn.code.is_empty() && !turn.code.starts_with(HIDDEN))
            .await?;
        self.set(tenant, id, count);
        Ok(self.increment(tenant, id).unwrap_or(1))
    }

    fn increment(&self, tenant: &str, id: &str) -> Option<u64> {
        let mut all = self.lock();
        let count = all.get_mut(tenant)?.get_mut(id)?;
        *count += 1;
        Some(*count)
    }

    fn set(&self, tenant: &str, id: &str, count: u64) {
        let mut all = self.lock();
        let counts = all.entry(tenant.to_owned()).or_default();
        if counts.len() >= MAX_ENTRIES {
            counts.clear();
        }
        counts.insert(id.to_owned(), count);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<String, u64>>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{ExecutionCounts, MAX_ENTRIES};

    #[test]
    fn each_tenant_has_its_own_numbers() {
        let counts = ExecutionCounts::default();
        counts.set("one", "debug", 5);
        counts.set("two", "debug", 0);
        assert_eq!(counts.increment("two", "debug"), Some(1));
        for i in 0..=MAX_ENTRIES {
            counts.set("two", &i.to_string(), 0);
        }
        assert_eq!(counts.increment("two", "debug"), None);
        assert_eq!(counts.increment("one", "debug"), Some(6));
        assert!(counts.lock()["two"].len() <= MAX_ENTRIES);
    }
}
