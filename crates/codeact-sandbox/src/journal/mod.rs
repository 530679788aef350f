//! The nondeterministic inputs of a turn, recorded or replayed.
//!
//! Clock readings, stdin, the content of mounts, replies of tools and user input reach the guest only through
//! [`record_or_replay`] and its variants. Randomness is determined by the session's seed. Together with the state before
//! a turn and its code, a journal therefore determines the turn. `entry` is one call and its answer. Recordings and
//! suspended turns are built on it in [`crate::replay`].
//!
//! The journal of a running turn is a task-local value and not a field of mounts, files, clocks and stdin. These are
//! shared by sessions with and without a journal, and reads that the host makes for itself between turns must not be
//! recorded.

mod entries;
mod entry;

pub(crate) use entries::{Entries, MAX_BYTES, MAX_PACKED_BYTES};
pub(crate) use entry::Call;

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::types::cancellation::Stop;
use entries::{Item, Reader, Writer};

tokio::task_local! {
    static JOURNAL: Journal;
}

/// The journal of one turn. Clones share it.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Mutex<State>>);

struct State {
    /// Entries to replay.
    replayed: Reader,
    /// Number of entries that were recorded or replayed so far.
    count: u64,
    /// All entries so far, if calls are recorded.
    recorded: Writer,
    at_end: AtEnd,
    /// Set if the turn cannot go on.
    ended: Option<Divergence>,
}

/// Behaviour of a journal after all its entries were replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtEnd {
    /// Further calls are answered live and recorded.
    Record,
    /// The recorded turn was stopped here, so this one is stopped as well.
    Stop,
    /// The recorded turn made no further calls: one more is a divergence.
    Diverge,
}

/// Why the turn of a journal cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Divergence {
    /// Its calls differ from the recorded ones; the text describes the first difference.
    Differs(String),
    /// The recorded turn was stopped here.
    Stopped,
}

impl Journal {
    /// Returns an empty journal that records.
    pub(crate) fn recording() -> Self {
        Self::starting_with(&Entries::default(), AtEnd::Record)
    }

    /// Returns a journal that replays `entries`.
    pub(crate) fn starting_with(entries: &Entries, at_end: AtEnd) -> Self {
        Self(Arc::new(Mutex::new(State {
            replayed: entries.reader(),
            count: 0,
            recorded: Writer::default(),
            at_end,
            ended: None,
        })))
    }

    /// Drives `turn` with this journal.
    pub(crate) async fn scope<F: Future>(&self, turn: F) -> F::Output {
        JOURNAL.scope(self.clone(), turn).await
    }

    fn state<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        // Nothing panics while holding the lock.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the recorded entries. `None` if they exceeded [`MAX_BYTES`] or [`MAX_PACKED_BYTES`]: then the journal is
    /// not complete.
    pub(crate) fn take_entries(&self) -> Option<Entries> {
        self.state(|state| std::mem::take(&mut state.recorded).finish())
    }

    /// Returns the divergence of the turn, also if it ended before all recorded calls were made.
    pub(crate) fn divergence(&self) -> Option<Divergence> {
        self.state(|state| {
            if state.ended.is_none()
                && state.at_end == AtEnd::Diverge
                && let Ok(Some(item)) = state.replayed.peek()
            {
                let (number, call) = (state.count + 1, item.call());
                let why = format!("recorded call {number}, {call}, was not made");
                return Some(Divergence::Differs(why));
            }
            state.ended.clone()
        })
    }

    /// Returns the last replayed reading of the monotonic clock, in nanoseconds; 0 if there is none.
    pub(crate) fn last_monotonic(&self) -> u64 {
        self.state(|state| state.replayed.last_monotonic())
    }

    /// Returns the recorded answer to `call`; `None` if all entries were replayed and calls are live.
    fn replayed<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>, Stop> {
        self.state(|state| {
            if state.ended.is_some() {
                return Err(Stop::ReplayEnded);
            }
            let number = state.count + 1;
            let differs = match state.replayed.next() {
                Ok(None) if state.at_end == AtEnd::Record => return Ok(None),
                Ok(None) if state.at_end == AtEnd::Stop => {
                    state.ended = Some(Divergence::Stopped);
                    return Err(Stop::ReplayEnded);
                }
                Ok(None) => format!("call {number} is {call}, and was not recorded"),
                Ok(Some(item)) if item.call() != call => {
                    format!("call {number} is {call}, and {} was recorded", item.call())
                }
                Ok(Some(item)) => match item.answer() {
                    Ok(answer) => {
                        state.count = number;
                        if state.at_end == AtEnd::Record {
                            state.recorded.push(&item);
                        }
                        return Ok(Some(answer));
                    }
                    Err(e) => {
                        format!("the recorded answer to call {number}, {call}, is damaged: {e}")
                    }
                },
                Err(e) => format!("its journal is damaged at call {number}: {e}"),
            };
            state.ended = Some(Divergence::Differs(differs));
            Err(Stop::ReplayEnded)
        })
    }

    fn record<T: Serialize>(&self, call: Call, answer: T) -> T {
        let item = Item::new(call, &answer);
        self.state(|state| {
            state.count += 1;
            match item {
                Some(item) => state.recorded.push(&item),
                // Cannot happen, because answers are plain data. If it does, the journal is not complete.
                None => state.recorded.give_up(),
            }
        });
        answer
    }
}

fn current() -> Option<Journal> {
    JOURNAL.try_with(Journal::clone).ok()
}

/// Returns the answer to `call`: the recorded one if the turn is replayed, otherwise that of `live`, which is recorded
/// if the turn has a journal.
///
/// # Errors
///
/// Returns [`Stop::ReplayEnded`] if the journal has another call at this position.
pub(crate) fn record_or_replay<T: Serialize + DeserializeOwned>(
    call: impl FnOnce() -> Call,
    live: impl FnOnce() -> T,
) -> Result<T, Stop> {
    let Some(journal) = current() else {
        return Ok(live());
    };
    let call = call();
    match journal.replayed(&call)? {
        Some(answer) => Ok(answer),
        None => Ok(journal.record(call, live())),
    }
}

/// As [`record_or_replay`], for an answer that has to be awaited.
///
/// # Errors
///
/// As [`record_or_replay`].
pub(crate) async fn record_or_replay_async<T: Serialize + DeserializeOwned>(
    call: impl FnOnce() -> Call,
    live: impl Future<Output = T>,
) -> Result<T, Stop> {
    let Some(journal) = current() else {
        return Ok(live.await);
    };
    let call = call();
    match journal.replayed(&call)? {
        Some(answer) => Ok(answer),
        None => Ok(journal.record(call, live.await)),
    }
}

/// Returns the recorded answer to `call`; `None` if the answer has to be obtained, and passed to [`record`].
///
/// # Errors
///
/// As [`record_or_replay`].
pub(crate) fn replayed<T: DeserializeOwned>(call: &Call) -> Result<Option<T>, Stop> {
    match current() {
        Some(journal) => journal.replayed(call),
        None => Ok(None),
    }
}

/// Records the live `answer` to `call` if the turn has a journal, and returns it.
pub(crate) fn record<T: Serialize>(call: Call, answer: T) -> T {
    match current() {
        Some(journal) => journal.record(call, answer),
        None => answer,
    }
}

/// Returns the result of `f` for the next recorded call, if there is one; `None` if calls are live.
pub(crate) fn peek<T>(f: impl FnOnce(Option<&Call>) -> T) -> Option<T> {
    current()?.state(|state| match state.replayed.peek() {
        Ok(None) if state.at_end == AtEnd::Record => None,
        // Damaged entries are reported when the next call is replayed.
        next => Some(f(next.ok().flatten().map(Item::call))),
    })
}

/// Returns true if the running turn has a journal that is too large to be stored.
pub(crate) fn is_full() -> bool {
    current().is_some_and(|journal| journal.state(|state| state.recorded.is_full()))
}

/// Returns the last replayed reading of the monotonic clock, in nanoseconds; 0 if there is none.
pub(crate) fn last_monotonic() -> u64 {
    current().map_or(0, |journal| journal.last_monotonic())
}

/// Returns true if the running turn has a journal.
pub(crate) fn is_on() -> bool {
    current().is_some()
}

/// Returns true if the running turn is replayed. Such a turn does not have to wait, because times are recorded.
pub(crate) fn is_replaying() -> bool {
    current().is_some_and(|journal| {
        journal.state(|s| s.at_end != AtEnd::Record || !matches!(s.replayed.peek(), Ok(None)))
    })
}

/// Stops a turn whose journal has diverged or ended.
///
/// # Errors
///
/// Returns [`Stop::ReplayEnded`].
pub(crate) fn check() -> Result<(), Stop> {
    match JOURNAL.try_with(|journal| journal.state(|state| state.ended.is_some())) {
        Ok(true) => Err(Stop::ReplayEnded),
        _ => Ok(()),
    }
}
