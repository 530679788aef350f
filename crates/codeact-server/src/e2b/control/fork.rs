//! `POST /sandboxes/{id}/fork`: new sandboxes with the state of a running one.

use axum::Json;
use axum::extract::Path;
use axum::http::StatusCode;
use codeact_sessions::manager::{ManagerError, OnExpiry, SessionHandle};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Fields, Team, timeout};
use super::create::answer;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, Record, State};
use crate::e2b::timestamp::now_ms;

/// Limit of the sandboxes of one request.
const MAX_COUNT: u64 = 100;
/// Default time to live, in seconds.
const DEFAULT_TIMEOUT: i64 = 15;

#[derive(Deserialize)]
pub(super) struct Fork {
    timeout: Option<i64>,
    count: Option<u64>,
}

/// Answers with one result for each fork. All have the same state.
pub(super) async fn fork(
    Path(id): Path<String>,
    team: Team,
    Fields(body): Fields<Fork>,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    let timeout_s = timeout(body.timeout.unwrap_or(DEFAULT_TIMEOUT))?;
    let count = body.count.unwrap_or(1);
    if count == 0 {
        return Err(E2bError::bad_request("Count must be at least 1"));
    }
    if count > MAX_COUNT {
        return Err(E2bError::bad_request(format!(
            "Count cannot be greater than {MAX_COUNT}"
        )));
    }
    let sandbox = team.sandbox(&id)?;
    if sandbox.state() != State::Running {
        return Err(E2bError::new(
            StatusCode::CONFLICT,
            format!("Sandbox '{id}' is paused and cannot be forked; resume it first"),
        ));
    }
    let mut results = Vec::new();
    let mut first: Option<SessionHandle> = None;
    for _ in 0..count {
        // The first fork has not run yet, so forks of it have the state of the source at one moment.
        let source = first.as_ref().unwrap_or(&sandbox.handle);
        match fork_one(&sandbox, source, timeout_s).await {
            Ok(forked) => {
                first.get_or_insert(forked.handle.clone());
                results.push(json!({"sandbox": answer(&forked)}));
            }
            Err(error) if first.is_none() && error.status == StatusCode::NOT_FOUND => {
                return Err(error);
            }
            Err(error) => results.push(json!({"error": error.body()})),
        }
    }
    Ok((StatusCode::CREATED, Json(results.into())))
}

async fn fork_one(
    sandbox: &E2bSandbox,
    source: &SessionHandle,
    timeout_s: u64,
) -> Result<E2bSandbox, E2bError> {
    let now = now_ms();
    let record = Record {
        started_ms: now,
        end_ms: now.saturating_add(timeout_s.saturating_mul(1000)),
        timeout_s,
        is_debug: false,
        ..sandbox.record.clone()
    }
    .with_new_tokens()?;
    let metadata = record.clone().into_metadata()?;
    let handle = source.fork(None, None, Some(metadata)).await?;
    let (end, auto_pause) = (record.end_ms, record.auto_pause);
    let ends = handle.update(move |settings| {
        settings.expires_ms = Some(end);
        settings.on_expiry = match auto_pause {
            true => OnExpiry::Pause,
            false => OnExpiry::Remove,
        };
    });
    let ends: Result<(), ManagerError> = ends.await;
    if let Err(error) = ends {
        // A sandbox that does not end is worse than none.
        let _ = handle.remove().await;
        return Err(error.into());
    }
    Ok(E2bSandbox {
        tenant: sandbox.tenant.clone(),
        handle,
        record,
    })
}
