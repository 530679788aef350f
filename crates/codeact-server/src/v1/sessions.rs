//! Sessions: made, listed, described, changed and removed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use codeact::sandbox::Session;
use codeact::wire::{LimitsJson, SessionJson, SessionStatusJson};
use codeact_sessions::manager::{SessionHandle, SessionSettings};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::json_body::{JsonBody, invalid};
use super::plan::write;
use super::requests::{Env, Files, Hosts, LimitsRequest, Packages, SandboxRequest, env, files};
use super::url::{QueryMap, UrlPath};
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::error::ApiError;

/// Limit of a session's metadata, in bytes of JSON.
const MAX_METADATA_BYTES: usize = 16 << 10;
/// Maximum time to live, in seconds: 10 years.
const MAX_TTL_S: u64 = 10 * 365 * 86_400;
/// Name of the client's metadata in that of the session manager, which other protocols share.
pub(super) const METADATA: &str = "v1";
/// Default and maximum number of sessions in a page.
const PAGE: (usize, usize) = (100, 1000);

/// Body of `POST /v1/sessions`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionRequest {
    #[serde(default)]
    id: Option<String>,
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
    ttl_s: Option<u64>,
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
    #[serde(default)]
    files: Files,
}

/// Body of `PATCH /v1/sessions/{id}`. Absent fields stay as they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionPatch {
    #[serde(default, deserialize_with = "present")]
    ttl_s: Option<Option<u64>>,
    #[serde(default)]
    env: Option<Env>,
    #[serde(default)]
    metadata: Option<Box<RawValue>>,
}

/// Reads a field whose `null` is a value.
fn present<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::<u64>::deserialize(from).map(Some)
}

/// A page of sessions.
#[derive(Debug, Serialize)]
pub(super) struct SessionPage {
    sessions: Vec<SessionJson>,
    /// Value of `after` for the next page; absent in the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// `POST /v1/sessions`
pub(super) async fn create(
    Caller(tenant): Caller,
    query: QueryMap,
    JsonBody(request): JsonBody<SessionRequest>,
) -> Result<Response, ApiError> {
    query.finish()?;
    let contents = files(request.files)?;
    let ttl = request.ttl_s.map(ttl).transpose()?;
    let metadata = request.metadata.map(|raw| metadata(&raw)).transpose()?;
    let sandbox = SandboxRequest {
        packages: request.packages,
        env: request.env,
        limits: request.limits,
        seed: request.seed,
        hosts: request.hosts,
    };
    let mut settings = sandbox.settings(&tenant)?;
    settings.expires_ms = ttl.map(expires_ms);
    set_metadata(&mut settings, metadata.unwrap_or_default());
    let session = tenant.sessions.create(request.id, settings).await?;
    if !contents.is_empty() {
        let write = move |session: &mut Session| Ok(write(session, &contents)?);
        if let Err(error) = session.change(write).await {
            // A session without its files is not what was asked for.
            let _ = session.remove().await;
            return Err(error.into());
        }
    }
    Ok(created(&tenant, &session))
}

/// Returns the response to a request that has made `session`.
pub(super) fn created(tenant: &ServerTenant, session: &SessionHandle) -> Response {
    let mut response = (StatusCode::CREATED, Json(describe(tenant, session))).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/sessions/{}", session.id())) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// `GET /v1/sessions`
pub(super) async fn list(
    Caller(tenant): Caller,
    mut query: QueryMap,
) -> Result<Json<SessionPage>, ApiError> {
    let limit = query.parse::<usize>("limit", "a number from 1 to 1000")?;
    let after = query.text("after");
    query.finish()?;
    let limit = limit.unwrap_or(PAGE.0);
    if limit == 0 || limit > PAGE.1 {
        return Err(ApiError::bad_request(format!(
            "the query parameter `limit` is {limit}; expected 1 to {}",
            PAGE.1
        )));
    }
    let after = after.map(|text| position(&text)).transpose()?;
    let mut sessions = tenant.sessions.list();
    if let Some(after) = &after {
        let is_before =
            |s: &SessionHandle| (s.settings().created_ms, s.id()) <= (after.0, &*after.1);
        let begin = sessions.partition_point(is_before);
        sessions.drain(..begin);
    }
    let has_more = sessions.len() > limit;
    sessions.truncate(limit);
    let next = (sessions.last())
        .filter(|_| has_more)
        .map(|last| format!("{}.{}", last.settings().created_ms, last.id()));
    let sessions = sessions.iter().map(|s| describe(&tenant, s)).collect();
    Ok(Json(SessionPage { sessions, next }))
}

/// Parses the position of a session in the list.
fn position(text: &str) -> Result<(u64, String), ApiError> {
    let parsed = text
        .split_once('.')
        .and_then(|(created, id)| Some((created.parse().ok()?, id.to_owned())));
    parsed.ok_or_else(|| {
        ApiError::bad_request(
            "the query parameter `after` is invalid; expected the field `next` of the page before",
        )
    })
}

/// `GET /v1/sessions/{id}`
pub(super) async fn show(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
) -> Result<Json<SessionJson>, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    Ok(Json(describe(&tenant, &session)))
}

/// `PATCH /v1/sessions/{id}`
pub(super) async fn change(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
    JsonBody(patch): JsonBody<SessionPatch>,
) -> Result<Json<SessionJson>, ApiError> {
    query.finish()?;
    let session = tenant.sessions.get(&id)?;
    let variables = patch.env.map(env).transpose()?;
    let metadata = patch.metadata.map(|raw| metadata(&raw)).transpose()?;
    let expires = match patch.ttl_s {
        None => None,
        Some(None) => Some(None),
        Some(Some(seconds)) => Some(Some(expires_ms(ttl(seconds)?))),
    };
    let update = move |settings: &mut SessionSettings| {
        if let Some(variables) = variables {
            settings.env = variables;
        }
        if let Some(metadata) = metadata {
            set_metadata(settings, metadata);
        }
        if let Some(expires) = expires {
            settings.expires_ms = expires;
        }
    };
    session.update(update).await?;
    Ok(Json(describe(&tenant, &session)))
}

/// `DELETE /v1/sessions/{id}`
pub(super) async fn remove(
    Caller(tenant): Caller,
    UrlPath(id): UrlPath<String>,
    query: QueryMap,
) -> Result<StatusCode, ApiError> {
    query.finish()?;
    tenant.sessions.get(&id)?.remove().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the description of `session`.
pub(super) fn describe(tenant: &ServerTenant, session: &SessionHandle) -> SessionJson {
    let status = session.status();
    let settings = &status.settings;
    let limits = (settings.limits.as_ref()).unwrap_or(&tenant.grants.config.limits);
    let metadata = settings.metadata.get(METADATA).and_then(Value::as_object);
    let mut json = SessionJson::new(status.id.clone(), LimitsJson::from(limits));
    json.status = match (status.running, status.live) {
        (true, _) => SessionStatusJson::Running,
        (false, true) => SessionStatusJson::Live,
        (false, false) => SessionStatusJson::Idle,
    };
    json.created_ms = settings.created_ms;
    json.expires_ms = settings.expires_ms;
    json.unused_ms = u64::try_from(status.unused.as_millis()).unwrap_or(u64::MAX);
    json.turn = status.turn;
    json.requests = status.waiting as u64;
    json.memory_bytes = status.memory;
    json.disk_bytes = status.disk;
    json.packages.clone_from(&settings.packages);
    json.env = settings.env.iter().cloned().collect();
    json.hosts.clone_from(&settings.hosts);
    json.seed = settings.seed;
    json.metadata = metadata.cloned().unwrap_or_default();
    json
}

/// Parses metadata of a client: a JSON object of bounded size.
pub(super) fn metadata(raw: &RawValue) -> Result<Map<String, Value>, ApiError> {
    let bytes = raw.get().len();
    if bytes > MAX_METADATA_BYTES {
        let why = format!("it has {bytes} bytes; expected at most {MAX_METADATA_BYTES}");
        return Err(invalid("metadata", why));
    }
    serde_json::from_str(raw.get()).map_err(|error| invalid("metadata", error))
}

/// Replaces the client's metadata of a session.
pub(super) fn set_metadata(settings: &mut SessionSettings, metadata: Map<String, Value>) {
    settings.metadata.insert(METADATA.into(), metadata.into());
}

/// Returns a valid time to live.
pub(super) fn ttl(seconds: u64) -> Result<Duration, ApiError> {
    match seconds {
        1..=MAX_TTL_S => Ok(Duration::from_secs(seconds)),
        _ => Err(invalid(
            "ttl_s",
            format!("it is {seconds}; expected 1 to {MAX_TTL_S}"),
        )),
    }
}

/// Returns the time at which a session with this time to live ends, in milliseconds since 1970.
pub(super) fn expires_ms(ttl: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let at = now.unwrap_or_default().saturating_add(ttl);
    u64::try_from(at.as_millis()).unwrap_or(u64::MAX)
}
