//! `codeact demo`: the whole way from a task to its answer, without a model or a key.

use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Demo, FileArgs, Global, ModelArgs, Run, ToolArgs};
use super::run::solve;
use crate::llm::{RecordedModel, Resolved};

/// The task this project grew from.
const TASK: &str = "Three laptops (A: $1200, CPU 9500, 8 h; B: $1000, 8700, 10 h; C: $900, 8000, \
                    7 h); score each by cpu × battery / price, choose the best, answer as JSON \
                    with `selected_laptop`, `scores`, `reasoning`";

/// What a model replied to it.
const RECORDING: &str = include_str!("demo.json");

pub(super) async fn run(demo: Demo, global: &Global) -> anyhow::Result<ExitCode> {
    let model = RecordedModel::from_json(RECORDING)?;
    anstream::eprintln!(
        "demo: the model's reply is a recording; reading it, running its code and the answer are real"
    );
    let run = Run {
        task: TASK.into(),
        model: ModelArgs {
            model: None,
            base_url: None,
        },
        once: false,
        session: None,
        record: None,
        files: FileArgs::default(),
        tools: ToolArgs::default(),
        interactive: false,
        max_steps: 1,
        json: demo.json,
        verbose: demo.verbose,
        seed: None,
        limits: demo.limits,
    };
    let model = Resolved {
        model: Arc::new(model),
        summary: "a recording".into(),
    };
    solve(TASK, None, model, &run, global).await
}
