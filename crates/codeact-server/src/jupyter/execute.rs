//! `execute_request`: a turn of the kernel's session.

use std::sync::Arc;

use codeact::sandbox::{Exception, Execution, Outcome, Turn};
use codeact_sessions::manager::ManagerError;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::kernel::{Job, Kernel};
use super::output::Publisher;
use super::replies::error_content;
use super::{ask_user, introspect};
use crate::error::ApiError;
use crate::turns::{RunningTurn, TurnMessage};

#[derive(Deserialize)]
struct ExecuteRequest {
    code: String,
    silent: Option<bool>,
    store_history: Option<bool>,
    user_expressions: Option<Map<String, Value>>,
    allow_stdin: Option<bool>,
    stop_on_error: Option<bool>,
}

/// Runs the code of `job`. Returns the content of the reply, and true if the executions behind it must be aborted.
pub(super) async fn execute(kernel: &Arc<Kernel>, job: &Job) -> (Value, bool) {
    let request: ExecuteRequest = match job.request.content() {
        Ok(request) => request,
        Err(error) => {
            let why = format!("the content of execute_request is not valid: {error}");
            return (
                failed(kernel.count(), error_content("ValueError", &why)),
                false,
            );
        }
    };
    let silent = request.silent.unwrap_or(false);
    let stored = !silent && request.store_history.unwrap_or(true);
    let is_empty = request.code.trim().is_empty();
    let count = match stored && !is_empty {
        true => kernel.next_count(),
        false => kernel.count(),
    };
    let parent = &job.request.header;
    if !silent {
        let content = json!({ "code": request.code, "execution_count": count });
        kernel.publish(parent, "execute_input", content);
    }
    if !is_empty {
        let turn = turn(kernel, job, &request, count);
        let mut publisher = Publisher::new(kernel, parent, (!silent).then_some(count));
        if let Err(content) = run(kernel, turn, &mut publisher).await {
            if !silent {
                kernel.publish(parent, "error", error_only(&content));
            }
            return (
                failed(count, content),
                request.stop_on_error.unwrap_or(true),
            );
        }
    }
    let expressions = request.user_expressions.unwrap_or_default();
    let values = introspect::user_expressions(kernel, &expressions).await;
    let reply = json!({
        "status": "ok",
        "execution_count": count,
        "user_expressions": values,
        "payload": [],
    });
    (reply, false)
}

fn turn(kernel: &Arc<Kernel>, job: &Job, request: &ExecuteRequest, count: u64) -> Turn {
    let allowed = request.allow_stdin.unwrap_or(false);
    let turn = Turn::new(request.code.as_str())
        .rich(true)
        .input_handler(ask_user::handler(kernel, job, allowed));
    match request.silent.unwrap_or(false) {
        true => turn,
        false => turn.name(format!("<cell {count}>")),
    }
}

/// Runs `turn` and publishes its output. The error is the content of a reply.
async fn run(kernel: &Arc<Kernel>, turn: Turn, publisher: &mut Publisher<'_>) -> Result<(), Value> {
    let interrupt = kernel.interruptible();
    let handle = kernel.handle.clone();
    let mut running =
        RunningTurn::start(
            |sink, cancel| async move { handle.run(turn.events(sink), &cancel).await },
        );
    let ended = loop {
        let deadline = publisher.deadline();
        let collected = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = interrupt.cancelled(), if !running.cancel().is_cancelled() => {
                running.cancel().cancel();
            }
            message = running.next() => match message {
                Some(TurnMessage::Event(event)) => {
                    publisher.event(event);
                    if publisher.is_due() {
                        publisher.flush();
                    }
                }
                Some(TurnMessage::Ended(ended)) => break ended,
                None => break Err(ManagerError::Cancelled),
            },
            () = collected => publisher.flush(),
        }
    };
    publisher.flush();
    let execution = match ended {
        Ok(execution) => execution,
        Err(ManagerError::NotCommitted { execution, source }) => {
            tracing::error!(%source, "cannot commit a turn");
            publisher.warn("codeact: this cell has run, but its state could not be stored");
            *execution
        }
        Err(error) => return Err(manager_error(error)),
    };
    if execution.stdout.dropped_bytes > 0 || execution.stderr.dropped_bytes > 0 {
        publisher.warn("codeact: the output of this cell was cut at its limit");
    }
    finish(&execution, publisher)
}

/// Publishes the result of a turn, or returns the content of its error.
fn finish(execution: &Execution, publisher: &mut Publisher<'_>) -> Result<(), Value> {
    let stopped = |name: &str, why: &str| {
        let mut lines: Vec<String> = Vec::new();
        if let Some(traceback) = &execution.interrupted {
            lines.extend(traceback.to_string().lines().map(str::to_owned));
        }
        let state = match execution.rolled_back {
            true => "; variables and files are as they were before this cell",
            false => "",
        };
        let why = format!("{why}{state}");
        lines.push(format!("{name}: {why}"));
        json!({ "status": "error", "ename": name, "evalue": why, "traceback": lines })
    };
    match &execution.outcome {
        Outcome::Completed => {
            if let Some(text) = &execution.result {
                publisher.text_result(text);
            }
            Ok(())
        }
        Outcome::Raised(exception) => Err(raised(exception)),
        Outcome::Exited { code } => Err(stopped("SystemExit", &code.to_string())),
        Outcome::TimedOut { limit } => Err(stopped(
            "TimeoutError",
            &format!("the cell ran longer than {} s", limit.as_secs_f64()),
        )),
        Outcome::OutOfFuel { budget } => Err(stopped(
            "TimeoutError",
            &format!("the cell has used its {budget} units of fuel"),
        )),
        Outcome::Cancelled => Err(stopped("KeyboardInterrupt", "the cell was interrupted")),
        Outcome::Trapped { reason } => Err(stopped(
            "RuntimeError",
            &format!("the interpreter failed: {reason}"),
        )),
        other => Err(stopped("RuntimeError", other.status().as_str())),
    }
}

fn raised(exception: &Exception) -> Value {
    let lines: Vec<&str> = exception.traceback.lines().collect();
    json!({
        "status": "error",
        "ename": exception.kind,
        "evalue": exception.message,
        "traceback": lines,
    })
}

fn manager_error(error: ManagerError) -> Value {
    match error {
        ManagerError::Cancelled => error_content(
            "KeyboardInterrupt",
            "the cell was interrupted before it ran",
        ),
        error => {
            let error = ApiError::from(error);
            error_content("KernelError", &error.message)
        }
    }
}

/// Returns the content of the message `error` for that of a reply.
fn error_only(content: &Value) -> Value {
    json!({
        "ename": content["ename"],
        "evalue": content["evalue"],
        "traceback": content["traceback"],
    })
}

fn failed(count: u64, mut content: Value) -> Value {
    content["execution_count"] = count.into();
    content["user_expressions"] = json!({});
    content["payload"] = json!([]);
    content
}
