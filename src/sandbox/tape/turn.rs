//! A turn with its tape: what was run, what it was told, and how it ended.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::{MOST_BYTES, Off, Recorder, Tape, Then};
use crate::sandbox::error::SandboxError;
use crate::sandbox::execution::{Execution, Outcome};
use crate::sandbox::limits::Limits;
use crate::sandbox::output::Captured;
use crate::sandbox::slot::Ended;
use crate::sandbox::stdin::Stdin;
use crate::sandbox::stop::Stop;
use crate::sandbox::turn::Turn;

/// Wall time plays no part where time is on the tape.
const NO_WALL: Duration = Duration::from_secs(86_400);
/// What a turn may use beyond what was recorded before it counts as another one, in fuel.
const SLACK: u64 = 1_000_000_000;

/// What is run in a turn, as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(super) code: String,
    name: Option<String>,
    argv: Vec<String>,
    env: Vec<(String, String)>,
    bind: Vec<(String, String)>,
    /// Whether it has a stdin of its own.
    stdin: bool,
    agent: bool,
    /// Whether somebody can be asked in place of stdin.
    asks: bool,
    variables: bool,
    transactional: bool,
    last: bool,
    limits: Limits,
}

impl Script {
    pub(crate) fn of(turn: &Turn, limits: &Limits, last: bool) -> Self {
        Self {
            code: turn.code.to_string(),
            name: turn.name.clone(),
            argv: turn.argv.clone(),
            env: turn.env.clone(),
            bind: turn.bind.clone(),
            stdin: turn.stdin.is_some(),
            agent: turn.agent,
            asks: turn.asks(),
            variables: turn.variables,
            transactional: turn.transactional,
            last,
            limits: limits.clone(),
        }
    }

    /// The same turn, to be run again.
    pub(super) fn turn(&self) -> Turn {
        let mut turn = Turn::new(&*self.code).limits(self.limits.clone());
        turn.name.clone_from(&self.name);
        turn.argv.clone_from(&self.argv);
        turn.env.clone_from(&self.env);
        turn.bind.clone_from(&self.bind);
        turn.stdin = self.stdin.then(Stdin::default);
        turn.agent = self.agent;
        turn.told_asks = Some(self.asks);
        turn.variables = self.variables;
        turn.transactional = self.transactional;
        turn
    }
}

/// A turn of a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedTurn {
    pub(super) script: Script,
    #[serde(serialize_with = "pack", deserialize_with = "unpack")]
    pub(super) told: Vec<Entry>,
    pub(super) end: RecordedEnd,
}

/// How a recorded turn ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordedEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// What it wrote to stdout.
    pub stdout: Captured,
    /// What it wrote to stderr.
    pub stderr: Captured,
    /// The final expression's `repr`.
    pub result: Option<String>,
    /// The value given to `final_answer`.
    pub answer: Option<serde_json::Value>,
    /// A SHA-256 of each picture and rich value.
    pub displays: Vec<String>,
    /// A SHA-256 of the memory after it; `None` when the turn was taken back.
    pub memory: Option<String>,
    /// Fuel it used.
    pub fuel: u64,
}

impl RecordedTurn {
    /// The Python source.
    pub fn code(&self) -> &str {
        &self.script.code
    }

    /// How it ended.
    pub fn end(&self) -> &RecordedEnd {
        &self.end
    }

    /// The turn, to be run again in a session of its recording.
    pub fn turn(&self) -> Turn {
        self.script.turn()
    }

    /// Whether it was a session's last.
    pub fn is_last(&self) -> bool {
        self.script.last
    }

    fn was_stopped(&self) -> bool {
        let stopped = |outcome| matches!(outcome, Outcome::TimedOut { .. } | Outcome::Cancelled);
        stopped(self.end.outcome.clone())
    }
}

/// What is done with a turn's tape.
#[derive(Clone)]
pub(crate) enum Taping {
    /// It is written down.
    Record(Recorder),
    /// It is told again, and must end as it did. The number counts from 1.
    Replay(u32, Box<RecordedTurn>),
    /// It is told again, and goes on from there.
    TakeUp(Vec<Entry>),
}

impl Taping {
    pub(crate) fn tape(&self) -> Tape {
        match self {
            Self::Record(_) => Tape::recording(),
            Self::TakeUp(told) => Tape::starting_with(told.clone(), Then::GoOn),
            Self::Replay(_, turn) => {
                let then = match turn.was_stopped() {
                    true => Then::Stop,
                    false => Then::Differ,
                };
                Tape::starting_with(turn.told.clone(), then)
            }
        }
    }

    /// The turn's wall time and fuel: those of its limits, or what stops it where it was stopped.
    pub(crate) fn budget(&self, limits: &Limits) -> (Duration, Option<u64>) {
        match self {
            Self::Replay(_, turn) if turn.was_stopped() => (NO_WALL, Some(turn.end.fuel)),
            Self::Replay(_, turn) if limits.fuel.is_none() => {
                (NO_WALL, Some(turn.end.fuel.saturating_add(SLACK)))
            }
            Self::Replay(..) => (NO_WALL, limits.fuel),
            _ => (limits.wall, limits.fuel),
        }
    }

    /// Says why `script` is not what is to be replayed, if it is not.
    pub(crate) fn expect(&self, script: &Script) -> Result<(), SandboxError> {
        match self {
            Self::Replay(number, turn) if turn.script != *script => {
                let what = match turn.script.code == script.code {
                    true => "it is run with other settings than were recorded",
                    false => "it runs other code than was recorded",
                };
                Err(differs(*number, what))
            }
            _ => Ok(()),
        }
    }

    /// How a turn ended that `tape` was told to: where it was stopped, stopped again.
    pub(crate) fn ended(&self, ended: Ended, tape: &Tape) -> Result<Ended, SandboxError> {
        let Self::Replay(number, turn) = self else {
            return Ok(ended);
        };
        if let Some(Off::Differs(why)) = tape.off() {
            return Err(differs(*number, &why));
        }
        let stop = match turn.end.outcome {
            Outcome::TimedOut { .. } => Stop::TimedOut,
            Outcome::Cancelled => Stop::Cancelled,
            _ if matches!(ended, Ended::OutOfFuel) && turn.script.limits.fuel.is_none() => {
                return Err(differs(*number, "it uses more fuel than was recorded"));
            }
            _ => return Ok(ended),
        };
        match ended {
            Ended::OutOfFuel | Ended::Stopped(Stop::TapeOff) => Ok(Ended::Stopped(stop)),
            Ended::Stopped(Stop::Cancelled) => Ok(Ended::Stopped(Stop::Cancelled)),
            _ => Err(differs(*number, "it ended by itself, and was stopped")),
        }
    }

    /// Writes the finished turn down, or compares it.
    pub(crate) fn finish(
        &self,
        script: Script,
        tape: &Tape,
        execution: &Execution,
        memory: Option<String>,
    ) -> Result<(), SandboxError> {
        let end = RecordedEnd::of(execution, memory);
        match self {
            Self::Record(recorder) => {
                let (told, whole) = tape.entries();
                match whole {
                    true => recorder.turn(&RecordedTurn { script, told, end }),
                    false => recorder.give_up(format!(
                        "a turn was told more than {} MiB by its mounts and stdin",
                        MOST_BYTES >> 20
                    )),
                }
                Ok(())
            }
            Self::Replay(number, turn) => match turn.end.difference(&end) {
                Some(what) => Err(differs(*number, &what)),
                None => Ok(()),
            },
            Self::TakeUp(_) => Ok(()),
        }
    }
}

fn differs(turn: u32, why: &str) -> SandboxError {
    SandboxError::Differs {
        turn,
        why: why.to_owned(),
    }
}

impl RecordedEnd {
    fn of(execution: &Execution, memory: Option<String>) -> Self {
        let displays = execution.displays.iter().map(|display| {
            let mut hash = Sha256::new();
            hash.update(&display.bytes);
            hex(&hash.finalize())
        });
        Self {
            outcome: execution.outcome.clone(),
            stdout: execution.stdout.clone(),
            stderr: execution.stderr.clone(),
            result: execution.result.clone(),
            answer: execution.answer.clone(),
            displays: displays.collect(),
            memory,
            fuel: execution.usage.fuel,
        }
    }

    /// What is first seen to be otherwise in `now`.
    fn difference(&self, now: &Self) -> Option<String> {
        let text = |name: &str, was: &str, is: &str| {
            let line = was.lines().zip(is.lines()).take_while(|(a, b)| a == b);
            (was != is).then(|| format!("its {name} differs from line {} on", line.count() + 1))
        };
        let value = |name: &str, same: bool| (!same).then(|| format!("its {name} differs"));
        text("stdout", &self.stdout.text, &now.stdout.text)
            .or_else(|| text("stderr", &self.stderr.text, &now.stderr.text))
            .or_else(|| match (&self.outcome, &now.outcome) {
                (was, is) if was == is => None,
                (Outcome::Raised(was), Outcome::Raised(is)) => {
                    text("traceback", &was.traceback, &is.traceback)
                        .or_else(|| value("exception", false))
                }
                (was, is) => Some(format!("it ended {}, and had {}", how(is), how(was))),
            })
            .or_else(|| value("result", self.result == now.result))
            .or_else(|| value("answer", self.answer == now.answer))
            .or_else(|| value("pictures", self.displays == now.displays))
            .or_else(|| value("memory", self.memory == now.memory))
    }
}

/// An ending, in the words that follow "it ended".
fn how(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed => "well".into(),
        Outcome::Raised(e) => format!("with {}", e.kind),
        Outcome::Exited { code } => format!("itself with status {code}"),
        Outcome::TimedOut { .. } => "for its wall time".into(),
        Outcome::OutOfFuel { .. } => "for its fuel".into(),
        Outcome::Cancelled => "when it was cancelled".into(),
        Outcome::Waiting => "to wait for an answer".into(),
        Outcome::Trapped { reason } => format!("in a trap, {reason}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn pack<S: Serializer>(told: &[Entry], to: S) -> Result<S::Ok, S::Error> {
    let error = serde::ser::Error::custom;
    let json = serde_json::to_vec(told).map_err(error)?;
    let packed = zstd::encode_all(&*json, 3).map_err(serde::ser::Error::custom)?;
    STANDARD.encode(packed).serialize(to)
}

/// A recording may come from anybody: what it unpacks to is bounded.
pub(super) fn unpack<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Entry>, D::Error> {
    use serde::de::Error;
    use std::io::Read;

    let text = String::deserialize(from)?;
    let packed = STANDARD.decode(text).map_err(D::Error::custom)?;
    let mut json = Vec::new();
    let most = 2 * MOST_BYTES as u64;
    zstd::Decoder::new(&*packed)
        .and_then(|from| from.take(most + 1).read_to_end(&mut json))
        .map_err(D::Error::custom)?;
    if json.len() as u64 > most {
        return Err(D::Error::custom(
            "a turn is larger than any that is recorded",
        ));
    }
    serde_json::from_slice(&json).map_err(D::Error::custom)
}
