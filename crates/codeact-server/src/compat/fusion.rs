//! `POST /run_code` of SandboxFusion.
//!
//! The shapes are those of bytedance/SandboxFusion, `sandbox/server/sandbox_api.py` and `sandbox/runners/types.py`.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use codeact::sandbox::{Cancel, FileError, FileKind, Limits, Session};
use codeact_sessions::manager::{ManagerError, SessionHandle, SessionSettings};
use serde::{Deserialize, Serialize};

use super::fusion_error::FusionError;
use super::script::{self, Exit, ScriptEnd};
use super::temporary::Temporary;
use crate::app::ServerTenant;
use crate::auth::Caller;

/// Languages that SandboxFusion knows in addition to Python.
const OTHER_LANGUAGES: [&str; 28] = [
    "cpp",
    "nodejs",
    "go",
    "go_test",
    "java",
    "php",
    "csharp",
    "bash",
    "typescript",
    "sql",
    "rust",
    "cuda",
    "lua",
    "R",
    "perl",
    "D_ut",
    "ruby",
    "scala",
    "julia",
    "pytest",
    "junit",
    "kotlin_script",
    "jest",
    "verilog",
    "python_gpu",
    "lean",
    "swift",
    "racket",
];
/// Limit of the files of a request, and of those that it fetches.
const MAX_FILES: usize = 1000;
/// Limit of the bytes of the fetched files.
const MAX_FETCHED_BYTES: u64 = 64 << 20;
/// Memory for the code's data, below which the interpreter cannot work.
const MIN_MEMORY: u64 = 16 << 20;
/// Files of this name are not written.
const IGNORED: &str = "IGNORE_THIS_FILE";

/// Files by their path, in base64.
pub(super) type Files = BTreeMap<String, Option<String>>;

#[derive(Deserialize)]
struct RunCode {
    code: String,
    language: String,
    #[serde(default)]
    stdin: Option<String>,
    #[serde(default = "default_timeout")]
    run_timeout: f64,
    #[serde(default = "no_limit", rename = "memory_limit_MB")]
    memory_limit_mb: i64,
    #[serde(default)]
    files: Files,
    #[serde(default)]
    fetch_files: Vec<String>,
}

fn default_timeout() -> f64 {
    10.0
}

pub(super) fn no_limit() -> i64 {
    -1
}

/// Status of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum RunStatus {
    Success,
    Failed,
    SandboxError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum CommandStatus {
    Finished,
    Error,
    TimeLimitExceeded,
}

/// Result of a process.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CommandResult {
    status: CommandStatus,
    execution_time: Option<f64>,
    return_code: Option<i32>,
    stdout: Option<String>,
    stderr: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct RunCodeResult {
    status: RunStatus,
    message: String,
    compile_result: Option<CommandResult>,
    run_result: Option<CommandResult>,
    executor_pod_name: Option<String>,
    files: BTreeMap<String, String>,
}

impl CommandResult {
    /// Returns the result of a process that ended with status 0.
    pub(super) fn finished(time: Duration) -> Self {
        Self {
            status: CommandStatus::Finished,
            execution_time: Some(time.as_secs_f64()),
            return_code: Some(0),
            stdout: Some(String::new()),
            stderr: Some(String::new()),
        }
    }

    fn of(end: ScriptEnd) -> Self {
        let (status, return_code) = match end.exit {
            Exit::Status(code) => (CommandStatus::Finished, Some(code)),
            Exit::TimedOut => (CommandStatus::TimeLimitExceeded, None),
            // SIGABRT, as of a failed interpreter.
            Exit::Killed => (CommandStatus::Finished, Some(-6)),
        };
        Self {
            status,
            execution_time: Some(end.wall.as_secs_f64()),
            return_code,
            stdout: Some(end.stdout),
            stderr: Some(end.stderr),
        }
    }

    fn error(why: &str) -> Self {
        Self {
            status: CommandStatus::Error,
            execution_time: None,
            return_code: None,
            stdout: None,
            stderr: Some(why.to_owned()),
        }
    }
}

impl RunCodeResult {
    fn of(run: CommandResult, files: BTreeMap<String, String>) -> Self {
        let status = match (run.status, run.return_code) {
            (CommandStatus::Error, _) => RunStatus::SandboxError,
            (CommandStatus::Finished, Some(0)) => RunStatus::Success,
            _ => RunStatus::Failed,
        };
        let message = match status {
            RunStatus::SandboxError => run.stderr.clone().unwrap_or_default(),
            _ => String::new(),
        };
        Self {
            status,
            message,
            compile_result: None,
            run_result: Some(run),
            executor_pod_name: None,
            files,
        }
    }
}

pub(super) async fn ping() -> Json<&'static str> {
    Json("pong")
}

/// Runs a script.
pub(super) async fn run_code(
    Caller(tenant): Caller,
    body: Bytes,
) -> Result<Json<RunCodeResult>, FusionError> {
    let request: RunCode =
        serde_json::from_slice(&body).map_err(|e| FusionError::invalid(e.to_string()))?;
    if OTHER_LANGUAGES.contains(&request.language.as_str()) {
        let why = format!(
            "this server runs python; it has no runner for {}",
            request.language
        );
        let result = RunCodeResult::of(CommandResult::error(&why), BTreeMap::new());
        return Ok(Json(result));
    }
    if request.language != "python" {
        let why = format!(
            "the language {:.100} is not known; expected python",
            request.language
        );
        return Err(FusionError::invalid(why));
    }
    let mut settings = SessionSettings::default();
    let limits = limits(&tenant, request.memory_limit_mb, request.run_timeout)?;
    settings.limits = None;
    let turn = script::turn(&request.code, &[], request.stdin).limits(limits);
    let cancel = Cancel::new();
    if request.files.is_empty() && request.fetch_files.is_empty() {
        let execution = tenant.sessions.run_once(&settings, turn, &cancel).await?;
        let run = CommandResult::of(script::end(&execution));
        return Ok(Json(RunCodeResult::of(run, BTreeMap::new())));
    }
    let session = Temporary::create(&tenant.sessions, settings).await?;
    let handle = session.handle()?;
    write_files(&handle, &request.files).await?;
    let execution = handle.run(turn.last(true), &cancel).await?;
    let files = fetch_files(&handle, request.fetch_files).await?;
    let run = CommandResult::of(script::end(&execution));
    Ok(Json(RunCodeResult::of(run, files)))
}

/// Returns the limits of a request. Those of the tenant are never exceeded.
pub(super) fn limits(
    tenant: &ServerTenant,
    memory_mb: i64,
    seconds: f64,
) -> Result<Limits, FusionError> {
    let own = &tenant.grants.config.limits;
    let mut limits = own.clone();
    limits.wall = match Duration::try_from_secs_f64(seconds) {
        Ok(wall) if !wall.is_zero() => wall,
        _ => {
            return Err(FusionError::invalid(
                "a timeout is a positive number of seconds",
            ));
        }
    };
    if let Ok(megabytes) = u64::try_from(memory_mb)
        && megabytes > 0
    {
        let least = tenant.grants.sandbox.base_memory() + MIN_MEMORY;
        limits.memory = megabytes.saturating_mul(1 << 20).max(least);
    }
    Ok(tenant.grants.narrow_limits(&limits))
}

/// Writes the files of a request.
pub(super) async fn write_files(handle: &SessionHandle, files: &Files) -> Result<(), FusionError> {
    if files.len() > MAX_FILES {
        let why = format!("a request can have {MAX_FILES} files");
        return Err(FusionError::invalid(why));
    }
    let mut decoded = Vec::new();
    for (path, content) in files {
        let Some(content) = content.as_ref().filter(|_| !path.contains(IGNORED)) else {
            continue;
        };
        let bytes = STANDARD.decode(content);
        let bytes = bytes.map_err(|_| {
            FusionError::invalid(format!("the file {path:.200} is not valid base64"))
        })?;
        decoded.push((path.clone(), bytes));
    }
    if decoded.is_empty() {
        return Ok(());
    }
    let write = move |session: &mut Session| {
        for (path, bytes) in decoded {
            session.write_file(&path, &bytes)?;
        }
        Ok(())
    };
    Ok(handle.change(write).await?)
}

/// Returns the files `paths` in base64. Those that do not exist are left out.
pub(super) async fn fetch_files(
    handle: &SessionHandle,
    paths: Vec<String>,
) -> Result<BTreeMap<String, String>, FusionError> {
    if paths.is_empty() {
        return Ok(BTreeMap::new());
    }
    if paths.len() > MAX_FILES {
        let why = format!("a request can fetch {MAX_FILES} files");
        return Err(FusionError::invalid(why));
    }
    let read = move |session: &Session| {
        let mut files = BTreeMap::new();
        let mut left = MAX_FETCHED_BYTES;
        for path in paths {
            if session
                .file_info(&path)
                .is_ok_and(|info| info.kind == FileKind::Dir)
            {
                continue;
            }
            let Ok(file) = session.read_file(&path) else {
                continue;
            };
            left = left.checked_sub(file.len()).ok_or_else(|| {
                let why = format!("the fetched files have more than {MAX_FETCHED_BYTES} bytes");
                ManagerError::Setting(why)
            })?;
            let bytes = file.to_vec().map_err(|e| FileError::Io(path.clone(), e))?;
            files.insert(path, STANDARD.encode(bytes));
        }
        Ok(files)
    };
    Ok(handle.read(read).await?)
}
