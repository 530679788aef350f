//! `codeact replay`: runs recordings again.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};

use codeact::LimitName;
use codeact::agent::{Agent, AgentError, Ending};
use codeact::event::EventSink;
use codeact::llm::{Finish, RecordedModel};
use codeact::pack::{PackError, Requirement};
use codeact::sandbox::{
    Cancel, Recording, Replay as ReplayedSession, Sandbox, SandboxError, TurnOptions,
};

use super::args::{Global, Replay};
use super::output_pump::{LiveOutput, OutputPump};
use super::recording::{CommandNote, RunEvent, RunNote};
use super::signals::cancel_on_ctrl_c;
use super::turn_runner::print_ending;
use super::{exit_code, repl, settings};
use crate::report::{self, notice};

pub(super) async fn run(replay: Replay, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(until) = replay.until {
        return run_until(until, &replay, global).await;
    }
    let mut code = ExitCode::SUCCESS;
    for file in &replay.files {
        let recording = Recording::load(file)?;
        let sandbox = sandbox(&recording, &replay, global).await?;
        match replay_all(&recording, sandbox, &replay, global).await {
            Ok(_) if replay.check => print_same(file, &recording)?,
            Ok(ended) => code = ended,
            Err(e) => code = report_divergence(&e, file)?,
        }
    }
    Ok(code)
}

/// Replays the first `until` turns of a recording, and continues interactively.
async fn run_until(until: usize, replay: &Replay, global: &Global) -> anyhow::Result<ExitCode> {
    let [file] = &*replay.files else {
        bail!(
            "--until works with one recording, and there are {}",
            replay.files.len()
        );
    };
    let recording = Recording::load(file)?;
    let turns = recording.turns().len();
    if until > turns {
        bail!(
            "the recording has {}, so it cannot stop after turn {until}",
            count_turns(turns)
        );
    }
    let live = LiveOutput::new(false, replay.raw)?;
    let sandbox = sandbox(&recording, replay, global).await?;
    let mut session = recording.until(until).start(&sandbox)?;
    if let Err(e) = replay_turns(&mut session, None).await {
        return report_divergence(&e, file);
    }
    repl::continue_session(
        sandbox,
        session.into_session(),
        &replay.limits,
        live,
        global,
    )
    .await
}

/// Prints that a replay does the same as its recording.
fn print_same(file: &Path, recording: &Recording) -> std::io::Result<()> {
    let turns = recording.turns();
    let memory = (turns.iter().rev()).find_map(|turn| turn.end().memory.as_ref());
    let memory = match memory {
        Some(hash) => format!(", the same memory (sha256 {hash})"),
        None => String::new(),
    };
    let (name, turns) = (file.display(), count_turns(turns.len()));
    writeln!(
        std::io::stdout(),
        "{name}: {turns}, the same output{memory}"
    )
}

fn count_turns(count: usize) -> String {
    match count {
        1 => "1 turn".to_owned(),
        count => format!("{count} turns"),
    }
}

/// Prints the divergence of a replay, or the limits that it needs. Returns the exit code; any other error is returned
/// with the name of the file.
fn report_divergence(error: &anyhow::Error, file: &Path) -> anyhow::Result<ExitCode> {
    let text = exit_code::format_error(error);
    let code = match sandbox_error(error) {
        Some(SandboxError::Differs { .. }) => 1,
        Some(SandboxError::NeedsMore { limits, .. }) => {
            let is_stopped = limits.iter().any(|limit| limit.name == LimitName::Wall);
            if is_stopped {
                exit_code::TIMED_OUT
            } else {
                exit_code::FAILED
            }
        }
        _ => bail!("{}: {text}", file.display()),
    };
    notice!("codeact: {}: {text}", file.display());
    Ok(ExitCode::from(code))
}

fn sandbox_error(error: &anyhow::Error) -> Option<&SandboxError> {
    match error.downcast_ref() {
        Some(AgentError::Sandbox(error)) => Some(error),
        _ => error.downcast_ref(),
    }
}

async fn sandbox(
    recording: &Recording,
    replay: &Replay,
    global: &Global,
) -> anyhow::Result<Sandbox> {
    let packages = recording.packages().iter();
    let packages: Vec<Requirement> = packages
        .map(|package| {
            package
                .parse()
                .with_context(|| format!("package {package:?}"))
        })
        .collect::<anyhow::Result<_>>()?;
    let progress = report::progress(global.quiet);
    let sandbox = settings::sandbox(global, progress, &packages)
        .limits(replay.limits.limits())
        // A recording is a file from elsewhere, and its packages are names on an index.
        .fetch_packages(replay.fetch);
    match sandbox.build().await {
        Err(SandboxError::Pack(PackError::PackagesOffline { wanted })) if !global.offline => bail!(
            "the recording needs packages that are not in the cache, and nothing is downloaded for a recording unless \
             you ask for it: {wanted}\nif you trust these names, --fetch downloads them"
        ),
        built => Ok(built?),
    }
}

/// Replays the whole recording and shows it as the recorded command did, or silently with `--check`.
async fn replay_all(
    recording: &Recording,
    sandbox: Sandbox,
    replay: &Replay,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let mut session = recording.start(&sandbox)?;
    match serde_json::from_value(recording.note().clone()) {
        Ok(CommandNote::Run(note)) => {
            let events = match replay.check || global.quiet {
                true => EventSink::none(),
                false => report::human::steps(replay.verbose),
            };
            let replayed = RecordedRun::read(recording, note)?;
            replayed
                .replay(&mut session, sandbox, events, replay.check)
                .await
        }
        // Without a note of this command, show the turns.
        _ => {
            let live = LiveOutput::new(false, replay.raw)?;
            replay_turns(&mut session, (!replay.check).then_some(live)).await
        }
    }
}

/// Replays all turns, and shows them as `live` says, or not at all. Returns the exit code of the last one.
async fn replay_turns(
    session: &mut ReplayedSession,
    live: Option<LiveOutput>,
) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    loop {
        let pump = live.map(|live| OutputPump::new(Cancel::new(), live));
        let mut options = TurnOptions::new();
        if let Some(pump) = &pump {
            options = options.events(pump.events());
        }
        let execution = session.next(options).await;
        if let Some(pump) = pump
            && !pump.finish()?
        {
            return Ok(exit_code::broken_pipe());
        }
        let Some(execution) = execution? else {
            return Ok(code);
        };
        if live.is_some() {
            report::human::ending(&execution);
        }
        code = ExitCode::from(exit_code::of(&execution));
    }
}

/// A recorded `run`: its arguments and the replies of the model.
struct RecordedRun {
    note: RunNote,
    replies: Vec<(String, Finish)>,
    cancelled: bool,
}

impl RecordedRun {
    fn read(recording: &Recording, note: RunNote) -> anyhow::Result<Self> {
        let mut run = Self {
            note,
            replies: Vec::new(),
            cancelled: false,
        };
        for event in recording.notes() {
            match serde_json::from_value(event.clone())? {
                RunEvent::Reply { text, finish } => run.replies.push((text, finish)),
                RunEvent::Cancelled => run.cancelled = true,
            }
        }
        Ok(run)
    }

    /// Runs the agent again with the recorded replies.
    async fn replay(
        mut self,
        session: &mut ReplayedSession,
        sandbox: Sandbox,
        events: EventSink,
        check: bool,
    ) -> anyhow::Result<ExitCode> {
        let mut steps = self.note.max_steps;
        if self.cancelled && matches!(self.replies.last(), Some((_, Finish::Cut))) {
            // The run was cancelled during a reply, which had no effect.
            self.replies.pop();
            steps = steps.min(u32::try_from(self.replies.len()).unwrap_or(u32::MAX));
        }
        if steps == 0 || self.replies.is_empty() {
            notice!("codeact: stopped");
            return Ok(ExitCode::from(exit_code::CANCELLED));
        }
        let cancel = Cancel::new();
        cancel_on_ctrl_c(&cancel).await;
        let model = Arc::new(RecordedModel::from_replies("recorded", self.replies));
        let mut agent = Agent::new(model, sandbox)
            .max_steps(steps)
            .seed(self.note.seed)
            .variables(self.note.variables)
            .once(self.note.once)
            .events(events)
            .cancel(cancel);
        if let Some(input) = self.note.input {
            agent = agent.stdin_text(Arc::<str>::from(input));
        }
        let mut done = agent.run_in(session.session(), &self.note.task).await?;
        if self.cancelled {
            done.ending = Ending::Cancelled;
        }
        match check {
            true => Ok(ExitCode::SUCCESS),
            false => print_ending(&done, false),
        }
    }
}
