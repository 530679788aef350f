//! `POST /run_jupyter` of SandboxFusion: cells of a notebook, one after another.

use std::collections::BTreeMap;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use codeact::sandbox::{Cancel, Execution, Outcome, Turn};
use codeact_sessions::manager::SessionSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fusion::{self, CommandResult, Files, RunStatus};
use super::fusion_error::FusionError;
use super::script;
use super::temporary::Temporary;
use crate::auth::Caller;
use crate::jupyter::output::remove_own_types;

/// Limit of the cells of a request.
const MAX_CELLS: usize = 1000;

#[derive(Deserialize)]
struct RunJupyter {
    cells: Vec<String>,
    #[serde(default)]
    cell_timeout: f64,
    #[serde(default = "default_timeout")]
    total_timeout: f64,
    #[serde(default = "fusion::no_limit", rename = "memory_limit_MB")]
    memory_limit_mb: i64,
    #[serde(default)]
    kernel: Option<String>,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    fetch_files: Vec<String>,
}

fn default_timeout() -> f64 {
    45.0
}

#[derive(Serialize)]
struct Cell {
    stdout: String,
    stderr: String,
    display: Vec<Value>,
    error: Vec<Value>,
    status: &'static str,
}

#[derive(Serialize)]
pub(super) struct RunJupyterResult {
    status: RunStatus,
    message: String,
    driver: Option<CommandResult>,
    cells: Vec<Cell>,
    executor_pod_name: Option<String>,
    files: BTreeMap<String, String>,
}

/// Runs cells in one session. As in SandboxFusion, cells run on after an exception, and nothing is returned if the total
/// time is used up.
pub(super) async fn run_jupyter(
    Caller(tenant): Caller,
    body: Bytes,
) -> Result<Json<RunJupyterResult>, FusionError> {
    let request: RunJupyter =
        serde_json::from_slice(&body).map_err(|e| FusionError::invalid(e.to_string()))?;
    if request
        .kernel
        .as_deref()
        .is_some_and(|kernel| kernel != "python3")
    {
        return Err(FusionError::invalid(
            "the kernel is not known; expected python3",
        ));
    }
    if request.cells.len() > MAX_CELLS {
        let why = format!("a request can have {MAX_CELLS} cells");
        return Err(FusionError::invalid(why));
    }
    let total = fusion::limits(&tenant, request.memory_limit_mb, request.total_timeout)?;
    let session = Temporary::create(&tenant.sessions, SessionSettings::default()).await?;
    let handle = session.handle()?;
    fusion::write_files(&handle, &request.files).await?;
    let started = Instant::now();
    let mut cells = Vec::new();
    for code in &request.cells {
        let left = request.total_timeout - started.elapsed().as_secs_f64();
        let seconds = match request.cell_timeout {
            cell if cell > 0.0 => cell.min(left),
            _ => left,
        };
        if left <= 0.0 {
            return Ok(Json(out_of_time(request.total_timeout)));
        }
        let mut limits = total.clone();
        limits.wall = fusion::limits(&tenant, request.memory_limit_mb, seconds)?.wall;
        let turn = Turn::new(code.as_str())
            .rich(true)
            .stdin(Vec::new())
            .limits(limits);
        let execution = handle.run(turn, &Cancel::new()).await?;
        let is_stopped = matches!(execution.outcome, Outcome::TimedOut { .. });
        if is_stopped && started.elapsed().as_secs_f64() >= request.total_timeout {
            return Ok(Json(out_of_time(request.total_timeout)));
        }
        cells.push(cell(&execution));
    }
    let files = fusion::fetch_files(&handle, request.fetch_files).await?;
    Ok(Json(RunJupyterResult {
        status: RunStatus::Success,
        message: String::new(),
        driver: Some(CommandResult::finished(started.elapsed())),
        cells,
        executor_pod_name: None,
        files,
    }))
}

fn out_of_time(seconds: f64) -> RunJupyterResult {
    RunJupyterResult {
        status: RunStatus::Failed,
        message: format!("the cells ran longer than {seconds} s"),
        driver: None,
        cells: Vec::new(),
        executor_pod_name: None,
        files: BTreeMap::new(),
    }
}

fn cell(execution: &Execution) -> Cell {
    let mut error = Vec::new();
    let mut stderr = execution.stderr.text.clone();
    match &execution.outcome {
        Outcome::Completed => {}
        Outcome::Raised(exception) => error.push(json!({
            "ename": exception.kind,
            "evalue": exception.message,
            "traceback": exception.traceback.lines().collect::<Vec<_>>(),
        })),
        other => {
            let end = script::end(execution);
            let why = end.stderr.strip_prefix(stderr.as_str()).unwrap_or_default();
            let why = why.trim().to_owned();
            error.push(
                json!({ "ename": other.status().as_str(), "evalue": why, "traceback": [why] }),
            );
            stderr = end.stderr;
        }
    }
    let mut display: Vec<Value> = (execution.bundles.iter())
        .map(|bundle| {
            let mut data = bundle.data.clone();
            remove_own_types(&mut data);
            Value::Object(data)
        })
        .collect();
    if let Some(result) = &execution.result
        && !execution.bundles.iter().any(|bundle| bundle.is_result)
    {
        display.push(json!({ "text/plain": result }));
    }
    Cell {
        stdout: execution.stdout.text.clone(),
        stderr,
        display,
        status: if error.is_empty() { "ok" } else { "error" },
        error,
    }
}
