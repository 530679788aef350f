//! `POST /exec/programmatic`: a script whose functions are tools of the client.
//!
//! The response to a request is the result, or the calls that the client must make. It continues with their results and
//! the token of the response. The interpreter waits in place meanwhile, with all its variables; the original service runs
//! the code again from its start.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::{Extension, Json};
use codeact::sandbox::{Cancel, Session, Turn};
use codeact_sessions::manager::ManagerError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client_tools::{self, ClientTool};
use super::error::LibreChatError;
use super::exec::read;
use super::outputs::{self, RequestedFile};
use super::storage;
use super::waiting::{ClientTurn, MAX_WAIT, Pause, WaitingTurns};
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::compat::script::{self, Exit};
use crate::compat::temporary::Temporary;
use crate::jupyter::ids::secret;
use crate::turns::RunningTurn;

/// Wall time of the code with its calls, if the request states none.
const DEFAULT_TIME: Duration = Duration::from_secs(60);
/// Limit of the error message of a tool, in characters.
const MAX_ERROR_CHARS: usize = 10_000;

#[derive(Deserialize)]
struct Programmatic {
    code: Option<String>,
    tools: Option<Vec<ClientTool>>,
    /// In milliseconds.
    timeout: Option<f64>,
    continuation_token: Option<String>,
    tool_results: Option<Vec<ToolResult>>,
    files: Option<Vec<RequestedFile>>,
    language: Option<String>,
    lang: Option<String>,
}

#[derive(Deserialize)]
struct ToolResult {
    call_id: String,
    #[serde(default)]
    result: Value,
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    error_message: Option<String>,
}

/// Starts or continues a script.
pub(super) async fn exec(
    Caller(tenant): Caller,
    Extension(waiting): Extension<Arc<WaitingTurns>>,
    body: Bytes,
) -> Result<Json<Value>, LibreChatError> {
    let mut request: Programmatic = read(&body)?;
    let language = request.language.take().or_else(|| request.lang.take());
    if let Some(language) = language.filter(|name| !["python", "py"].contains(&name.as_str())) {
        let why =
            format!("Unsupported language {language:.100?}; the supported value is \"python\"");
        return Err(LibreChatError::bad_request(why));
    }
    let mut turn = match request.continuation_token.take() {
        Some(token) => resume(&tenant, &waiting, &token, request)?,
        None => start(&tenant, request).await?,
    };
    let pause = turn.advance().await;
    respond(&tenant, &waiting, turn, pause).await
}

/// Gives a waiting turn the results of its calls.
fn resume(
    tenant: &ServerTenant,
    waiting: &Arc<WaitingTurns>,
    token: &str,
    request: Programmatic,
) -> Result<ClientTurn, LibreChatError> {
    let results = request.tool_results.filter(|results| !results.is_empty());
    let results = results.ok_or_else(|| {
        LibreChatError::bad_request(
            "tool_results must be a non-empty array; send one for each call",
        )
    })?;
    let turn = waiting.take(tenant.sessions.name(), token);
    let mut turn = turn.ok_or_else(|| LibreChatError::missing("Execution not found or expired"))?;
    if let Some(unknown) = results
        .iter()
        .find(|result| !turn.is_pending(&result.call_id))
    {
        let why = format!("no call {:.100} waits for a result", unknown.call_id);
        // The client can try again.
        waiting.insert(tenant.sessions.name(), token.to_owned(), turn)?;
        return Err(LibreChatError::bad_request(why));
    }
    for result in results {
        let value = match result.is_error {
            false => Ok(result.result),
            true => {
                let message = result
                    .error_message
                    .unwrap_or_else(|| "the tool failed".into());
                Err(message.chars().take(MAX_ERROR_CHARS).collect())
            }
        };
        turn.resolve(&result.call_id, value);
    }
    Ok(turn)
}

/// Starts a script in a new session.
async fn start(tenant: &ServerTenant, request: Programmatic) -> Result<ClientTurn, LibreChatError> {
    let code = request.code.filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| LibreChatError::bad_request("Missing required field: code"))?;
    let tools = request.tools.unwrap_or_default();
    let grants = &tenant.grants;
    let (tools, prelude, calls) = client_tools::tools(&grants.config.tools, tools, MAX_WAIT)?;
    let inputs = outputs::inputs(tenant, request.files.unwrap_or_default()).await?;
    let sandbox = grants.sandbox.derive().tools(tools).build();
    let sandbox = sandbox.map_err(ManagerError::from)?;
    let session = Temporary::create(&tenant.sessions, storage::settings()).await?;
    let handle = session.handle()?;
    let change = move |session: &mut Session| Ok(session.use_sandbox(&sandbox)?);
    handle.change(change).await?;
    outputs::write(&handle, &inputs).await?;
    handle.run(Turn::new(prelude), &Cancel::new()).await?;
    let mut limits = grants.config.limits.clone();
    let milliseconds = request.timeout.filter(|time| *time > 0.0);
    limits.wall = milliseconds
        .and_then(|time| Duration::try_from_secs_f64(time / 1000.0).ok())
        .unwrap_or(DEFAULT_TIME);
    let limits = grants.narrow_limits(&limits);
    let turn = script::turn(&code, &[], None)
        .keep_files(true)
        .limits(limits);
    let running =
        RunningTurn::start(
            |sink, cancel| async move { handle.run(turn.events(sink), &cancel).await },
        );
    Ok(ClientTurn::new(running, calls, inputs, session))
}

async fn respond(
    tenant: &ServerTenant,
    waiting: &Arc<WaitingTurns>,
    mut turn: ClientTurn,
    pause: Pause,
) -> Result<Json<Value>, LibreChatError> {
    let handle = turn.session.handle()?;
    let execution = match pause {
        Pause::Ended(execution) => execution?,
        Pause::Calls(calls) => {
            let token = secret()?;
            let mut body = json!({
                "status": "tool_call_required",
                "continuation_token": token,
                "tool_calls": calls,
                "session_id": handle.id(),
            });
            for (name, text) in [
                ("partial_stdout", &turn.stdout),
                ("partial_stderr", &turn.stderr),
            ] {
                if !text.is_empty() {
                    body[name] = text.as_str().into();
                }
            }
            waiting.insert(tenant.sessions.name(), token, turn)?;
            return Ok(Json(body));
        }
    };
    let end = script::end(&execution);
    let error = match end.exit {
        Exit::Status(0) => None,
        Exit::Status(code) => Some(format!("Sandbox exited with code {code}")),
        Exit::TimedOut => Some("Time limit exceeded".to_owned()),
        Exit::Killed => Some("Execution failed or timed out".to_owned()),
    };
    if let Some(error) = error {
        return Ok(Json(json!({
            "status": "error",
            "error": error,
            "stdout": end.stdout,
            "stderr": end.stderr,
            "session_id": handle.id(),
        })));
    }
    let id = handle.id().to_owned();
    let inputs = std::mem::take(&mut turn.inputs);
    let (stored, files) = outputs::store(tenant, Some(handle), &execution, &inputs, false).await?;
    if stored.is_some() {
        turn.session.keep();
    }
    Ok(Json(json!({
        "status": "completed",
        "stdout": end.stdout,
        "stderr": end.stderr,
        "files": files,
        "session_id": id,
        "tool_calls_made": turn.made,
        "execution_time": end.wall.as_secs_f64(),
    })))
}
