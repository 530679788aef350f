//! `codeact run`: a model solves a task.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Global, ModelArgs, Run};
use super::exec::cancel_on_ctrl_c;
use super::settings;
use crate::agent::{Agent, Ending};
use crate::event::EventSink;
use crate::llm::{ModelOptions, Resolved, resolve};
use crate::report;
use crate::sandbox::Cancel;

/// The most input read from stdin, in bytes.
const MAX_INPUT: u64 = 16 << 20;

type Failure = Box<dyn std::error::Error>;

pub(super) async fn run(run: Run, global: &Global) -> Result<ExitCode, Failure> {
    let (task, input) = if run.task == "-" {
        (read_stdin("the task")?, None)
    } else if std::io::stdin().is_terminal() {
        (run.task.clone(), None)
    } else {
        let input = read_stdin("stdin")?;
        (run.task.clone(), (!input.is_empty()).then_some(input))
    };
    if task.trim().is_empty() {
        return Err(
            "the task is empty; give it as an argument, or `-` to read it from stdin".into(),
        );
    }
    let model = model(&run.model).await?;
    if !global.quiet {
        anstream::eprintln!("model: {}", model.summary);
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
) -> Result<ExitCode, Failure> {
    let sandbox = settings::sandbox(global, report::progress(global.quiet))
        .limits(run.limits.limits())
        .build()
        .await?;
    let cancel = Cancel::new();
    cancel_on_ctrl_c(&cancel);
    let events = if run.json {
        report::json::lines()
    } else if global.quiet {
        EventSink::none()
    } else {
        report::human::steps(run.verbose)
    };
    let mut agent = Agent::new(model.model, sandbox)
        .max_steps(run.max_steps)
        .seed(run.seed)
        .events(events)
        .cancel(cancel);
    if let Some(input) = input {
        agent = agent.stdin_text(Arc::<str>::from(input));
    }
    let done = if run.once {
        agent.run_once(task).await?
    } else {
        agent.run(task).await?
    };
    let failed = |why: &str| {
        anstream::eprintln!("codeact: {why}");
        ExitCode::from(1)
    };
    Ok(match &done.ending {
        Ending::Answered(value) => {
            if !run.json {
                write_answer(value)?;
            }
            ExitCode::SUCCESS
        }
        Ending::OutOfSteps => failed(&format!(
            "no answer after {} steps; --max-steps allows more",
            done.steps.len()
        )),
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
    match value {
        serde_json::Value::String(text) if text.ends_with('\n') => out.write_all(text.as_bytes()),
        serde_json::Value::String(text) => writeln!(out, "{text}"),
        value => writeln!(out, "{value:#}"),
    }
}

async fn model(args: &ModelArgs) -> Result<Resolved, Failure> {
    let options = ModelOptions {
        model: args.model.clone(),
        base_url: args.base_url.clone(),
        ..ModelOptions::default()
    };
    Ok(resolve(options, &|name| std::env::var(name).ok()).await?)
}

fn read_stdin(what: &str) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(MAX_INPUT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| format!("cannot read {what}: {e}"))?;
    if bytes.len() as u64 > MAX_INPUT {
        return Err(format!("{what} is longer than {} MiB", MAX_INPUT >> 20).into());
    }
    String::from_utf8(bytes).map_err(|_| format!("{what} is not UTF-8 text").into())
}
