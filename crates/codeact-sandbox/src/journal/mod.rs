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

mod entry;

pub(crate) use entry::{Call, Entry};

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::types::cancellation::Stop;

/// Limit of the entries of one turn, in bytes.
pub(crate) const MAX_BYTES: usize = 512 << 20;

tokio::task_local! {
    static JOURNAL: Journal;
}

/// The journal of one turn. Clones share it.
#[derive(Clone)]
pub(crate) struct Journal(Arc<Mutex<State>>);

struct State {
    entries: Vec<Entry>,
    /// Number of entries that were recorded or replayed so far.
    next: usize,
    bytes: usize,
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
        Self::starting_with(Vec::new(), AtEnd::Record)
    }

    /// Returns a journal that replays `entries`.
    pub(crate) fn starting_with(entries: Vec<Entry>, at_end: AtEnd) -> Self {
        Self(Arc::new(Mutex::new(State {
            entries,
            next: 0,
            bytes: 0,
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

    /// Takes the recorded entries. `None` if they exceeded [`MAX_BYTES`]: then the journal is not complete.
    pub(crate) fn take_entries(&self) -> Option<Vec<Entry>> {
        self.state(|state| (state.bytes <= MAX_BYTES).then(|| std::mem::take(&mut state.entries)))
    }

    /// Returns the divergence of the turn, also if it ended before all recorded calls were made.
    pub(crate) fn divergence(&self) -> Option<Divergence> {
        self.state(|state| {
            if let (None, AtEnd::Diverge, Some(entry)) =
                (&state.ended, state.at_end, state.entries.get(state.next))
            {
                let (number, call) = (state.next + 1, &entry.call);
                let why = format!("recorded call {number}, {call}, was not made");
                return Some(Divergence::Differs(why));
            }
            state.ended.clone()
        })
    }

    /// Returns the recorded answer to `call`; `None` if all entries were replayed and calls are live.
    fn replayed<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>, Stop> {
        self.state(|state| {
            if state.ended.is_some() {
                return Err(Stop::ReplayEnded);
            }
            let number = state.next + 1;
            let differs = match state.entries.get(state.next) {
                None if state.at_end == AtEnd::Record => return Ok(None),
                None if state.at_end == AtEnd::Stop => {
                    state.ended = Some(Divergence::Stopped);
                    return Err(Stop::ReplayEnded);
                }
                None => format!("call {number} is {call}, and was not recorded"),
                Some(entry) if entry.call != *call => {
                    format!("call {number} is {call}, and {} was recorded", entry.call)
                }
                Some(entry) => match serde_json::from_str(entry.answer.get()) {
                    Ok(answer) => {
                        state.next += 1;
                        return Ok(Some(answer));
                    }
                    Err(e) => {
                        format!("the recorded answer to call {number}, {call}, is damaged: {e}")
                    }
                },
            };
            state.ended = Some(Divergence::Differs(differs));
            Err(Stop::ReplayEnded)
        })
    }

    fn record<T: Serialize>(&self, call: Call, answer: T) -> T {
        let entry = Entry::new(call, &answer);
        self.state(|state| {
            let Some(entry) = entry else {
                // Cannot happen, because answers are plain data. If it does, the journal is not complete.
                state.bytes = usize::MAX;
                return;
            };
            state.bytes = state.bytes.saturating_add(entry.size());
            if state.bytes <= MAX_BYTES {
                state.entries.push(entry);
                state.next = state.entries.len();
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
    current()?.state(|state| match state.entries.get(state.next) {
        None if state.at_end == AtEnd::Record => None,
        next => Some(f(next.map(|entry| &entry.call))),
    })
}

/// Returns true if the running turn has a journal.
pub(crate) fn is_on() -> bool {
    current().is_some()
}

/// Returns true if the running turn is replayed. Such a turn does not have to wait, because times are recorded.
pub(crate) fn is_replaying() -> bool {
    current().is_some_and(|journal| {
        journal.state(|s| s.at_end != AtEnd::Record || s.next < s.entries.len())
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
