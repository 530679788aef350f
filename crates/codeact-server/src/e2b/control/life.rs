//! End, pause and resumption of a sandbox.

use axum::Json;
use axum::extract::{Extension, Path};
use axum::http::StatusCode;
use codeact_sessions::manager::{OnExpiry, SessionSettings};
use serde::Deserialize;
use serde_json::Value;

use super::body::{Fields, Team, timeout};
use super::create::answer;
use crate::e2b::SharedState;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, Record, State};
use crate::e2b::timestamp::now_ms;

/// Default and least time to live of a refreshed or resumed sandbox, in seconds.
const DEFAULT_TIMEOUT: i64 = 15;

#[derive(Deserialize)]
pub(super) struct Timeout {
    timeout: i64,
}

/// `POST /sandboxes/{id}/timeout`.
pub(super) async fn set_timeout(
    Path(id): Path<String>,
    team: Team,
    Fields(body): Fields<Timeout>,
) -> Result<StatusCode, E2bError> {
    let sandbox = running(&team, &id)?;
    let seconds = timeout(body.timeout.max(0))?;
    sandbox.run_for(seconds, |_| {}).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Refresh {
    duration: Option<i64>,
}

/// `POST /sandboxes/{id}/refreshes`: never shortens the time.
pub(super) async fn refresh(
    Path(id): Path<String>,
    team: Team,
    Fields(body): Fields<Refresh>,
) -> Result<StatusCode, E2bError> {
    let sandbox = running(&team, &id)?;
    let seconds = timeout(
        body.duration
            .unwrap_or(DEFAULT_TIMEOUT)
            .max(DEFAULT_TIMEOUT),
    )?;
    keep_for(&sandbox, seconds).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct Pause {
    memory: Option<bool>,
}

/// `POST /sandboxes/{id}/pause`. A running turn ends before.
pub(super) async fn pause(
    Path(id): Path<String>,
    team: Team,
    Fields(body): Fields<Pause>,
) -> Result<StatusCode, E2bError> {
    let sandbox = team.sandbox(&id)?;
    if sandbox.state() == State::Paused {
        return Err(E2bError::new(
            StatusCode::CONFLICT,
            format!("Error pausing sandbox - sandbox '{id}' is already paused"),
        ));
    }
    if sandbox.record.is_debug {
        return Err(E2bError::bad_request(
            "the sandbox of debug mode cannot be paused",
        ));
    }
    let keeps = body.memory.unwrap_or(true);
    // New requests are refused from now on.
    sandbox
        .change(move |settings, record| {
            settings.expires_ms = None;
            record.end_ms = now_ms();
            record.keeps_memory = Some(keeps);
        })
        .await?;
    sandbox.handle.pause().await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resume {
    timeout: Option<i64>,
    auto_pause: Option<bool>,
    memory: Option<bool>,
}

/// `POST /sandboxes/{id}/resume`, the predecessor of connect.
pub(super) async fn resume(
    Path(id): Path<String>,
    team: Team,
    Fields(body): Fields<Resume>,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    let sandbox = team.sandbox(&id)?;
    if sandbox.state() == State::Running {
        return Err(E2bError::new(
            StatusCode::CONFLICT,
            format!("Sandbox {id} is already running"),
        ));
    }
    let seconds = timeout(body.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    if let Some(auto_pause) = body.auto_pause {
        sandbox
            .change(move |_, record| record.auto_pause = auto_pause)
            .await?;
    }
    sandbox.resume(seconds, body.memory.unwrap_or(true)).await?;
    Ok((StatusCode::CREATED, Json(answer(&sandbox))))
}

/// `POST /sandboxes/{id}/connect`.
pub(super) async fn connect_v1(
    path: Path<String>,
    team: Team,
    Fields(body): Fields<Timeout>,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    connect(path, team, body.timeout, None).await
}

#[derive(Deserialize)]
pub(super) struct Connect {
    timeout: Option<i64>,
    memory: Option<bool>,
}

/// `POST /v2/sandboxes/{id}/connect`.
pub(super) async fn connect_v2(
    path: Path<String>,
    team: Team,
    Fields(body): Fields<Connect>,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    connect(path, team, body.timeout.unwrap_or(300), body.memory).await
}

/// Resumes a paused sandbox; of a running one, extends the time.
async fn connect(
    Path(id): Path<String>,
    team: Team,
    seconds: i64,
    memory: Option<bool>,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    let sandbox = team.sandbox(&id)?;
    let seconds = timeout(seconds)?;
    let status = match sandbox.state() {
        State::Running => {
            keep_for(&sandbox, seconds).await?;
            StatusCode::OK
        }
        State::Paused => {
            sandbox.resume(seconds, memory.unwrap_or(true)).await?;
            StatusCode::CREATED
        }
        State::Ended => return Err(E2bError::no_sandbox(&id)),
    };
    Ok((status, Json(answer(&sandbox))))
}

/// `DELETE /sandboxes/{id}`. A running turn is stopped.
pub(super) async fn kill(
    Path(id): Path<String>,
    Extension(state): Extension<SharedState>,
    team: Team,
) -> Result<StatusCode, E2bError> {
    let sandbox = team.sandbox(&id)?;
    let status = sandbox.handle.status();
    if status.running || status.waiting > 0 {
        // The answer of a running execution is broken off, and not ended, if the sandbox is over.
        let end = |settings: &mut SessionSettings, _: &mut Record| {
            settings.expires_ms = Some(0);
            settings.on_expiry = OnExpiry::Remove;
        };
        sandbox.change(end).await?;
    }
    sandbox.handle.remove().await?;
    state.counts.forget(&sandbox.handle);
    Ok(StatusCode::NO_CONTENT)
}

/// Returns a sandbox that is not paused.
fn running(team: &Team, id: &str) -> Result<E2bSandbox, E2bError> {
    let sandbox = team.sandbox(id)?;
    match sandbox.state() {
        State::Running => Ok(sandbox),
        _ => Err(E2bError::no_sandbox(id)),
    }
}

/// Lets a running sandbox run for at least `seconds` from now.
async fn keep_for(sandbox: &E2bSandbox, seconds: u64) -> Result<(), E2bError> {
    let end = now_ms().saturating_add(seconds.saturating_mul(1000));
    let ends = sandbox.handle.settings().expires_ms;
    if ends.is_none_or(|at| at < end) {
        sandbox.run_for(seconds, |_| {}).await?;
    }
    Ok(())
}
