//! How a running turn is journaled.

use std::time::Duration;

use crate::error::SandboxError;
use crate::instance::slot::CallEnd;
use crate::journal::{AtEnd, Divergence, Entry, Journal, MAX_BYTES};
use crate::replay::recorded_turn::{RecordedEnd, RecordedTurn};
use crate::replay::recorder::Recorder;
use crate::session::execution::{Execution, Outcome};
use crate::session::turn::TurnSpec;
use crate::types::cancellation::Stop;
use crate::types::limits::Limits;

/// Wall time of a replayed turn. The recorded limit does not apply, because the turn's clock readings are recorded.
const REPLAY_WALL: Duration = Duration::from_secs(86_400);
/// Fuel that a replayed turn may use beyond the recorded amount before it counts as divergent.
const FUEL_SLACK: u64 = 1_000_000_000;

/// How a running turn is journaled.
#[derive(Clone)]
pub(crate) enum JournalMode {
    /// The journal is recorded.
    Record(Recorder),
    /// The journal of a recorded turn is replayed, and the turn must end in the same way. The first field is the number
    /// of the turn in the recording, from 1.
    Replay(u32, Box<RecordedTurn>),
    /// These entries are replayed, and further calls are live.
    Resume(Vec<Entry>),
}

impl JournalMode {
    /// Returns the journal of the turn.
    pub(crate) fn journal(&self) -> Journal {
        match self {
            Self::Record(_) => Journal::recording(),
            Self::Resume(entries) => Journal::starting_with(entries.clone(), AtEnd::Record),
            Self::Replay(_, turn) => {
                let at_end = match turn.was_stopped() {
                    true => AtEnd::Stop,
                    false => AtEnd::Diverge,
                };
                Journal::starting_with(turn.journal.clone(), at_end)
            }
        }
    }

    /// Returns the limits of the turn's wall time and fuel: those of `limits`, or those that stop a replayed turn at the
    /// point where the recorded one was stopped.
    pub(crate) fn budget(&self, limits: &Limits) -> (Duration, Option<u64>) {
        match self {
            Self::Replay(_, turn) if turn.was_stopped() => (REPLAY_WALL, Some(turn.end.fuel)),
            Self::Replay(_, turn) if limits.fuel.is_none() => {
                (REPLAY_WALL, Some(turn.end.fuel.saturating_add(FUEL_SLACK)))
            }
            Self::Replay(..) => (REPLAY_WALL, limits.fuel),
            _ => (limits.wall, limits.fuel),
        }
    }

    /// Returns an error if `spec` is not the recorded turn.
    pub(crate) fn expect(&self, spec: &TurnSpec) -> Result<(), SandboxError> {
        match self {
            Self::Replay(number, turn) if turn.spec != *spec => {
                let why = match turn.spec.code == spec.code {
                    true => "its settings differ from the recorded ones",
                    false => "its code differs from the recorded code",
                };
                Err(differs(*number, why))
            }
            _ => Ok(()),
        }
    }

    /// Returns the end of the turn of `journal`. A replayed turn must be stopped where the recorded one was.
    pub(crate) fn ended(&self, ended: CallEnd, journal: &Journal) -> Result<CallEnd, SandboxError> {
        let Self::Replay(number, turn) = self else {
            return Ok(ended);
        };
        if let Some(Divergence::Differs(why)) = journal.divergence() {
            return Err(differs(*number, &why));
        }
        let stop = match turn.end.outcome {
            Outcome::TimedOut { .. } => Stop::TimedOut,
            Outcome::Cancelled => Stop::Cancelled,
            _ if matches!(ended, CallEnd::OutOfFuel) && turn.spec.fuel_is_unlimited() => {
                return Err(differs(*number, "it uses more fuel than the recorded turn"));
            }
            _ => return Ok(ended),
        };
        match ended {
            CallEnd::OutOfFuel | CallEnd::Stopped(Stop::ReplayEnded) => Ok(CallEnd::Stopped(stop)),
            CallEnd::Stopped(Stop::Cancelled) => Ok(CallEnd::Stopped(Stop::Cancelled)),
            _ => Err(differs(
                *number,
                "it ended by itself, and the recorded turn was stopped",
            )),
        }
    }

    /// Records the finished turn, or compares it with the recorded one.
    pub(crate) fn finish(
        &self,
        spec: TurnSpec,
        journal: &Journal,
        execution: &Execution,
        memory: Option<String>,
    ) -> Result<(), SandboxError> {
        let end = RecordedEnd::of(execution, memory);
        match self {
            Self::Record(recorder) => {
                match journal.take_entries() {
                    Some(journal) => recorder.turn(&RecordedTurn { spec, journal, end }),
                    None => recorder.give_up(format!(
                        "a turn read more than {} MiB from its mounts and stdin",
                        MAX_BYTES >> 20
                    )),
                }
                Ok(())
            }
            Self::Replay(number, turn) => match turn.end.difference(&end) {
                Some(difference) => Err(differs(*number, &difference)),
                None => Ok(()),
            },
            Self::Resume(_) => Ok(()),
        }
    }
}

fn differs(turn: u32, why: &str) -> SandboxError {
    SandboxError::Differs {
        turn,
        why: why.to_owned(),
    }
}
