//! What can be done with a session apart from running code: interrupt, fork, undo, restart, pause; its turns and
//! variables.

use axum::Json;
use codeact::sandbox::{Cancel, Turn};
use codeact::wire::{SessionJson, TurnJson, VariableJson};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::json_body::{JsonBody, invalid};
use super::sessions::{METADATA, describe, metadata};
use super::url::{QueryMap, UrlPath};
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::turn_records::{TurnRecords, bytes_of};
use codeact_sessions::manager::SessionHandle;

/// Maximum number of forks in one request.
const MAX_FORKS: u32 = 100;
/// Default and maximum number of turns in a page.
const PAGE: (usize, usize) = (100, 1000);
/// Limit of the turns of a page after the first one, in bytes.
const MAX_PAGE_BYTES: usize = 8 << 20;

/// Body of an operation without parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Response of `POST /v1/sessions/{id}/interrupt`.
#[derive(Debug, Serialize)]
pub(super) struct Interrupted {
    /// True if a turn was running.
    interrupted: bool,
}

/// Body of `POST /v1/sessions/{id}/fork`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForkRequest {
    #[serde(default)]
    turn: Option<u32>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default = "one")]
    count: u32,
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
}

/// Body of `POST /v1/sessions/{id}/undo`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UndoRequest {
    #[serde(default = "one")]
    turns: u32,
}

fn one() -> u32 {
    1
}

/// Response of `POST /v1/sessions/{id}/fork`.
#[derive(Debug, Serialize)]
pub(super) struct Forks {
    sessions: Vec<SessionJson>,
}

/// Response of `POST /v1/sessions/{id}/undo`.
#[derive(Debug, Serialize)]
pub(super) struct Undone {
    /// Number of the last turn; 0 if there is none.
    turn: u32,
}

/// A page of turns.
#[derive(Debug, Serialize)]
pub(super) struct TurnPage {
    turns: Vec<TurnJson>,
    /// Value of `after` for the next page; absent in the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<u32>,
}

/// Response of `GET /v1/sessions/{id}/variables`.
#[derive(Debug, Serialize)]
pub(super) struct Variables {
    variables: Vec<VariableJson>,
}

/// `POST /v1/sessions/{id}/interrupt`
pub(super) async fn interrupt(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<Interrupted>, ApiError> {
    query.finish()?;
    let interrupted = tenant.sessions.get(&id)?.interrupt();
    Ok(Json(Interrupted { interrupted }))
}

/// `POST /v1/sessions/{id}/fork`. Either all forks are made or none is.
pub(super) async fn fork(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    JsonBody(request): JsonBody<ForkRequest>,
) -> Result<(axum::http::StatusCode, Json<Forks>), ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    let count = request.count;
    if count == 0 || count > MAX_FORKS {
        return Err(invalid(
            "count",
            format!("it is {count}; expected 1 to {MAX_FORKS}"),
        ));
    }
    if count > 1 && request.id.is_some() {
        return Err(invalid(
            "id",
            "several forks cannot have the same identifier; omit it",
        ));
    }
    let metadata = request.metadata.map(|raw| metadata(&raw)).transpose()?;
    check_sessions(&tenant, count)?;
    let mut forks = Vec::new();
    for _ in 0..count {
        // What other protocols store with the session, such as the access token of a sandbox, belongs to it alone.
        let metadata = match &metadata {
            Some(metadata) => Some(metadata.clone().into()),
            None => session.settings().metadata.get(METADATA).cloned(),
        };
        let metadata = metadata.map(|metadata| (METADATA.to_owned(), metadata));
        match session
            .fork(
                request.turn,
                request.id.clone(),
                Some(metadata.into_iter().collect()),
            )
            .await
        {
            Ok(fork) => forks.push(fork),
            Err(error) => {
                for fork in &forks {
                    // Best effort; the request fails with the first error.
                    let _ = SessionHandle::remove(fork).await;
                }
                return Err(error.into());
            }
        }
    }
    let sessions = forks.iter().map(|fork| describe(&tenant, fork)).collect();
    Ok((axum::http::StatusCode::CREATED, Json(Forks { sessions })))
}

/// Returns an error before anything is made if `more` sessions would exceed the quota.
fn check_sessions(tenant: &ServerTenant, more: u32) -> Result<(), ApiError> {
    let allowed = tenant.sessions.quota().sessions;
    let free = allowed.saturating_sub(tenant.sessions.usage().sessions);
    if free < more as usize {
        let message = format!(
            "{more} sessions were asked for, and the quota of sessions has room for {free} of {allowed}; remove some first"
        );
        let status = axum::http::StatusCode::TOO_MANY_REQUESTS;
        return Err(ApiError::new(status, "quota", message));
    }
    Ok(())
}

/// `POST /v1/sessions/{id}/undo`
pub(super) async fn undo(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    JsonBody(request): JsonBody<UndoRequest>,
) -> Result<Json<Undone>, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    if request.turns == 0 {
        return Err(invalid("turns", "it is 0; expected at least 1"));
    }
    let turn = session.undo(request.turns).await?;
    Ok(Json(Undone { turn }))
}

/// `POST /v1/sessions/{id}/restart`
pub(super) async fn restart(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<SessionJson>, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    session.restart().await?;
    Ok(Json(describe(&tenant, &session)))
}

/// `POST /v1/sessions/{id}/pause`
pub(super) async fn pause(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    JsonBody(Nothing {}): JsonBody<Nothing>,
) -> Result<Json<SessionJson>, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    session.pause().await?;
    Ok(Json(describe(&tenant, &session)))
}

/// `GET /v1/sessions/{id}/turns`
pub(super) async fn turns(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    mut query: QueryMap,
) -> Result<Json<TurnPage>, ApiError> {
    let limit = query.parse::<usize>("limit", "a number from 1 to 1000")?;
    let after = query.parse::<u32>("after", "the number of a turn")?;
    query.finish()?;
    let limit = limit.unwrap_or(PAGE.0);
    if limit == 0 || limit > PAGE.1 {
        return Err(ApiError::bad_request(format!(
            "the query parameter `limit` is {limit}; expected 1 to {}",
            PAGE.1
        )));
    }
    let session = tenant.sessions.get(&id)?;
    let mut records = TurnRecords::after(&session, after.unwrap_or(0));
    let (mut turns, mut bytes) = (Vec::<TurnJson>::new(), 0);
    let mut next = None;
    while let Some(record) = records.next().await? {
        let more = bytes_of(&record);
        // A page has at least one turn.
        if turns.len() == limit || (!turns.is_empty() && bytes + more > MAX_PAGE_BYTES) {
            next = turns.last().map(|last| last.turn);
            break;
        }
        bytes += more;
        turns.push(record.into());
    }
    Ok(Json(TurnPage { turns, next }))
}

/// `GET /v1/sessions/{id}/variables`
pub(super) async fn variables(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
) -> Result<Json<Variables>, ApiError> {
    query.finish()?;
    // Nothing runs in the session itself: an empty turn of a copy lists them.
    let session = tenant.sessions.get(&id)?;
    let turn = Turn::new("").variables(true);
    let variables = session.run_fork(turn, &Cancel::new()).await?.variables;
    let variables = variables.iter().map(VariableJson::from).collect();
    Ok(Json(Variables { variables }))
}
