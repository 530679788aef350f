//! `codeact run`: a model solves a task.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::json;

use super::args::{Global, ModelArgs, Run};
use super::exec::cancel_on_ctrl_c;
use super::mounts::Written;
use super::people::Asked;
use super::replay::{self, RunNote};
use super::tools::{Granted, OwnConfig};
use super::{artifacts, exit, input, mounts, people, session, settings, tools};
use crate::agent::{self, Agent, Ending};
use crate::event::EventSink;
use crate::llm::{ModelOptions, Resolved, resolve};
use crate::report;
use crate::sandbox::Cancel;

pub(super) async fn run(run: Run, global: &Global) -> anyhow::Result<ExitCode> {
    // The model first: whoever has none should not have to type a task to be told.
    let model = model(&run.model).await?;
    if !global.quiet {
        anstream::eprintln!("model: {}", model.summary);
    }
    let stdin = std::io::stdin();
    let (task, input) = if run.task == "-" {
        (input::text("the task", stdin.lock())?, None)
    } else if run.interactive || stdin.is_terminal() {
        (run.task.clone(), None)
    } else {
        let input = input::text("stdin", stdin.lock())?;
        (run.task.clone(), (!input.is_empty()).then_some(input))
    };
    if task.trim().is_empty() {
        bail!("the task is empty; give it as an argument, or `-` to read it from stdin");
    }
    solve(&task, input, model, &run, global).await
}

/// Runs the agent and draws what it does.
pub(super) async fn solve(
    task: &str,
    input: Option<String>,
    model: Resolved,
    run: &Run,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let progress = if run.json {
        report::json::lines()
    } else {
        report::progress(global.quiet)
    };
    let sandbox = settings::sandbox(global, progress, &run.files.packages)
        .limits(run.limits.limits())
        .build()
        .await?;
    let sandbox = match mounts::grant(sandbox, &run.files, false) {
        Ok(sandbox) => sandbox,
        Err(e) => return Ok(exit::wrong(&e)),
    };
    let listening = events(run, global);
    let granted = tools::grant(
        sandbox,
        &run.tools,
        OwnConfig::Used,
        listening,
        global.quiet,
    );
    let Granted {
        sandbox,
        env,
        offered,
    } = granted.await?;
    let asked = Asked::new(run.session.is_some(), run.interactive);
    tools::warn_without_people(&run.tools, &asked, global);
    let cancel = Cancel::new();
    cancel_on_ctrl_c(&cancel).await;
    let mut kept = match &run.session {
        Some(name) => Some(session::open(name, &sandbox)?),
        None => None,
    };
    let mut fresh = match kept {
        Some(_) => None,
        None => Some(sandbox.session_seeded(run.seed)?),
    };
    let mut model = model.model;
    let mut recorder = None;
    if let Some(file) = &run.record
        && let Some(session) = (kept.as_mut().map(|kept| &mut kept.session)).or(fresh.as_mut())
    {
        let note = RunNote {
            task: task.to_owned(),
            input: input.clone(),
            once: run.once,
            max_steps: run.max_steps,
            seed: run.seed,
            variables: run.session.is_some(),
        };
        let made = replay::record_run(file, session, &note)?;
        model = replay::keeping(model, &made);
        recorder = Some(made);
    }
    let mut agent = Agent::new(model, sandbox)
        .max_steps(run.max_steps)
        .seed(run.seed)
        .events(events(run, global))
        .cancel(cancel)
        .keep_files(run.files.out.is_some());
    for (key, value) in env {
        agent = agent.env(key, value);
    }
    if let Some(answers) = asked.answers(None) {
        agent = agent.answers(answers);
    }
    if let Some(input) = input {
        agent = agent.stdin_text(Arc::<str>::from(input));
    }
    let done = match (&mut kept, &mut fresh) {
        (Some(kept), _) => agent.run_in(kept, task).await?,
        (None, Some(session)) if run.once => agent.run_once_on(session, task).await?,
        (None, Some(session)) => agent.run_on(session, task).await?,
        (None, None) => agent.run(task).await?,
    };
    offered.close().await;
    if let (Some(kept), Ending::Waiting) = (&kept, &done.ending)
        && let Some(waiting) = kept.waiting()?
    {
        people::say_it_waits(&kept.name(), &waiting);
    }
    if let Some(recorder) = recorder {
        replay::ended(&recorder, &done.ending)?;
    }
    let executions: Vec<_> = (done.steps.iter())
        .filter_map(|step| step.execution.as_ref())
        .collect();
    if let Some(dir) = &run.files.out {
        let saved = artifacts::save(dir, run.files.force, &executions)?;
        report::human::saved(&saved, global.quiet);
    } else if !run.json && !global.quiet {
        let pictures = executions.iter().flat_map(|e| artifacts::pictures(e));
        report::human::unsaved(pictures);
    }
    if run.once
        && !global.quiet
        && let Some(execution) = done.steps.last().and_then(|s| s.execution.as_ref())
    {
        report::human::dropped_notices(execution);
    }
    let answered = matches!(done.ending, Ending::Answered(_));
    let written =
        mounts::write_back(&done.changes, &run.files, answered, global.quiet, run.json).await;
    if run.json && !done.changes.is_empty() {
        let changes = report::json::changes(&done.changes, false);
        let written = matches!(written, Ok(Written::Yes));
        let line = json!({ "type": "changes", "written_back": written, "changes": changes });
        writeln!(std::io::stdout(), "{line}")?;
    }
    let code = conclude(&done, run.json)?;
    // The answer is out, whatever became of the files.
    written?;
    Ok(code)
}

fn events(run: &Run, global: &Global) -> EventSink {
    if run.json {
        report::json::lines()
    } else if global.quiet {
        EventSink::none()
    } else {
        report::human::steps(run.verbose)
    }
}

/// Tells how a run ended, on stdout when there is an answer.
pub(super) fn conclude(done: &agent::Run, json: bool) -> anyhow::Result<ExitCode> {
    let failed = |why: &str| {
        anstream::eprintln!("codeact: {}", report::human::shown(why));
        ExitCode::from(1)
    };
    Ok(match &done.ending {
        Ending::Answered(value) => {
            if !json {
                write_answer(value)?;
            }
            ExitCode::SUCCESS
        }
        Ending::OutOfSteps => failed(&format!(
            "no answer after {} steps; --max-steps allows more",
            done.steps.len()
        )),
        Ending::Waiting => ExitCode::from(exit::WAITING),
        Ending::Cancelled => {
            anstream::eprintln!("codeact: stopped");
            ExitCode::from(130)
        }
        Ending::Failed(why) => failed(why),
    })
}

/// Text as it is, anything else as JSON.
fn write_answer(value: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let steerable = out.is_terminal();
    match value {
        serde_json::Value::String(text) if steerable => {
            writeln!(out, "{}", report::human::shown(text.trim_end_matches('\n')))
        }
        serde_json::Value::String(text) if text.ends_with('\n') => out.write_all(text.as_bytes()),
        serde_json::Value::String(text) => writeln!(out, "{text}"),
        value => writeln!(out, "{value:#}"),
    }
}

pub(super) async fn model(args: &ModelArgs) -> anyhow::Result<Resolved> {
    let options = ModelOptions {
        model: args.model.clone(),
        base_url: args.base_url.clone(),
        ..ModelOptions::default()
    };
    Ok(resolve(options, &|name| std::env::var(name).ok()).await?)
}
