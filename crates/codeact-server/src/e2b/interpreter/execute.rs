//! `POST /execute`: runs code, and answers with lines of JSON while it runs.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use codeact::event::EventSink;
use codeact::sandbox::{Cancel, Execution, Outcome, Turn};
use codeact_sessions::manager::{ManagerError, SessionHandle};
use serde::Deserialize;

use super::contexts::{DEFAULT, Language, context};
use super::pip::{self, PipInstall};
use super::shell;
use super::source::without_indentation;
use super::stream::Answer;
use crate::app::AppState;
use crate::e2b::SharedState;
use crate::e2b::control::is_variable;
use crate::e2b::counts::HIDDEN;
use crate::e2b::error::{E2bError, PlainError};
use crate::e2b::record::E2bSandbox;
use crate::e2b::route::SandboxedRecord;
use crate::turns::RunningTurn;

/// Limit of the variables of a request.
const MAX_VARIABLES: usize = 256;

#[derive(Deserialize)]
struct ExecuteRequest {
    code: String,
    context_id: Option<String>,
    language: Option<String>,
    env_vars: Option<BTreeMap<String, String>>,
}

pub(super) async fn execute(
    State(app): State<AppState>,
    Extension(state): Extension<SharedState>,
    sandbox: Result<SandboxedRecord, E2bError>,
    request: Request,
) -> Result<Response, PlainError> {
    let SandboxedRecord(sandbox) = sandbox?;
    let body = read_body(request, &app).await?;
    let request: ExecuteRequest = serde_json::from_slice(&body)
        .map_err(|error| E2bError::bad_request(format!("the request is not valid: {error}")))?;
    if request.context_id.is_some() && request.language.is_some() {
        return Err(
            E2bError::bad_request("Only one of context_id or language can be provided").into(),
        );
    }
    let language = Language::parse(request.language.as_deref())?;
    let env = request.env_vars.unwrap_or_default();
    let bad = env.iter().find(|(name, value)| !is_variable(name, value));
    if bad.is_some() || env.len() > MAX_VARIABLES {
        return Err(E2bError::bad_request(format!(
            "env_vars is not valid: expected at most {MAX_VARIABLES} variables, names without = and NUL, values without NUL"
        ))
        .into());
    }
    let name = request.context_id.filter(|id| id != DEFAULT);
    let handle = match &name {
        Some(name) => context(&sandbox.handle, name)?,
        None => sandbox.handle.clone(),
    };
    let count = state.counts.next(&handle).await?;
    let (code, installs) = match language {
        Language::Python => pip::take_installs(&without_indentation(&request.code)),
        Language::Bash => (request.code, Vec::new()),
    };
    let run = Run {
        app,
        sandbox: sandbox.clone(),
        context: name,
        language,
        code,
        installs,
        env,
    };
    let turn = RunningTurn::start(|output, cancel| run.run(output, cancel));
    let answer = Answer::begin(turn, sandbox, count).await?;
    Ok(response(answer.into_body()))
}

/// Reads the body of a request whose token is known to be right.
pub(super) async fn read_body(request: Request, app: &AppState) -> Result<Bytes, E2bError> {
    let body = Bytes::from_request(request, app).await;
    body.map_err(|rejection| E2bError::new(rejection.status(), rejection.body_text()))
}

fn response(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (StatusCode::OK, headers, body).into_response()
}

/// An execution.
struct Run {
    app: AppState,
    sandbox: E2bSandbox,
    /// `None`: the default context, which is the session.
    context: Option<String>,
    language: Language,
    code: String,
    installs: Vec<PipInstall>,
    env: BTreeMap<String, String>,
}

impl Run {
    async fn run(self, output: EventSink, cancel: Cancel) -> Result<Execution, ManagerError> {
        if !self.installs.is_empty() {
            let bundled = pip::bundled(self.app.sandbox.pack());
            for install in &self.installs {
                tokio::select! {
                    done = pip::install(&self.sandbox, &bundled, install, &output) => done?,
                    () = cancel.cancelled() => return Err(ManagerError::Cancelled),
                }
            }
            if pip::is_empty(&self.code) {
                return Ok(Execution::new(Outcome::Completed));
            }
        }
        let commands = match self.language {
            Language::Python => shell::commands(&self.code),
            Language::Bash => Some(vec![self.code.clone()]),
        };
        if let Some(commands) = commands {
            let is_script = self.language == Language::Bash;
            let env: Vec<_> = self.env.into_iter().collect();
            return shell::run(&self.sandbox, &commands, &env, is_script, &output, &cancel).await;
        }
        let mut turn = Turn::new(&self.code).rich(true).events(output);
        for (name, value) in &self.env {
            turn = turn.env(name, value);
        }
        let execution = self.turn(turn, &cancel).await?;
        self.remove_variables(&execution, &cancel).await?;
        Ok(execution)
    }

    async fn turn(&self, turn: Turn, cancel: &Cancel) -> Result<Execution, ManagerError> {
        let handle = &self.sandbox.handle;
        match &self.context {
            Some(name) => handle.run_context(name, turn, cancel).await,
            None => handle.run(turn, cancel).await,
        }
    }

    /// Removes the variables of this execution from the environment. Those of the sandbox are set again by each turn.
    async fn remove_variables(
        &self,
        execution: &Execution,
        cancel: &Cancel,
    ) -> Result<(), ManagerError> {
        let settings = self.sandbox.handle.settings();
        let is_own = |name: &&String| !settings.env.iter().any(|(other, _)| other == *name);
        let names: Vec<&String> = self.env.keys().filter(is_own).collect();
        if names.is_empty() || execution.rolled_back {
            return Ok(());
        }
        // A JSON list of texts is a Python list of texts.
        let names =
            serde_json::to_string(&names).map_err(|e| ManagerError::Setting(e.to_string()))?;
        let code = format!(
            "{HIDDEN}variables\nassert [__import__('os').environ.pop(name, None) for name in {names}]"
        );
        self.turn(Turn::new(code), cancel).await.map(drop)
    }
}

/// Runs code of the server itself in a context, which is not counted as an execution.
///
/// # Errors
///
/// Returns 400 with the exception's message if it raises one, and errors of the manager.
pub(super) async fn run_hidden(
    parent: &SessionHandle,
    name: &str,
    what: &str,
    code: &str,
) -> Result<(), E2bError> {
    let turn = Turn::new(format!("{HIDDEN}{what}\n{code}"));
    let execution = parent.run_context(name, turn, &Cancel::new()).await?;
    match execution.outcome {
        Outcome::Completed => Ok(()),
        Outcome::Raised(exception) => Err(E2bError::bad_request(format!(
            "Failed to set the {what}: {}",
            exception.message
        ))),
        other => Err(E2bError::bad_request(format!(
            "Failed to set the {what}: {}",
            other.status()
        ))),
    }
}
