//! Runs one turn as a transaction: afterwards the session uses the slot of the turn, or discards it.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use codeact_base::event::EventSink;
use tokio::runtime::Handle;

use crate::engine::runtime::Runtime;
use crate::error::SandboxError;
use crate::fs::guest_file::GuestFile;
use crate::fs::vfs::{HOME, Quota, Tree};
use crate::hostcall::{HostCalls, HostServices, TurnEnd, TurnFrame};
use crate::instance::slot::{CallEnd, EntryPoint, Slot};
use crate::journal::Journal;
use crate::replay::header::Header;
use crate::replay::mode::{JournalMode, TurnLimits};
use crate::replay::suspended::SuspendedTurn;
use crate::session::execution::{Execution, Outcome, Usage, Variable};
use crate::session::idle::{IdleSession, lock, take_slot};
use crate::session::turn::Turn;
use crate::types::cancellation::{Stop, Watch};
use crate::types::limits::Limits;
use crate::types::output::Output;
use crate::types::stdin::Stdin;
use crate::types::toolbox::SharedToolbox;
use crate::wasi::GuestState;

/// Limit of the listed variables. The runner lists fewer.
const MAX_VARIABLES: usize = 1000;

/// Writes the session before a turn. Only a turn that is suspended needs it, and it can be as large as the memory.
pub(crate) type StartOfTurn = Box<dyn FnOnce() -> Result<Header, SandboxError> + Send>;

/// One turn, with its context from the session.
pub(crate) struct Job {
    pub(crate) turn: Turn,
    /// Number of the turn in its session, from 1.
    pub(crate) number: u32,
    pub(crate) session_limits: Limits,
    pub(crate) site: Option<Arc<str>>,
    pub(crate) journal_mode: Option<JournalMode>,
    /// Writes the session before the turn, if the turn may be suspended.
    pub(crate) start: Option<StartOfTurn>,
    pub(crate) toolbox: Option<SharedToolbox>,
    /// Runtime of the caller, in which tools run.
    pub(crate) caller: Option<Handle>,
}

/// Runs a turn. Returns its slot if the session can go on with it.
pub(crate) async fn run_turn(
    runtime: &Runtime,
    idle: &Mutex<IdleSession>,
    job: Job,
) -> Result<(Execution, Option<Slot>), SandboxError> {
    let begun = Instant::now();
    let Turn {
        mut spec,
        stdin,
        options,
    } = job.turn;
    let input_asks = options.input.is_some() && stdin.is_none();
    let asks = *spec.asks.get_or_insert(input_asks);
    let TurnLimits { limits, wall, fuel } = match &job.journal_mode {
        Some(mode) => mode.limits(job.number, &mut spec, &job.session_limits)?,
        None => TurnLimits::live(spec.limits.get_or_insert(job.session_limits).clone()),
    };
    if let Some(mode) = &job.journal_mode {
        mode.expect(&spec)?;
    }
    let journal = (job.journal_mode.as_ref()).map(JournalMode::journal);
    let journal = journal.or_else(|| job.start.is_some().then(Journal::recording));
    let watch = Watch::new(wall, options.cancel);
    let (mut slot, started) = take_slot(runtime, idle, &limits).await?;
    let numbered = format!("<turn {}>", job.number);
    let frame = TurnFrame {
        code: &spec.code,
        encoded: spec.encoded,
        name: spec.name.as_ref().unwrap_or(&numbered),
        argv: &spec.argv,
        env: &spec.env,
        bind: &spec.bind,
        first: !started,
        site: job.site.as_deref(),
        last: spec.last,
        agent: spec.agent,
        asks,
        variables: spec.variables,
        rich: spec.rich,
    };
    let frame = serde_json::to_vec(&frame)
        .map_err(|e| SandboxError::setting(format!("cannot encode the turn: {e}")))?;
    let services = HostServices::new(
        options.input,
        job.toolbox,
        job.caller,
        options.events.clone(),
    );
    let mut host_calls = HostCalls::new(&limits, frame, services);
    host_calls.is_rich = spec.rich;
    begin(&mut slot, &limits, &watch, options.events, stdin);
    let entry = EntryPoint::Turn(runtime.runner);
    let call = slot.call(entry, host_calls, fuel, &watch);
    let (mut ended, fuel) = match &journal {
        Some(journal) => journal.scope(call).await?,
        None => call.await?,
    };
    if let (Some(mode), Some(journal)) = (&job.journal_mode, &journal) {
        ended = mode.ended(job.number, ended, journal, wall)?;
        // The clock of a resumed turn goes on from its last recorded reading, also for the next turn.
        (slot.host().wasi.state.clock).advance_to(journal.last_monotonic());
    }
    let interrupted = match &ended {
        CallEnd::Returned | CallEnd::Exited(_) => None,
        CallEnd::OutOfFuel | CallEnd::Trapped(_) | CallEnd::Stopped(_) => {
            // The host does not decode: the guest's text has the lines.
            let source = if spec.encoded { "" } else { &spec.code };
            runtime.traceback(slot.memory(), source)
        }
    };

    let host = slot.host();
    let (stdout, stderr, transcript) = host.wasi.output.finish();
    let mut report = host.host_calls.ended.take();
    let displays = std::mem::take(&mut host.host_calls.displays);
    let bundles = std::mem::take(&mut host.host_calls.bundles);
    // Dropped at the end, which stops calls that still run.
    let services = std::mem::take(&mut host.host_calls.services);
    // Without a report the runner in the guest is broken, and no later turn could run.
    let failed = report
        .as_ref()
        .is_none_or(|end| spec.transactional && end.error.is_some());
    let rolled_back = !matches!(ended, CallEnd::Returned) || failed;
    let files = match (options.keep_files, rolled_back) {
        (false, _) => Vec::new(),
        (true, false) => guest_files(&mut host.wasi.state.tree),
        (true, true) => guest_files(&mut lock(idle).checkpoint.state.tree),
    };
    let usage = Usage {
        wall: begun.elapsed(),
        fuel,
        peak_memory_bytes: host.limiter.peak,
        host_calls: host.host_calls.calls,
        host_call_bytes: host.host_calls.bytes,
    };
    let variables = (report.as_mut())
        .map(|end| std::mem::take(&mut end.variables))
        .unwrap_or_default();
    let variables = (variables.into_iter().take(MAX_VARIABLES))
        .map(|(name, kind, short)| Variable { name, kind, short })
        .collect();
    let suspended = match (services.suspended, job.start, &journal) {
        (Some(request), Some(start), Some(journal)) if rolled_back => Some(SuspendedTurn::new(
            start()?,
            spec.clone(),
            journal,
            request,
        )?),
        _ => None,
    };
    let (outcome, result, answer) = outcome(ended, report, &limits);
    let execution = Execution {
        outcome,
        stdout,
        stderr,
        transcript,
        result,
        displays,
        bundles,
        files,
        variables,
        interrupted,
        answer,
        suspended,
        rolled_back,
        usage,
    };
    if let (Some(mode), Some(journal)) = (&job.journal_mode, &journal) {
        let memory = match rolled_back {
            true => None,
            false => Some(slot.fingerprint(&runtime.image)?),
        };
        mode.finish(spec, journal, &execution, memory)?;
    }
    Ok((execution, (!rolled_back).then_some(slot)))
}

/// Prepares the host state of `slot` for a turn.
fn begin(slot: &mut Slot, limits: &Limits, watch: &Watch, events: EventSink, stdin: Option<Stdin>) {
    let size = slot.memory().len() as u64;
    let host = slot.host();
    host.limiter.max = limits.memory.max(size);
    host.limiter.peak = size;
    let wasi = &mut host.wasi;
    wasi.state.tree.refresh_mounts();
    wasi.quota = Quota::from_limits(limits);
    let GuestState { fds, tree, .. } = &mut wasi.state;
    fds.begin_turn(limits.open_files, tree);
    wasi.output = Output::new(limits.output, events);
    wasi.watch = watch.clone();
    if let Some(stdin) = stdin {
        wasi.state.stdin = stdin;
        wasi.state.stdin_read = 0;
    }
}

/// Returns the files in the home folder that the guest made or changed.
pub(crate) fn guest_files(tree: &mut Tree) -> Vec<GuestFile> {
    (tree.files_below(HOME).into_iter())
        .map(|(path, content)| GuestFile::new(path, content))
        .collect()
}

/// Returns the outcome, the result and the answer of a turn that has ended.
fn outcome(
    ended: CallEnd,
    report: Option<TurnEnd>,
    limits: &Limits,
) -> (Outcome, Option<String>, Option<serde_json::Value>) {
    let outcome = match ended {
        CallEnd::Returned => {
            let Some(end) = report else {
                let reason = "the code broke the interpreter: it did not report its result".into();
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
        CallEnd::Exited(code) => Outcome::Exited { code: code & 0xFF },
        CallEnd::OutOfFuel => Outcome::OutOfFuel {
            budget: limits.fuel.unwrap_or(u64::MAX),
        },
        CallEnd::Trapped(reason) => Outcome::Trapped { reason },
        CallEnd::Stopped(Stop::TimedOut) => Outcome::TimedOut { limit: limits.wall },
        CallEnd::Stopped(Stop::Suspended) => Outcome::Suspended,
        CallEnd::Stopped(Stop::Cancelled | Stop::ReplayEnded) => Outcome::Cancelled,
    };
    (outcome, None, None)
}
