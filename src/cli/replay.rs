//! `--record FILE`, and `codeact replay`.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::args::{Global, Replay};
use super::exec::cancel_on_ctrl_c;
use super::live::Live;
use super::{exit, repl, run, settings};
use crate::agent::{Agent, Ending};
use crate::error::Error;
use crate::event::EventSink;
use crate::llm::{Finish, KeptModel, Model, RecordedModel};
use crate::pack::Requirement;
use crate::report;
use crate::sandbox::{Cancel, Recorder, Recording, Sandbox, SandboxError, Session};

/// What was recorded.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    Exec,
    Run(RunNote),
}

/// What an agent was asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunNote {
    pub(super) task: String,
    pub(super) input: Option<String>,
    pub(super) once: bool,
    pub(super) max_steps: u32,
    pub(super) seed: Option<u64>,
    pub(super) variables: bool,
}

/// What is noted while an agent works.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Heard {
    Reply { text: String, finish: Finish },
    Cancelled,
}

pub(super) fn record_exec(file: &Path, session: &mut Session) -> anyhow::Result<Recorder> {
    record(file, session, &Note::Exec)
}

pub(super) fn record_run(
    file: &Path,
    session: &mut Session,
    note: &RunNote,
) -> anyhow::Result<Recorder> {
    record(file, session, &Note::Run(note.clone()))
}

fn record(file: &Path, session: &mut Session, note: &Note) -> anyhow::Result<Recorder> {
    let recorder = Recorder::create(file, session, serde_json::to_value(note)?)?;
    session.record(&recorder);
    Ok(recorder)
}

/// `model`, with each of its replies in the recording.
pub(super) fn keeping(model: Arc<dyn Model>, recorder: &Recorder) -> Arc<dyn Model> {
    let recorder = recorder.clone();
    Arc::new(KeptModel::new(model, move |text, finish| {
        let text = text.to_owned();
        note(&recorder, &Heard::Reply { text, finish });
    }))
}

/// Notes how an agent's run ended, where nothing else tells.
pub(super) fn ended(recorder: &Recorder, ending: &Ending) -> anyhow::Result<()> {
    if *ending == Ending::Cancelled {
        note(recorder, &Heard::Cancelled);
    }
    Ok(recorder.finish()?)
}

fn note(recorder: &Recorder, heard: &Heard) {
    // Plain data always becomes JSON.
    if let Ok(value) = serde_json::to_value(heard) {
        recorder.note(value);
    }
}

pub(super) async fn run(replay: Replay, global: &Global) -> anyhow::Result<ExitCode> {
    if let Some(until) = replay.until {
        let [file] = &*replay.files else {
            bail!("--until goes with one recording");
        };
        let recording = Recording::load(file)?;
        let turns = recording.turns().len();
        if until > turns {
            bail!("the recording has {turns} turns; there is none to stop after turn {until}");
        }
        let sandbox = sandbox(&recording, &replay, global).await?;
        let recording = recording.until(until);
        let mut session = recording.session(&sandbox)?;
        if let Err(e) = turns_again(&recording, &mut session, false, true).await {
            return different(&e, file);
        }
        return repl::go_on_from(sandbox, session, &replay.limits, global).await;
    }
    let mut code = ExitCode::SUCCESS;
    for file in &replay.files {
        let recording = Recording::load(file)?;
        let sandbox = sandbox(&recording, &replay, global).await?;
        let done = again(&recording, sandbox, &replay, global).await;
        let name = file.display();
        match done {
            Ok(_) if replay.check => {
                let turns = recording.turns();
                let memory = (turns.iter().rev()).find_map(|turn| turn.end().memory.as_ref());
                let memory = match memory {
                    Some(hash) => format!(", the same memory (sha256 {hash})"),
                    None => String::new(),
                };
                let turns = match turns.len() {
                    1 => "1 turn".to_owned(),
                    count => format!("{count} turns"),
                };
                let mut out = std::io::stdout();
                writeln!(out, "{name}: {turns}, the same output{memory}")?;
            }
            Ok(ended) => code = ended,
            Err(e) => code = different(&e, file)?,
        }
    }
    Ok(code)
}

/// Tells of a replay that went another way; any other error goes on.
fn different(error: &anyhow::Error, file: &Path) -> anyhow::Result<ExitCode> {
    let differs = |e: &SandboxError| matches!(e, SandboxError::Differs { .. });
    let found = match (error.downcast_ref(), error.downcast_ref()) {
        (Some(Error::Sandbox(e)), _) | (None, Some(e)) => differs(e),
        _ => false,
    };
    let text = exit::told(error);
    if !found {
        bail!("{}: {text}", file.display());
    }
    anstream::eprintln!("codeact: {}: {text}", file.display());
    Ok(ExitCode::from(1))
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
    let sandbox = settings::sandbox(global, progress, &packages).limits(replay.limits.limits());
    Ok(sandbox.build().await?)
}

/// The whole recording again: as it was shown then, or in silence.
async fn again(
    recording: &Recording,
    sandbox: Sandbox,
    replay: &Replay,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let mut session = recording.session(&sandbox)?;
    match serde_json::from_value(recording.note().clone()) {
        Ok(Note::Run(asked)) => {
            let events = match replay.check || global.quiet {
                true => EventSink::none(),
                false => report::human::steps(replay.verbose),
            };
            run_again(
                recording,
                &asked,
                &mut session,
                sandbox,
                (events, replay.check),
            )
            .await
        }
        // Whatever else was recorded, its turns are what there is.
        _ => turns_again(recording, &mut session, !replay.check, global.quiet).await,
    }
}

async fn turns_again(
    recording: &Recording,
    session: &mut Session,
    show: bool,
    quiet: bool,
) -> anyhow::Result<ExitCode> {
    let mut code = ExitCode::SUCCESS;
    for number in 1.. {
        let Some((mut turn, last)) = recording.turn(number) else {
            break;
        };
        let mut live = None;
        if show {
            let live = live.insert(Live::new(Cancel::new(), false));
            turn = turn.events(live.events());
        }
        let execution = match last {
            true => session.run_last(turn).await,
            false => session.run(turn).await,
        };
        if let Some(live) = live
            && !live.end()?
        {
            return Ok(exit::unread());
        }
        let execution = execution?;
        if show {
            report::human::ending(&execution, quiet);
        }
        code = ExitCode::from(exit::of(&execution));
    }
    Ok(code)
}

async fn run_again(
    recording: &Recording,
    asked: &RunNote,
    session: &mut Session,
    sandbox: Sandbox,
    (events, check): (EventSink, bool),
) -> anyhow::Result<ExitCode> {
    let mut replies = Vec::new();
    let mut cancelled = false;
    for note in recording.notes() {
        match serde_json::from_value(note.clone())? {
            Heard::Reply { text, finish } => replies.push((text, finish)),
            Heard::Cancelled => cancelled = true,
        }
    }
    let mut steps = asked.max_steps;
    if cancelled && matches!(replies.last(), Some((_, Finish::Cut))) {
        // It was stopped while the model spoke: nothing came of that.
        replies.pop();
        steps = steps.min(replies.len() as u32);
    }
    if steps == 0 || replies.is_empty() {
        anstream::eprintln!("codeact: stopped");
        return Ok(ExitCode::from(130));
    }
    let cancel = Cancel::new();
    cancel_on_ctrl_c(&cancel).await;
    let model = Arc::new(RecordedModel::of("recorded", replies));
    let mut agent = Agent::new(model, sandbox)
        .max_steps(steps)
        .seed(asked.seed)
        .variables(asked.variables)
        .events(events)
        .cancel(cancel);
    if let Some(input) = &asked.input {
        agent = agent.stdin_text(Arc::<str>::from(input.as_str()));
    }
    let mut done = match asked.once {
        true => agent.run_once_on(session, &asked.task).await?,
        false => agent.run_on(session, &asked.task).await?,
    };
    if cancelled {
        done.ending = Ending::Cancelled;
    }
    match check {
        true => Ok(ExitCode::SUCCESS),
        false => run::conclude(&done, false),
    }
}
