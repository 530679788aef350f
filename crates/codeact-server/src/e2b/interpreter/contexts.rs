//! Contexts: further interpreters over the files of a sandbox, with variables of their own.

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use codeact_sessions::manager::{ManagerError, SessionHandle};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::execute::{read_body, run_hidden};
use crate::app::AppState;
use crate::e2b::SharedState;
use crate::e2b::error::{E2bError, PlainError};
use crate::e2b::record::random_token;
use crate::e2b::route::Sandboxed;

/// Identifier of the context that is the session itself.
pub(super) const DEFAULT: &str = "default";
/// Working folder of a fresh interpreter.
const HOME: &str = "/home/user";
/// Limit of the path of a working folder, in bytes.
const MAX_CWD: usize = 4096;

/// A language of code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    /// Commands. They have no state but the files.
    Bash,
}

impl Language {
    /// Returns the language of a request; Python if it names none.
    ///
    /// # Errors
    ///
    /// Returns 400 if code of this language cannot run.
    pub(super) fn parse(name: Option<&str>) -> Result<Self, E2bError> {
        let name = name.unwrap_or_default();
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "python" => Ok(Self::Python),
            "bash" => Ok(Self::Bash),
            _ => Err(E2bError::bad_request(format!(
                "the language {:?} is not available: this sandbox runs python and bash",
                name.chars().take(40).collect::<String>()
            ))),
        }
    }
}

/// Returns the context `name` of a sandbox.
///
/// # Errors
///
/// Returns 404.
pub(super) fn context(parent: &SessionHandle, name: &str) -> Result<SessionHandle, E2bError> {
    parent.context(name).map_err(|error| match error {
        ManagerError::MissingContext { .. } => {
            let name: String = name.chars().take(100).collect();
            E2bError::not_found(format!("Context {name} not found"))
        }
        error => error.into(),
    })
}

#[derive(Deserialize)]
struct CreateContext {
    language: Option<String>,
    cwd: Option<String>,
}

/// `POST /contexts`.
pub(super) async fn create(
    State(app): State<AppState>,
    Extension(state): Extension<SharedState>,
    sandbox: Result<Sandboxed, E2bError>,
    request: Request,
) -> Result<Json<Value>, PlainError> {
    let Sandboxed(handle) = sandbox?;
    let body = read_body(request, &app).await?;
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    let request: CreateContext = serde_json::from_slice(body)
        .map_err(|error| E2bError::bad_request(format!("the request is not valid: {error}")))?;
    if Language::parse(request.language.as_deref())? == Language::Bash {
        let why = "bash has no contexts here: its commands share the files of the sandbox, and nothing else";
        return Err(E2bError::bad_request(why).into());
    }
    let cwd = request
        .cwd
        .filter(|cwd| !cwd.is_empty())
        .unwrap_or(HOME.to_owned());
    if cwd.len() > MAX_CWD {
        return Err(E2bError::bad_request(format!("cwd has more than {MAX_CWD} bytes")).into());
    }
    // As long as that of a kernel.
    let name: String = random_token()?.chars().take(32).collect();
    let metadata = Map::from_iter([("cwd".to_owned(), Value::from(cwd.as_str()))]);
    let made = handle.create_context(&name, metadata).await?;
    state.counts.start(&made);
    if let Err(error) = change_folder(&handle, &name, &cwd).await {
        let _ = handle.remove_context(&name).await;
        return Err(error.into());
    }
    Ok(Json(describe(&name, &cwd)))
}

/// `GET /contexts`.
pub(super) async fn list(sandbox: Result<Sandboxed, E2bError>) -> Result<Json<Value>, PlainError> {
    let Sandboxed(handle) = sandbox?;
    let mut all = vec![describe(DEFAULT, HOME)];
    for context in handle.contexts() {
        let name = name_of(&handle, &context);
        all.push(describe(&name, &folder(&context)));
    }
    Ok(Json(all.into()))
}

/// `DELETE /contexts/{context}`.
pub(super) async fn remove(
    Path(name): Path<String>,
    Extension(state): Extension<SharedState>,
    sandbox: Result<Sandboxed, E2bError>,
) -> Result<StatusCode, PlainError> {
    let Sandboxed(handle) = sandbox?;
    if name == DEFAULT {
        let why = "the default context cannot be removed: it is the sandbox. Restart it to remove its variables";
        return Err(E2bError::bad_request(why).into());
    }
    let found = context(&handle, &name)?;
    handle.remove_context(&name).await?;
    state.counts.forget(&found);
    Ok(StatusCode::OK)
}

/// `POST /contexts/{context}/restart`: files stay.
pub(super) async fn restart(
    Path(name): Path<String>,
    sandbox: Result<Sandboxed, E2bError>,
) -> Result<StatusCode, PlainError> {
    let Sandboxed(handle) = sandbox?;
    if name == DEFAULT {
        handle.restart().await?;
        return Ok(StatusCode::OK);
    }
    let found = context(&handle, &name)?;
    found.restart().await?;
    change_folder(&handle, &name, &folder(&found)).await?;
    Ok(StatusCode::OK)
}

async fn change_folder(handle: &SessionHandle, name: &str, cwd: &str) -> Result<(), E2bError> {
    if cwd == HOME {
        return Ok(());
    }
    // A JSON text is a Python text.
    let code = format!("__import__('os').chdir({})", Value::from(cwd));
    run_hidden(handle, name, "working directory", &code).await
}

fn name_of(parent: &SessionHandle, context: &SessionHandle) -> String {
    let name = context.id().strip_prefix(parent.id());
    name.unwrap_or_default().trim_start_matches('.').to_owned()
}

fn folder(context: &SessionHandle) -> String {
    let settings = context.settings();
    let cwd = settings.metadata.get("cwd").and_then(Value::as_str);
    cwd.unwrap_or(HOME).to_owned()
}

fn describe(name: &str, cwd: &str) -> Value {
    json!({"id": name, "language": "python", "cwd": cwd})
}
