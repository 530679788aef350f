//! `POST /sandboxes`: making a sandbox, from a template or a snapshot.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Extension, Request};
use axum::http::StatusCode;
use codeact_sessions::manager::{OnExpiry, SessionHandle, SessionSettings};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Team, parse, read_body, timeout};
use super::{network, templates};
use crate::app::ServerTenant;
use crate::e2b::SharedState;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, ENVD_VERSION, Record};
use crate::e2b::timestamp::now_ms;

/// Limit of the pairs of metadata, and of variables.
const MAX_PAIRS: usize = 256;
/// Limit of the text of all pairs of metadata or variables, in bytes.
const MAX_PAIR_BYTES: usize = 256 << 10;
/// Default time to live of version 1 of the API, in seconds.
const DEFAULT_TIMEOUT_V1: i64 = 15;
/// Default time to live of version 2 of the API, in seconds.
const DEFAULT_TIMEOUT_V2: i64 = 300;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewSandbox {
    #[serde(rename = "templateID")]
    template: String,
    timeout: Option<i64>,
    #[serde(default)]
    auto_pause: bool,
    auto_pause_memory: Option<bool>,
    auto_resume: Option<AutoResume>,
    #[serde(rename = "allow_internet_access")]
    allow_internet: Option<bool>,
    network: Option<Value>,
    metadata: Option<BTreeMap<String, String>>,
    env_vars: Option<BTreeMap<String, String>>,
    mcp: Option<Value>,
    iam: Option<Value>,
    volume_mounts: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct AutoResume {
    enabled: bool,
}

/// Version 1.
pub(super) async fn create_v1(
    Extension(state): Extension<SharedState>,
    team: Team,
    request: Request,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    create(state, team, request, DEFAULT_TIMEOUT_V1).await
}

/// Version 2: other defaults.
pub(super) async fn create_v2(
    Extension(state): Extension<SharedState>,
    team: Team,
    request: Request,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    create(state, team, request, DEFAULT_TIMEOUT_V2).await
}

async fn create(
    state: SharedState,
    Team(tenant): Team,
    request: Request,
    default_timeout: i64,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    let headers = request.headers().clone();
    let body = read_body(request).await?;
    let make = async {
        let sandbox = make(&tenant, parse(&body)?, default_timeout).await?;
        state.counts.start(&sandbox.handle);
        Ok(answer(&sandbox))
    };
    let answer = state
        .idempotency
        .run(tenant.sessions.name(), &headers, &body, make)
        .await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn make(
    tenant: &ServerTenant,
    new: NewSandbox,
    default_timeout: i64,
) -> Result<E2bSandbox, E2bError> {
    let timeout_s = timeout(new.timeout.unwrap_or(default_timeout))?;
    refuse_missing_parts(&new)?;
    let drops_memory = new.auto_pause_memory == Some(false);
    let auto_resume = new
        .auto_resume
        .as_ref()
        .is_some_and(|config| config.enabled);
    if drops_memory && !new.auto_pause {
        return Err(E2bError::bad_request(
            "autoPauseMemory=false only applies when autoPause is true.",
        ));
    }
    if drops_memory && auto_resume {
        return Err(E2bError::bad_request(
            "autoPauseMemory=false (filesystem-only auto-pause) cannot be combined with autoResume: a filesystem-only \
             snapshot cannot be auto-resumed by traffic and must be resumed explicitly.",
        ));
    }
    let metadata = pairs("metadata", new.metadata)?;
    let env: Vec<_> = pairs("envVars", new.env_vars)?.into_iter().collect();
    if let Some((name, _)) = env.iter().find(|(name, value)| !is_variable(name, value)) {
        return Err(E2bError::bad_request(format!(
            "{name:?} is not a valid environment variable: expected a name without = and NUL, and a value without NUL"
        )));
    }
    let hosts = network::hosts(new.allow_internet, new.network.as_ref())?;
    let now = now_ms();
    let record = Record {
        template: new.template,
        metadata,
        started_ms: now,
        end_ms: now.saturating_add(timeout_s.saturating_mul(1000)),
        timeout_s,
        auto_pause: new.auto_pause,
        auto_resume,
        auto_pause_drops_memory: drops_memory,
        allow_internet: new.allow_internet,
        network: new.network,
        ..Record::default()
    }
    .with_new_tokens()?;
    let handle = match templates::resolve(tenant, &record.template)? {
        templates::Source::Fresh => fresh(tenant, record.clone(), env, hosts).await?,
        templates::Source::Snapshot(snapshot) => {
            from_snapshot(&snapshot, record.clone(), env, hosts).await?
        }
    };
    Ok(E2bSandbox {
        tenant: tenant.clone(),
        handle,
        record,
    })
}

/// Refuses a request that needs a part of E2B which this server does not have.
fn refuse_missing_parts(new: &NewSandbox) -> Result<(), E2bError> {
    let missing = if new.mcp.as_ref().is_some_and(|mcp| !mcp.is_null()) {
        "the MCP gateway: MCP servers are configured by the operator of this server"
    } else if new.iam.as_ref().is_some_and(|iam| !iam.is_null()) {
        "workload identity tokens (iam)"
    } else if new
        .volume_mounts
        .as_ref()
        .is_some_and(|mounts| !mounts.is_empty())
    {
        "volumes: the operator of this server can mount folders of the host"
    } else {
        return Ok(());
    };
    Err(E2bError::bad_request(format!(
        "this server does not have {missing}"
    )))
}

async fn fresh(
    tenant: &ServerTenant,
    record: Record,
    env: Vec<(String, String)>,
    hosts: Option<Vec<String>>,
) -> Result<SessionHandle, E2bError> {
    let mut settings = SessionSettings::default();
    settings.env = env;
    settings.hosts = hosts;
    settings.expires_ms = Some(record.end_ms);
    settings.on_expiry = on_expiry(&record);
    settings.metadata = record.into_metadata()?;
    Ok(tenant.sessions.create(None, settings).await?)
}

async fn from_snapshot(
    snapshot: &E2bSandbox,
    record: Record,
    env: Vec<(String, String)>,
    hosts: Option<Vec<String>>,
) -> Result<SessionHandle, E2bError> {
    let starts_fresh = snapshot.starts_fresh();
    let (end_ms, then) = (record.end_ms, on_expiry(&record));
    let metadata = record.into_metadata()?;
    let handle = snapshot.handle.fork(None, None, Some(metadata)).await?;
    let narrow = move |settings: &mut SessionSettings| {
        settings.expires_ms = Some(end_ms);
        settings.on_expiry = then;
        settings.hosts = hosts;
        settings
            .env
            .retain(|(name, _)| !env.iter().any(|(other, _)| other == name));
        settings.env.extend(env);
    };
    let ready = async {
        handle.update(narrow).await?;
        match starts_fresh {
            true => handle.restart().await,
            false => Ok(()),
        }
    };
    if let Err(error) = ready.await {
        // Nobody knows of it yet. If this fails too, it ends with its time.
        let _ = handle.remove().await;
        return Err(error.into());
    }
    Ok(handle)
}

fn on_expiry(record: &Record) -> OnExpiry {
    match record.auto_pause {
        true => OnExpiry::Pause,
        false => OnExpiry::Remove,
    }
}

fn pairs(
    name: &str,
    pairs: Option<BTreeMap<String, String>>,
) -> Result<BTreeMap<String, String>, E2bError> {
    let pairs = pairs.unwrap_or_default();
    let bytes: usize = pairs
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    if pairs.len() > MAX_PAIRS || bytes > MAX_PAIR_BYTES {
        return Err(E2bError::bad_request(format!(
            "{name} has {} entries with {bytes} bytes, expected at most {MAX_PAIRS} entries with {MAX_PAIR_BYTES} bytes",
            pairs.len()
        )));
    }
    Ok(pairs)
}

/// Returns true if an environment can have this variable.
pub(crate) fn is_variable(name: &str, value: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')
}

/// Returns the answer that describes how to reach a sandbox.
pub(super) fn answer(sandbox: &E2bSandbox) -> Value {
    json!({
        "templateID": sandbox.record.template,
        "sandboxID": sandbox.handle.id(),
        "clientID": "codeact",
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": sandbox.record.access_token,
        "trafficAccessToken": sandbox.record.traffic_token,
        "domain": null,
    })
}
