//! `codeact demo`: a complete run from a task to its answer, without a model or an API key.

use std::process::ExitCode;
use std::sync::Arc;

use codeact::llm::{RecordedModel, Resolved};

use super::args::{Demo, FileArgs, Global, ModelArgs, Run, ToolArgs};
use super::run::solve;
use crate::report::notice;

const TASK: &str = "Three laptops (Laptop A: $1200, CPU 9500, 8 h; Laptop B: $1000, 8700, 10 h; \
                    Laptop C: $900, 8000, 7 h); score each by cpu × battery / price, choose the best, answer as JSON \
                    with `selected_laptop`, `scores`, `reasoning`";

/// A model's recorded reply to the task.
const RECORDING: &str = include_str!("demo.json");

pub(super) async fn run(demo: Demo, global: &Global) -> anyhow::Result<ExitCode> {
    let model = RecordedModel::from_json(RECORDING)?;
    notice!(
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
    let model = Resolved::new(Arc::new(model), "a recording");
    solve(TASK, None, model, &run, global).await
}
