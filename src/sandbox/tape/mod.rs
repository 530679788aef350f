//! What a turn is told from outside: written down as it is told, or told again.
//!
//! Time, stdin, what mounts hold and answers from outside reach the guest through [`told`] and by no
//! other way; randomness follows from the session's seed. With the state before a turn and its code, a
//! tape is therefore the turn. `entry` is what is on it, `turn` a turn with its tape and how it ended,
//! `recording` the file of several, `waiting` a turn that was put away while it waits for an answer.
//!
//! The tape of a running turn is a task-local value, not a field that mounts, files, clocks and stdin
//! hand on: they are shared by sessions that are recorded and sessions that are not, and what the host
//! reads for itself between turns must not get on a tape.

mod entry;
mod recording;
mod turn;
mod waiting;

pub(crate) use entry::Entry;
pub(crate) use entry::{Bytes, Call};
pub(crate) use recording::Header;
pub use recording::{Recorder, Recording};
pub use turn::{RecordedEnd, RecordedTurn};
pub(crate) use turn::{Script, Taping, hex};
pub use waiting::{Answers, Reply, Waiting};

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::stop::Stop;

/// The most that the entries of one turn may take, in bytes.
const MOST_BYTES: usize = 512 << 20;

tokio::task_local! {
    static TAPE: Tape;
}

/// The tape of one turn. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Tape(Arc<Mutex<State>>);

struct State {
    /// What was told so far; with `next`, what there is to tell again.
    entries: Vec<Entry>,
    next: usize,
    bytes: usize,
    then: Then,
    /// Why nothing more can be told.
    off: Option<Off>,
}

/// What happens when all entries were told again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The world outside goes on telling, and that is written down.
    GoOn,
    /// The recorded turn was stopped here.
    Stop,
    /// The recorded turn asked for nothing more.
    Differ,
}

/// Why a tape's turn cannot go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Off {
    /// It asks for something else than was recorded.
    Differs(String),
    /// It was stopped here.
    Stopped,
}

impl Tape {
    /// An empty one that is written.
    pub(super) fn recording() -> Self {
        Self::starting_with(Vec::new(), Then::GoOn)
    }

    fn starting_with(entries: Vec<Entry>, then: Then) -> Self {
        Self(Arc::new(Mutex::new(State {
            entries,
            next: 0,
            bytes: 0,
            then,
            off: None,
        })))
    }

    /// Drives a turn whose tape this is.
    pub(super) async fn around<F: Future>(&self, turn: F) -> F::Output {
        TAPE.scope(self.clone(), turn).await
    }

    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        // Nothing panics while holding it.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was told, and whether that is all: a turn that is told very much has no whole tape.
    fn entries(&self) -> (Vec<Entry>, bool) {
        self.state(|state| {
            let whole = state.bytes <= MOST_BYTES;
            (std::mem::take(&mut state.entries), whole)
        })
    }

    pub(super) fn off(&self) -> Option<Off> {
        self.state(|state| {
            if let (None, Then::Differ, Some(entry)) =
                (&state.off, state.then, state.entries.get(state.next))
            {
                let (number, call) = (state.next + 1, &entry.call);
                let why = format!("call {number} was {call}, and did not come again");
                return Some(Off::Differs(why));
            }
            state.off.clone()
        })
    }
}

/// The answer to `call`: from the turn's tape if it is being replayed, else from `live`, and then
/// written to the tape if there is one.
///
/// # Errors
///
/// When the tape has another call here.
pub(crate) fn told<T: Serialize + DeserializeOwned>(
    call: impl FnOnce() -> Call,
    live: impl FnOnce() -> T,
) -> Result<T, Stop> {
    let Ok(tape) = TAPE.try_with(Tape::clone) else {
        return Ok(live());
    };
    let call = call();
    match tape.again(&call)? {
        Some(answer) => Ok(answer),
        None => Ok(tape.keep(call, live())),
    }
}

/// As [`told`], of an answer that has to be waited for.
///
/// # Errors
///
/// As [`told`].
pub(crate) async fn told_later<T: Serialize + DeserializeOwned>(
    call: impl FnOnce() -> Call,
    live: impl Future<Output = T>,
) -> Result<T, Stop> {
    let Ok(tape) = TAPE.try_with(Tape::clone) else {
        return Ok(live.await);
    };
    let call = call();
    match tape.again(&call)? {
        Some(answer) => Ok(answer),
        None => Ok(tape.keep(call, live.await)),
    }
}

/// Whether the call that the tape tells next is such a one; `None` where nothing is told again.
pub(crate) fn next_is(such: impl FnOnce(&Call) -> bool) -> Option<bool> {
    let tape = TAPE.try_with(Tape::clone).ok()?;
    tape.state(|state| match state.entries.get(state.next) {
        Some(entry) => Some(such(&entry.call)),
        None if state.then == Then::GoOn => None,
        None => Some(false),
    })
}

/// Whether the running turn has a tape.
pub(crate) fn is_on() -> bool {
    TAPE.try_with(|_| ()).is_ok()
}

/// Whether what takes time on the way must not: the time is on the tape.
pub(crate) fn is_replaying() -> bool {
    let replays = |tape: &Tape| tape.state(|s| s.then != Then::GoOn || s.next < s.entries.len());
    TAPE.try_with(replays).unwrap_or(false)
}

/// Stops a turn whose tape cannot go on.
pub(crate) fn check() -> Result<(), Stop> {
    match TAPE.try_with(|tape| tape.state(|state| state.off.is_some())) {
        Ok(true) => Err(Stop::TapeOff),
        _ => Ok(()),
    }
}

impl Tape {
    /// The recorded answer to `call`; `None` when the tape has come to its end and is written on.
    fn again<T: DeserializeOwned>(&self, call: &Call) -> Result<Option<T>, Stop> {
        self.state(|state| {
            if state.off.is_some() {
                return Err(Stop::TapeOff);
            }
            let number = state.next + 1;
            let differs = match state.entries.get(state.next) {
                None if state.then == Then::GoOn => return Ok(None),
                None if state.then == Then::Stop => {
                    state.off = Some(Off::Stopped);
                    return Err(Stop::TapeOff);
                }
                None => format!("call {number} is {call}, and was not there"),
                Some(entry) if entry.call != *call => {
                    format!("call {number} is {call}, and was {}", entry.call)
                }
                Some(entry) => match serde_json::from_str(entry.answer.get()) {
                    Ok(answer) => {
                        state.next += 1;
                        return Ok(Some(answer));
                    }
                    Err(e) => format!("the answer to call {number}, {call}, is damaged: {e}"),
                },
            };
            state.off = Some(Off::Differs(differs));
            Err(Stop::TapeOff)
        })
    }

    fn keep<T: Serialize>(&self, call: Call, answer: T) -> T {
        let entry = Entry::new(call, &answer);
        self.state(|state| {
            let Some(entry) = entry else {
                // Cannot happen: answers are plain data. If it does, the tape is not whole.
                state.bytes = usize::MAX;
                return;
            };
            state.bytes = state.bytes.saturating_add(entry.size());
            if state.bytes <= MOST_BYTES {
                state.entries.push(entry);
                state.next = state.entries.len();
            }
        });
        answer
    }
}
