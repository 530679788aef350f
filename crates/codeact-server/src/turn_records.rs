//! The turns of a session, a few at a time: one record has up to the size of a request, and a session any number of them.

use std::collections::VecDeque;

use codeact_sessions::TurnRecord;
use codeact_sessions::manager::{ManagerError, SessionHandle};

/// Records that are in memory at a time.
const BATCH: usize = 16;

/// Reads the records of a session, in order.
pub(crate) struct TurnRecords {
    handle: SessionHandle,
    last: u32,
    batch: VecDeque<TurnRecord>,
    has_ended: bool,
}

impl TurnRecords {
    /// Reads the turns of `handle`'s session after the turn `turn`; 0: all.
    pub(crate) fn after(handle: &SessionHandle, turn: u32) -> Self {
        Self {
            handle: handle.clone(),
            last: turn,
            batch: VecDeque::new(),
            has_ended: false,
        }
    }

    /// Returns the next record; `None` after the last one.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub(crate) async fn next(&mut self) -> Result<Option<TurnRecord>, ManagerError> {
        if self.batch.is_empty() && !self.has_ended {
            let Some(first) = self.last.checked_add(1) else {
                return Ok(None);
            };
            let read = (self.handle).turns_in(first..=u32::MAX, BATCH);
            self.batch = read.await?.into();
            self.has_ended = self.batch.len() < BATCH;
        }
        let next = self.batch.pop_front();
        if let Some(next) = &next {
            self.last = next.turn;
        }
        Ok(next)
    }

    /// Returns the number of the remaining records for which `is_counted` is true.
    ///
    /// # Errors
    ///
    /// Returns errors of the store.
    pub(crate) async fn count(
        mut self,
        is_counted: impl Fn(&TurnRecord) -> bool,
    ) -> Result<u64, ManagerError> {
        let mut count = 0;
        while let Some(record) = self.next().await? {
            count += u64::from(is_counted(&record));
        }
        Ok(count)
    }
}

/// Returns the size of the texts of a record, in bytes.
pub(crate) fn bytes_of(record: &TurnRecord) -> usize {
    let texts = [&record.code, &record.stdout, &record.stderr];
    let texts = texts
        .into_iter()
        .chain(&record.result)
        .chain(&record.error)
        .map(String::len);
    let files = record.files.iter().map(|file| file.path.len() + 64);
    let variables = (record.variables.iter())
        .map(|variable| variable.name.len() + variable.kind.len() + variable.short.len() + 64);
    texts.chain(files).chain(variables).sum::<usize>() + 256
}
