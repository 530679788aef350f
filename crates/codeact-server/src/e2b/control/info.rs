//! Descriptions of sandboxes: details, metrics and logs.

use axum::Json;
use axum::extract::{Path, RawQuery};
use codeact_sessions::manager::SessionHandle;
use serde_json::{Map, Value, json};

use super::body::Team;
use crate::app::ServerTenant;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, ENVD_VERSION, State};
use crate::e2b::signature::query_pairs;
use crate::e2b::timestamp::{self, now_ms};

/// Limit of the lines of a log.
const MAX_LINES: usize = 1000;

/// What a sandbox can use at most.
pub(super) struct Size {
    pub(super) cpus: u64,
    pub(super) memory_mb: u64,
    pub(super) disk_mb: u64,
}

impl Size {
    pub(super) fn of(tenant: &ServerTenant) -> Self {
        let limits = &tenant.grants.config.limits;
        Self {
            // The guest has one thread.
            cpus: 1,
            memory_mb: limits.memory >> 20,
            disk_mb: limits.file_bytes >> 20,
        }
    }
}

/// Returns a sandbox as an entry of a list.
pub(super) fn listed(sandbox: &E2bSandbox) -> Value {
    let size = Size::of(&sandbox.tenant);
    let state = match sandbox.state() {
        State::Running => "running",
        _ => "paused",
    };
    json!({
        "templateID": sandbox.record.template,
        "alias": sandbox.record.template,
        "sandboxID": sandbox.handle.id(),
        "clientID": "codeact",
        "startedAt": timestamp::format(sandbox.record.started_ms),
        "endAt": timestamp::format(sandbox.record.end_ms),
        "cpuCount": size.cpus,
        "memoryMB": size.memory_mb,
        "diskSizeMB": size.disk_mb,
        "state": state,
        "envdVersion": ENVD_VERSION,
        "metadata": sandbox.record.metadata,
    })
}

/// `GET /sandboxes/{id}`.
pub(super) async fn detail(Path(id): Path<String>, team: Team) -> Result<Json<Value>, E2bError> {
    let sandbox = team.sandbox(&id)?;
    let record = &sandbox.record;
    let mut detail = listed(&sandbox);
    detail["envdAccessToken"] = record.access_token.as_str().into();
    detail["allowInternetAccess"] = json!(record.allow_internet);
    detail["domain"] = Value::Null;
    detail["lifecycle"] = json!({
        "autoResume": record.auto_resume,
        "onTimeout": if record.auto_pause { "pause" } else { "kill" },
    });
    if let Some(network) = &record.network {
        detail["network"] = network.clone();
    }
    if sandbox.state() == State::Paused {
        let mode = if sandbox.starts_fresh() {
            "filesystem"
        } else {
            "full"
        };
        detail["pauseMode"] = mode.into();
    }
    Ok(Json(detail))
}

/// `GET /sandboxes/{id}/metrics`: one sample, of now. None while the sandbox is paused.
pub(super) async fn metrics(
    Path(id): Path<String>,
    team: Team,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, E2bError> {
    let sandbox = team.sandbox(&id)?;
    let now = now_ms() / 1000;
    let mut is_wanted = sandbox.state() == State::Running;
    for (key, value) in query_pairs(&query.unwrap_or_default()) {
        let time = value.parse::<u64>().unwrap_or(0);
        match key.as_str() {
            "start" => is_wanted &= time <= now,
            "end" => is_wanted &= time >= now,
            _ => {}
        }
    }
    let samples = is_wanted.then(|| sample(&sandbox));
    Ok(Json(samples.into_iter().collect()))
}

/// `GET /sandboxes/metrics?sandbox_ids=a,b`.
pub(super) async fn metrics_of_many(team: Team, RawQuery(query): RawQuery) -> Json<Value> {
    let mut found = Map::new();
    for (key, value) in query_pairs(&query.unwrap_or_default()) {
        if key != "sandbox_ids" {
            continue;
        }
        for id in value.split(',').take(100) {
            if let Ok(sandbox) = team.sandbox(id)
                && sandbox.state() == State::Running
            {
                found.insert(id.to_owned(), sample(&sandbox));
            }
        }
    }
    Json(json!({"sandboxes": found}))
}

fn sample(sandbox: &E2bSandbox) -> Value {
    let limits = &sandbox.tenant.grants.config.limits;
    let status = sandbox.handle.status();
    let now = now_ms();
    json!({
        "timestamp": timestamp::format(now),
        "timestampUnix": now / 1000,
        "cpuCount": Size::of(&sandbox.tenant).cpus,
        // A turn that runs uses the one thread of the guest, or waits for the host.
        "cpuUsedPct": if status.running { 100.0 } else { 0.0 },
        "memUsed": status.memory,
        "memTotal": limits.memory,
        "memCache": 0,
        "diskUsed": status.disk,
        "diskTotal": limits.file_bytes,
    })
}

/// `GET /sandboxes/{id}/logs`: a line for each turn.
pub(super) async fn logs(Path(id): Path<String>, team: Team) -> Result<Json<Value>, E2bError> {
    let entries = entries(&team.sandbox(&id)?.handle).await?;
    let lines: Vec<Value> = (entries.iter())
        .map(|entry| json!({"timestamp": entry["timestamp"], "line": entry["message"]}))
        .collect();
    Ok(Json(json!({"logs": lines, "logEntries": entries})))
}

/// `GET /v2/sandboxes/{id}/logs`.
pub(super) async fn logs_v2(Path(id): Path<String>, team: Team) -> Result<Json<Value>, E2bError> {
    let entries = entries(&team.sandbox(&id)?.handle).await?;
    Ok(Json(json!({"logs": entries})))
}

async fn entries(handle: &SessionHandle) -> Result<Vec<Value>, E2bError> {
    let last = handle.status().turn;
    let first = last.saturating_sub(MAX_LINES as u32) + 1;
    let turns = handle.turns_in(first..=u32::MAX, MAX_LINES).await?;
    let entry = |turn: &codeact_sessions::TurnRecord| {
        let what = if turn.code.is_empty() {
            "files changed"
        } else {
            "code"
        };
        let is_good = turn.status == codeact::sandbox::Status::Ok;
        json!({
            "timestamp": timestamp::format(turn.ended_ms),
            "message": format!("turn {}: {what}: {}, {} ms", turn.turn, turn.status, turn.wall_ms),
            "level": if is_good { "info" } else { "error" },
            "fields": {"logger": "codeact", "turn": turn.turn.to_string()},
        })
    };
    Ok(turns.iter().map(entry).collect())
}
