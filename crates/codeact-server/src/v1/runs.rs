//! Runs of an agent: a model that the operator has configured solves a task by writing code.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use codeact::Sandbox;
use codeact::agent::{Action, Agent, AgentError, Ending, Run, Step};
use codeact::event::EventSink;
use codeact::llm::Model;
use codeact::sandbox::{Cancel, GuestFile, Session, SessionOptions};
use codeact::wire::{ExecutionJson, RunEndingJson, RunJson, RunStepJson};
use codeact_sessions::FinishedTurn;
use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings, Tenant};
use serde::Deserialize;

use super::accept::Format;
use super::answer::returned;
use super::globs::Patterns;
use super::json_body::{JsonBody, invalid};
use super::outlet::whole;
use super::plan::write;
use super::requests::{
    Env, Files, Hosts, LimitsRequest, Packages, Paths, SandboxRequest, env, files,
};
use super::stream;
use super::url::QueryMap;
use crate::app::{App, AppState, ServerTenant};
use crate::auth::Caller;
use crate::error::ApiError;
use crate::turns::RunningTurn;

/// Maximum number of steps of a run.
const MAX_STEPS: u32 = 100;
/// Default number of steps.
const DEFAULT_STEPS: u32 = 12;

/// Body of `POST /v1/runs`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRequest {
    task: String,
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    session: Option<String>,
    #[serde(default)]
    max_steps: Option<u32>,
    /// Text that the code has as `stdin_text`.
    #[serde(default)]
    input: Option<String>,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    packages: Packages,
    #[serde(default)]
    env: Env,
    #[serde(default)]
    limits: Option<LimitsRequest>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    hosts: Option<Hosts>,
    #[serde(default)]
    return_files: Paths,
}

/// A validated run.
struct Work {
    target: Target,
    model: Arc<dyn Model>,
    task: String,
    input: Option<String>,
    max_steps: u32,
    files: Vec<(String, Vec<u8>)>,
    env: Vec<(String, String)>,
    seed: Option<u64>,
}

enum Target {
    Once(Tenant, Box<SessionSettings>),
    /// A session, and the sandbox that the prompt describes.
    Session(SessionHandle, Box<Sandbox>),
}

/// The end of a run, and the files that its code has left.
struct Done {
    run: Result<Run, AgentError>,
    files: Vec<GuestFile>,
}

/// `POST /v1/runs`
pub(super) async fn run(
    State(app): State<AppState>,
    Caller(tenant): Caller,
    query: QueryMap,
    headers: HeaderMap,
    JsonBody(request): JsonBody<RunRequest>,
) -> Result<Response, ApiError> {
    query.finish()?;
    let format = Format::of(&headers)?;
    let patterns = Patterns::new(&request.return_files.0)?;
    let work = work(request, &app, &tenant).await?;
    if format == Format::Json {
        let done = work.run(EventSink::none(), Cancel::new()).await?;
        let json = response(done, patterns, None).await?;
        return Ok(([(CONTENT_TYPE, "application/json")], whole(json)).into_response());
    }
    let running = RunningTurn::start(|events, cancel| work.run(events, cancel));
    stream::respond(running, format, |done| {
        response(done, patterns, Some("result"))
    })
    .await
}

/// Validates a request.
async fn work(request: RunRequest, app: &App, tenant: &ServerTenant) -> Result<Work, ApiError> {
    let model = model(request.model.as_deref(), app)?;
    if request.task.trim().is_empty() {
        return Err(invalid("task", "it is empty"));
    }
    let max_steps = request.max_steps.unwrap_or(DEFAULT_STEPS);
    if max_steps == 0 || max_steps > MAX_STEPS {
        let why = format!("it is {max_steps}; expected 1 to {MAX_STEPS}");
        return Err(invalid("max_steps", why));
    }
    let sandbox = SandboxRequest {
        packages: request.packages,
        env: request.env,
        limits: request.limits,
        seed: request.seed,
        hosts: request.hosts,
    };
    let (target, env) = match &request.session {
        None => {
            let settings = sandbox.settings(tenant)?;
            let env = settings.env.clone();
            (
                Target::Once(tenant.sessions.clone(), Box::new(settings)),
                env,
            )
        }
        Some(id) => {
            let session = tenant.sessions.get(id)?;
            let is_set = [
                ("packages", !sandbox.packages.0.is_empty()),
                ("limits", sandbox.limits.is_some()),
                ("seed", sandbox.seed.is_some()),
                ("hosts", sandbox.hosts.is_some()),
            ];
            if let Some((field, _)) = is_set.into_iter().find(|(_, is_set)| *is_set) {
                let why = "this is a setting of the session; set it when the session is made";
                return Err(invalid(field, why));
            }
            let settings = session.settings();
            let mut variables = settings.env.clone();
            variables.extend(env(sandbox.env)?);
            let of_session = source(tenant).sandbox(&settings).await?;
            (Target::Session(session, Box::new(of_session)), variables)
        }
    };
    Ok(Work {
        target,
        model,
        task: request.task,
        input: request.input,
        max_steps,
        files: files(request.files)?,
        env,
        seed: request.seed,
    })
}

fn source(tenant: &ServerTenant) -> &dyn codeact_sessions::manager::SandboxSource {
    &*tenant.grants
}

/// Returns the model `name`, or the first one.
fn model(name: Option<&str>, app: &App) -> Result<Arc<dyn Model>, ApiError> {
    let models = &app.config.models;
    let Some(first) = models.first() else {
        return Err(ApiError::new(
            StatusCode::NOT_IMPLEMENTED,
            "no_model",
            "this server has no model for runs of an agent; its operator can configure one",
        ));
    };
    let Some(name) = name else {
        return Ok(first.model.clone());
    };
    match models.iter().find(|model| model.name == name) {
        Some(found) => Ok(found.model.clone()),
        None => {
            let names: Vec<&str> = models.iter().map(|model| &*model.name).collect();
            let why = format!("there is no such model; expected one of {names:?}");
            Err(invalid("model", why))
        }
    }
}

impl Work {
    /// Runs the agent. Dropping the future stops it.
    async fn run(self, events: EventSink, cancel: Cancel) -> Result<Done, ManagerError> {
        let Self {
            target,
            model,
            task,
            input,
            max_steps,
            files,
            env,
            seed,
        } = self;
        let agent = move |sandbox: Sandbox, cancel: Cancel| {
            let mut agent = Agent::new(model, sandbox)
                .max_steps(max_steps)
                .seed(seed)
                .events(events)
                .cancel(cancel);
            for (name, value) in env {
                agent = agent.env(name, value);
            }
            match input {
                Some(input) => agent.stdin_text(input),
                None => agent,
            }
        };
        match target {
            Target::Once(tenant, settings) => {
                let work = move |sandbox: Sandbox, stop: Cancel| async move {
                    let mut session = sandbox.session_with(&SessionOptions::new().seed(seed))?;
                    write(&mut session, &files)?;
                    let run = agent(sandbox, stop).run_in(&mut session, &task).await;
                    let fuel = run.as_ref().map_or(0, fuel);
                    let files = session.files();
                    Ok((Done { run, files }, fuel))
                };
                tenant.run_with(&settings, &cancel, work).await
            }
            Target::Session(handle, sandbox) => {
                if !files.is_empty() {
                    let write = move |session: &mut Session| Ok(write(session, &files)?);
                    handle.change(write).await?;
                }
                let mut lease = handle.lease(&cancel).await?;
                let agent = agent(*sandbox, lease.cancel().clone());
                let run = agent.run_in(lease.session()?, &task).await;
                let files = lease.session()?.files();
                if let Ok(run) = &run {
                    lease.commit(turns(run)).await?;
                }
                Ok(Done { run, files })
            }
        }
    }
}

fn fuel(run: &Run) -> u64 {
    let executions = run.steps.iter().filter_map(|step| step.execution.as_ref());
    executions.map(|execution| execution.usage.fuel).sum()
}

/// Returns the turns of a run.
fn turns(run: &Run) -> Vec<FinishedTurn> {
    let turn = |step: &Step| {
        let execution = step.execution.clone()?;
        let code = code(step).unwrap_or_default();
        Some(FinishedTurn { code, execution })
    };
    run.steps.iter().filter_map(turn).collect()
}

fn code(step: &Step) -> Option<String> {
    match &step.action {
        Action::Code { source, .. } => Some(source.clone()),
        _ => None,
    }
}

/// Returns the response to a run, on a thread that may block.
async fn response(
    done: Done,
    patterns: Patterns,
    kind: Option<&'static str>,
) -> Result<Bytes, ApiError> {
    let run = match done.run {
        Ok(run) => run,
        Err(AgentError::Model(error)) => {
            let message = format!("the model failed: {error}");
            return Err(ApiError::new(
                StatusCode::BAD_GATEWAY,
                "model_failed",
                message,
            ));
        }
        Err(error) => return Err(ApiError::internal(error)),
    };
    let encode = move || {
        let mut json = describe(&run);
        json.kind = kind.map(str::to_owned);
        if !patterns.is_empty() {
            let (files, left_out) = returned(&done.files, &patterns)?;
            json.files = Some(files);
            json.files_left_out = left_out;
        }
        serde_json::to_vec(&json)
            .map(Bytes::from)
            .map_err(ApiError::internal)
    };
    tokio::task::spawn_blocking(encode)
        .await
        .map_err(ApiError::internal)?
}

fn describe(run: &Run) -> RunJson {
    let (ending, reason) = match &run.ending {
        Ending::Answered(_) => (RunEndingJson::Answered, None),
        Ending::OutOfSteps => (RunEndingJson::OutOfSteps, None),
        Ending::Suspended => (RunEndingJson::Suspended, None),
        Ending::Cancelled => (RunEndingJson::Cancelled, None),
        Ending::Failed(why) => (RunEndingJson::Failed, Some(why.clone())),
        _ => (RunEndingJson::Error, None),
    };
    let mut json = RunJson::new(ending);
    json.answer = run.answer().cloned();
    json.reason = reason;
    json.steps = (run.steps.iter())
        .map(|step| {
            let mut json = RunStepJson::new(&*step.reply);
            json.code = code(step);
            json.execution = step.execution.as_ref().map(ExecutionJson::from);
            json.observation.clone_from(&step.observation);
            json
        })
        .collect();
    json
}
