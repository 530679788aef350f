//! `codeact run`: lets a model solve a task.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;

use codeact::event::EventSink;
use codeact::llm::{ModelOptions, Resolved, resolve};

use super::args::{Global, ModelArgs, Run};
use super::input;
use super::output_pump::LiveOutput;
use super::recording::{self, CommandNote, RunNote};
use super::store::ActiveSession;
use super::tools::OwnConfig;
use super::turn_runner::{GrantArgs, Grants, OutputMode, TurnRunner};
use super::user_input::PromptMode;
use crate::report::{self, notice};

pub(super) async fn run(run: Run, global: &Global) -> anyhow::Result<ExitCode> {
    // The model first: without one, the user need not type a task to see the error.
    let model = model(&run.model).await?;
    if !global.quiet {
        notice!("model: {}", model.summary);
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

/// Runs an agent and shows its steps.
pub(super) async fn solve(
    task: &str,
    input: Option<String>,
    model: Resolved,
    run: &Run,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let grants = GrantArgs {
        files: &run.files,
        script: None,
        tools: &run.tools,
        limits: &run.limits,
        own_config: OwnConfig::Used,
        prompt: PromptMode::new(run.session.is_some(), run.interactive),
        diff: false,
        progress: match run.json {
            true => report::json::lines(),
            false => report::progress(global.quiet),
        },
        events: events(run, global),
    };
    let grants = Grants::open(grants, global).await?;
    let tools = grants.tools.clone();
    let mode = OutputMode {
        json: run.json,
        quiet: global.quiet,
        diff: false,
        live: LiveOutput::Styled,
    };
    let runner = TurnRunner::new(grants, &run.files, mode).await;
    let result = run_agent(task, input, model, run, events(run, global), runner).await;
    if result.is_err() {
        tools.close().await;
    }
    result
}

async fn run_agent(
    task: &str,
    input: Option<String>,
    model: Resolved,
    run: &Run,
    events: EventSink,
    runner: TurnRunner<'_>,
) -> anyhow::Result<ExitCode> {
    let mut session = ActiveSession::open(run.session.as_deref(), run.seed, runner.sandbox())?;
    let mut model = model.model;
    let mut recorder = None;
    if let Some(file) = &run.record {
        let note = CommandNote::Run(RunNote {
            task: task.to_owned(),
            input: input.clone(),
            once: run.once,
            max_steps: run.max_steps,
            seed: run.seed,
            variables: run.session.is_some(),
        });
        let started = recording::record(file, &mut session, &note)?;
        model = recording::tee(model, &started);
        recorder = Some(started);
    }
    let mut agent = runner
        .agent(model, events)
        .max_steps(run.max_steps)
        .seed(run.seed)
        .once(run.once);
    if let Some(input) = input {
        agent = agent.stdin_text(Arc::<str>::from(input));
    }
    let done = agent.run_in(session.as_ref(), task).await?;
    runner.conclude_run(session, done, recorder, run.once).await
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

/// Finds the model of the arguments and the environment.
pub(super) async fn model(args: &ModelArgs) -> anyhow::Result<Resolved> {
    let mut options = ModelOptions::default();
    options.model.clone_from(&args.model);
    options.base_url.clone_from(&args.base_url);
    options.base_url_setting = Some("--base-url".to_owned());
    Ok(resolve(options, &|name| std::env::var(name).ok()).await?)
}
