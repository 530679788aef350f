//! `POST /exec`: a script over stored files.

use axum::Json;
use axum::body::Bytes;
use codeact::sandbox::{Cancel, Execution};
use codeact_sessions::SessionError;
use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::LibreChatError;
use super::outputs::{self, FileRef, Input, RequestedFile};
use super::storage;
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::compat::script::{self, Exit, ScriptEnd};
use crate::compat::temporary::Temporary;
use crate::jupyter::ids::uuid;

/// Names of Python in requests.
const PYTHON: [&str; 2] = ["py", "python"];
/// Limit of the arguments of a script, in bytes.
const MAX_ARGS_BYTES: usize = 128 << 10;
/// Limit of a runtime session's hint, in bytes.
const MAX_HINT_BYTES: usize = 512;

#[derive(Deserialize)]
struct Exec {
    lang: String,
    code: String,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    files: Option<Vec<RequestedFile>>,
    #[serde(default)]
    runtime_session_hint: Option<String>,
}

/// Result of a script.
#[derive(Debug, Serialize)]
pub(super) struct ExecResult {
    session_id: String,
    stdout: String,
    stderr: String,
    files: Vec<FileRef>,
    code: Option<i32>,
    signal: Option<&'static str>,
    message: Option<&'static str>,
    status: Option<&'static str>,
    /// In milliseconds.
    wall_time: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_status: Option<&'static str>,
}

/// The session that lasts over scripts with the same hint.
struct Runtime {
    handle: SessionHandle,
    status: &'static str,
}

/// Reads the body of a request.
pub(super) fn read<T: serde::de::DeserializeOwned>(body: &Bytes) -> Result<T, LibreChatError> {
    serde_json::from_slice(body)
        .map_err(|e| LibreChatError::bad_request(format!("Invalid request: {e}")))
}

/// Runs a script.
pub(super) async fn exec(
    Caller(tenant): Caller,
    body: Bytes,
) -> Result<Json<ExecResult>, LibreChatError> {
    let request: Exec = read(&body)?;
    if !PYTHON.contains(&request.lang.to_lowercase().as_str()) {
        let why = format!("Unsupported language: {:.100}", request.lang);
        return Err(LibreChatError::bad_request(why));
    }
    let args = request.args.unwrap_or_default();
    if args.iter().map(|arg| arg.len() + 1).sum::<usize>() > MAX_ARGS_BYTES {
        return Err(LibreChatError::bad_request("args are too long"));
    }
    let inputs = outputs::inputs(&tenant, request.files.unwrap_or_default()).await?;
    let turn = script::turn(&request.code, &args, None).keep_files(true);
    let cancel = Cancel::new();
    if let Some(hint) = request.runtime_session_hint.filter(|hint| !hint.is_empty()) {
        let runtime = runtime(&tenant, &hint).await?;
        outputs::write(&runtime.handle, &inputs).await?;
        let execution = runtime.handle.run_process(turn, &cancel).await?;
        return finish(&tenant, None, Some(runtime), &execution, &inputs).await;
    }
    if inputs.is_empty() {
        let settings = SessionSettings::default();
        let execution = tenant.sessions.run_once(&settings, turn, &cancel).await?;
        return finish(&tenant, None, None, &execution, &inputs).await;
    }
    let session = Temporary::create(&tenant.sessions, storage::settings()).await?;
    let handle = session.handle()?;
    outputs::write(&handle, &inputs).await?;
    let execution = handle.run(turn.last(true), &cancel).await?;
    finish(&tenant, Some(session), None, &execution, &inputs).await
}

async fn finish(
    tenant: &ServerTenant,
    mut session: Option<Temporary>,
    runtime: Option<Runtime>,
    execution: &Execution,
    inputs: &[Input],
) -> Result<Json<ExecResult>, LibreChatError> {
    let end = script::end(execution);
    let failed = end.exit != Exit::Status(0);
    let ran_in = match (&session, &runtime) {
        (Some(session), _) => Some(session.handle()?),
        (None, Some(runtime)) => Some(runtime.handle.clone()),
        (None, None) => None,
    };
    let (stored, files) = outputs::store(tenant, ran_in, execution, inputs, failed).await?;
    if let (Some(session), Some(_)) = (&mut session, &stored) {
        session.keep();
    }
    let session_id = match stored {
        Some(handle) => handle.id().to_owned(),
        None => uuid()?,
    };
    let mut result = result(session_id, end, files);
    if let Some(runtime) = runtime {
        result.runtime_session_id = Some(runtime.handle.id().to_owned());
        result.runtime_status = Some(runtime.status);
    }
    Ok(Json(result))
}

fn result(session_id: String, end: ScriptEnd, files: Vec<FileRef>) -> ExecResult {
    let (code, signal, message, status) = match end.exit {
        Exit::Status(0) => (Some(0), None, None, None),
        Exit::Status(code) => (Some(code), None, None, Some("RE")),
        Exit::TimedOut => (
            None,
            Some("SIGKILL"),
            Some("Time limit exceeded"),
            Some("TO"),
        ),
        Exit::Killed => (None, Some("SIGABRT"), None, Some("SG")),
    };
    ExecResult {
        session_id,
        stdout: end.stdout,
        stderr: end.stderr,
        files,
        code,
        signal,
        message,
        status,
        wall_time: u64::try_from(end.wall.as_millis()).unwrap_or(u64::MAX),
        runtime_session_id: None,
        runtime_status: None,
    }
}

/// Returns the session of a hint, and makes it if it does not exist. Its identifier cannot be guessed from those of other
/// sessions, and belongs to the tenant.
async fn runtime(tenant: &ServerTenant, hint: &str) -> Result<Runtime, LibreChatError> {
    if hint.len() > MAX_HINT_BYTES {
        return Err(LibreChatError::bad_request(
            "runtime_session_hint is too long",
        ));
    }
    let hash = Sha256::digest(hint.as_bytes());
    let hash: String = hash
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let id = format!("librechat-{hash}");
    let warm = |handle| Runtime {
        handle,
        status: "warm",
    };
    if let Ok((handle, _)) = storage::find(tenant, &id) {
        let expires = codeact_sessions::manager::OnExpiry::Remove;
        handle
            .expire_after(Some(storage::STORAGE_TIME), expires)
            .await?;
        return Ok(warm(handle));
    }
    match tenant
        .sessions
        .create(Some(id.clone()), storage::settings())
        .await
    {
        Ok(handle) => Ok(Runtime {
            handle,
            status: "new",
        }),
        // Another request was faster.
        Err(ManagerError::Session(SessionError::Exists { .. })) => {
            Ok(warm(storage::find(tenant, &id)?.0))
        }
        Err(error) => Err(error.into()),
    }
}
