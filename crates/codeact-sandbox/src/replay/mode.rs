//! How a running turn is journaled.

use std::time::Duration;

use crate::error::SandboxError;
use crate::instance::slot::CallEnd;
use crate::journal::{AtEnd, Divergence, Entries, Journal, MAX_BYTES, MAX_PACKED_BYTES};
use crate::replay::recorded_turn::{RecordedEnd, RecordedTurn};
use crate::replay::recorder::Recorder;
use crate::session::execution::{Execution, Outcome};
use crate::session::turn::TurnSpec;
use crate::types::cancellation::Stop;
use crate::types::limits::{Limits, NeededLimit};

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
    Resume(Entries),
}

/// Limits of a turn that is about to run.
pub(crate) struct TurnLimits {
    /// Limits that the code observes, and that its outcome reports.
    pub(crate) limits: Limits,
    /// Limit of the wall time on this machine.
    pub(crate) wall: Duration,
    /// Fuel budget.
    pub(crate) fuel: Option<u64>,
}

impl TurnLimits {
    /// Returns the limits of a turn that is not replayed.
    pub(crate) fn live(limits: Limits) -> Self {
        Self {
            wall: limits.wall,
            fuel: limits.fuel,
            limits,
        }
    }
}

impl JournalMode {
    /// Returns the journal of the turn.
    pub(crate) fn journal(&self) -> Journal {
        match self {
            Self::Record(_) => Journal::recording(),
            Self::Resume(entries) => Journal::starting_with(entries, AtEnd::Record),
            Self::Replay(_, turn) => {
                let at_end = match turn.was_stopped() {
                    true => AtEnd::Stop,
                    false => AtEnd::Diverge,
                };
                Journal::starting_with(&turn.journal, at_end)
            }
        }
    }

    /// Returns the limits of the turn of `spec` in a session whose limits are `allowed`. `turn` is its number in the
    /// session.
    ///
    /// The limits of a replayed or resumed turn are from a file, which may not widen those of the session. The recorded
    /// ones apply, because the code can observe them, if none is above that of the session. Wall time is the exception:
    /// the code cannot observe it, and a replay on a slower machine needs more. Of a replayed turn that of the session
    /// applies, of a resumed turn the smaller one.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::NeedsMore`] if a recorded limit, or the fuel that the recorded turn used, is above that
    /// of the session.
    pub(crate) fn limits(
        &self,
        turn: u32,
        spec: &mut TurnSpec,
        allowed: &Limits,
    ) -> Result<TurnLimits, SandboxError> {
        let recorded = match self {
            Self::Replay(_, turn) => turn.spec.limits.as_ref(),
            Self::Record(_) | Self::Resume(_) => None,
        };
        let limits = recorded.or(spec.limits.as_ref()).unwrap_or(allowed).clone();
        spec.limits.get_or_insert_with(|| limits.clone());
        let needs_more = |turn, limits: Vec<NeededLimit>| match limits.is_empty() {
            true => Ok(()),
            false => Err(SandboxError::NeedsMore { turn, limits }),
        };
        let fuel = |budget: u64| allowed.fuel.map_or(budget, |fuel| fuel.min(budget));
        match self {
            Self::Record(_) => Ok(TurnLimits::live(limits)),
            Self::Resume(_) => {
                needs_more(turn, limits.above(allowed))?;
                let limits = Limits {
                    wall: limits.wall.min(allowed.wall),
                    fuel: limits.fuel.map(fuel).or(allowed.fuel),
                    ..limits
                };
                spec.limits = Some(limits.clone());
                Ok(TurnLimits::live(limits))
            }
            Self::Replay(number, turn) => {
                let mut needed = limits.above(allowed);
                needed.extend(NeededLimit::fuel(turn.end.fuel, allowed));
                needs_more(*number, needed)?;
                let budget = match limits.fuel {
                    // Stops at the point where the recorded turn was stopped.
                    _ if turn.was_stopped() => turn.end.fuel,
                    Some(budget) => budget,
                    None => turn.end.fuel.saturating_add(FUEL_SLACK),
                };
                Ok(TurnLimits {
                    wall: allowed.wall,
                    fuel: Some(fuel(budget)),
                    limits,
                })
            }
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

    /// Returns the end of the turn of `journal`. A replayed turn must be stopped where the recorded one was. `turn` is
    /// its number in the session, and `wall` the limit of its wall time.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Differs`] if its calls or its end differ from the recorded ones;
    /// [`SandboxError::NeedsMore`] if it was stopped by its wall time before its end.
    pub(crate) fn ended(
        &self,
        turn: u32,
        ended: CallEnd,
        journal: &Journal,
        wall: Duration,
    ) -> Result<CallEnd, SandboxError> {
        let number = match self {
            Self::Replay(number, _) => *number,
            Self::Record(_) | Self::Resume(_) => turn,
        };
        if let Some(Divergence::Differs(why)) = journal.divergence() {
            return Err(differs(number, &why));
        }
        let Self::Replay(_, turn) = self else {
            return Ok(ended);
        };
        if matches!(ended, CallEnd::Stopped(Stop::TimedOut)) {
            return Err(SandboxError::NeedsMore {
                turn: number,
                limits: vec![NeededLimit::wall(wall)],
            });
        }
        let stop = match turn.end.outcome {
            Outcome::TimedOut { .. } => Stop::TimedOut,
            Outcome::Cancelled => Stop::Cancelled,
            _ if matches!(ended, CallEnd::OutOfFuel) && turn.spec.fuel_is_unlimited() => {
                return Err(differs(number, "it uses more fuel than the recorded turn"));
            }
            _ => return Ok(ended),
        };
        match ended {
            CallEnd::OutOfFuel | CallEnd::Stopped(Stop::ReplayEnded) => Ok(CallEnd::Stopped(stop)),
            CallEnd::Stopped(Stop::Cancelled) => Ok(CallEnd::Stopped(Stop::Cancelled)),
            _ => Err(differs(
                number,
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
                        "the input of a turn (clock readings, stdin, mounts, results of tools) is larger than a \
                         recording can be, {} MiB or {} MiB compressed; it has the turns before that one",
                        MAX_BYTES >> 20,
                        MAX_PACKED_BYTES >> 20
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
