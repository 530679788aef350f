//! One turn, from its code to its execution, in a slot that the session goes on with or never sees
//! again.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::runtime::Handle;

use super::at_rest::{AtRest, lock, take_slot};
use super::door::{Door, Outside, TurnEnd, TurnRequest};
use super::error::SandboxError;
use super::execution::{Execution, Outcome, Usage, Variable};
use super::guest_file::GuestFile;
use super::limits::Limits;
use super::output::Output;
use super::runtime::Runtime;
use super::slot::{Ended, Entry, Slot};
use super::stop::{Stop, Watch};
use super::tape::{Header, Script, Tape, Taping, Waiting};
use super::toolbox::SharedToolbox;
use super::turn::Turn;
use super::vfs::{HOME, Quota, Tree};

/// So many variables are told; the runner tells fewer.
const MAX_VARIABLES: usize = 1000;

/// One turn, with all that the session adds to it.
pub(super) struct Job {
    pub(super) turn: Turn,
    pub(super) name: String,
    pub(super) limits: Limits,
    pub(super) site: Option<Arc<str>>,
    pub(super) last: bool,
    pub(super) taping: Option<Taping>,
    /// The session as it was before the turn, where it may be put away.
    pub(super) start: Option<Header>,
    pub(super) toolbox: Option<SharedToolbox>,
    /// That of whoever runs the turn.
    pub(super) caller: Option<Handle>,
}

/// Runs it. The slot comes back when the session can go on with it.
pub(super) async fn run_turn(
    runtime: &Runtime,
    at_rest: &Mutex<AtRest>,
    job: Job,
) -> Result<(Execution, Option<Slot>), SandboxError> {
    let begun = Instant::now();
    let (turn, limits) = (job.turn, &job.limits);
    let (wall, fuel) = match &job.taping {
        Some(taping) => taping.budget(limits),
        None => (limits.wall, limits.fuel),
    };
    let asks = turn.asks();
    let script = Script::of(&turn, limits, job.last);
    if let Some(taping) = &job.taping {
        taping.expect(&script)?;
    }
    let tape = (job.taping.as_ref()).map(Taping::tape);
    let tape = tape.or_else(|| job.start.is_some().then(Tape::recording));
    let watch = Watch::new(wall, turn.cancel.clone());
    let (mut slot, started) = take_slot(runtime, at_rest, limits).await?;
    let request = TurnRequest {
        code: turn.code,
        name: job.name,
        argv: turn.argv,
        env: turn.env,
        bind: turn.bind,
        first: !started,
        site: job.site.filter(|_| !started),
        last: job.last,
        agent: turn.agent,
        asks,
        variables: turn.variables,
    };
    let frame = serde_json::to_vec(&request)
        .map_err(|e| SandboxError::Setting(format!("this turn cannot be sent: {e}")))?;
    let size = slot.memory().len() as u64;
    let host = slot.host();
    host.state.tree.refresh_mounts();
    host.limiter.max = limits.memory.max(size);
    host.limiter.peak = size;
    host.quota = Quota::of(limits);
    host.state.fds.begin_turn(limits.open_files);
    let outside = Outside::new(turn.answers, job.toolbox, job.caller, turn.events.clone());
    host.output = Output::new(limits.output, turn.events);
    host.watch = watch.clone();
    if let Some(stdin) = turn.stdin {
        host.state.stdin = stdin;
        host.state.stdin_read = 0;
    }
    let door = Door::new(limits, frame, outside);
    let call = slot.call(Entry::Turn(runtime.runner), door, fuel, &watch);
    let (mut ended, fuel) = match &tape {
        Some(tape) => tape.around(call).await?,
        None => call.await?,
    };
    if let (Some(taping), Some(tape)) = (&job.taping, &tape) {
        ended = taping.ended(ended, tape)?;
    }
    let interrupted = match &ended {
        Ended::Returned | Ended::Exited(_) => None,
        Ended::OutOfFuel | Ended::Trapped(_) | Ended::Stopped(_) => {
            runtime.traceback(slot.memory(), &request.code)
        }
    };

    let host = slot.host();
    let (stdout, stderr, transcript) = host.output.finish();
    let mut told = host.door.ended.take();
    let displays = std::mem::take(&mut host.door.displays);
    // What the code has started ends with the turn.
    let outside = std::mem::take(&mut host.door.outside);
    // A turn that cannot tell how it ended has broken the runner inside: no later one could run.
    let failed = told
        .as_ref()
        .is_none_or(|end| turn.transactional && end.error.is_some());
    let rolled_back = !matches!(ended, Ended::Returned) || failed;
    let files = match (turn.keep_files, rolled_back) {
        (false, _) => Vec::new(),
        (true, false) => guest_files(&mut host.state.tree),
        (true, true) => guest_files(&mut lock(at_rest).checkpoint.state.tree),
    };
    let usage = Usage {
        wall: begun.elapsed(),
        fuel,
        peak_memory_bytes: host.limiter.peak,
        door_calls: host.door.calls,
        door_bytes: host.door.bytes,
    };
    let variables = (told.as_mut())
        .map(|end| std::mem::take(&mut end.variables))
        .unwrap_or_default();
    let variables = (variables.into_iter().take(MAX_VARIABLES))
        .map(|(name, kind, short)| Variable { name, kind, short })
        .collect();
    let waiting = match (outside.waiting, job.start, &tape) {
        (Some(request), Some(start), Some(tape)) if rolled_back => {
            Some(Waiting::new(start, script.clone(), tape, request)?)
        }
        _ => None,
    };
    let (outcome, result, answer) = outcome(ended, told, limits);
    let execution = Execution {
        outcome,
        stdout,
        stderr,
        transcript,
        result,
        displays,
        files,
        variables,
        interrupted,
        answer,
        waiting,
        rolled_back,
        usage,
    };
    if let (Some(taping), Some(tape)) = (&job.taping, &tape) {
        let memory = match rolled_back {
            true => None,
            false => Some(slot.fingerprint(&runtime.image)?),
        };
        taping.finish(script, tape, &execution, memory)?;
    }
    Ok((execution, (!rolled_back).then_some(slot)))
}

/// The files in the home folder that the guest made or changed.
pub(super) fn guest_files(tree: &mut Tree) -> Vec<GuestFile> {
    (tree.files_below(HOME).into_iter())
        .map(|(path, content)| GuestFile::new(path, content))
        .collect()
}

/// What the caller is told of a turn's end: the outcome, the result and the answer.
fn outcome(
    ended: Ended,
    told: Option<TurnEnd>,
    limits: &Limits,
) -> (Outcome, Option<String>, Option<serde_json::Value>) {
    let outcome = match ended {
        Ended::Returned => {
            let Some(end) = told else {
                let reason = "the code left the interpreter unable to tell how it ended".into();
                return (Outcome::Trapped { reason }, None, None);
            };
            let outcome = match (end.error, end.exit) {
                (Some(error), _) => Outcome::Raised(error),
                (None, Some(code)) => Outcome::Exited {
                    code: (code & 0xFF) as i32,
                },
                (None, None) => Outcome::Completed,
            };
            return (outcome, end.result, end.answer);
        }
        Ended::Exited(code) => Outcome::Exited { code: code & 0xFF },
        Ended::OutOfFuel => Outcome::OutOfFuel {
            budget: limits.fuel.unwrap_or(u64::MAX),
        },
        Ended::Trapped(reason) => Outcome::Trapped { reason },
        Ended::Stopped(Stop::TimedOut) => Outcome::TimedOut { limit: limits.wall },
        Ended::Stopped(Stop::PutAway) => Outcome::Waiting,
        Ended::Stopped(Stop::Cancelled | Stop::TapeOff) => Outcome::Cancelled,
    };
    (outcome, None, None)
}
