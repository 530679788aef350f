//! Snapshots: copies of a sandbox at rest, from which new sandboxes are made. They serve as templates.

use axum::Json;
use axum::extract::{Path, RawQuery};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Fields, Team};
use super::list::{Page, page};
use super::templates::{Reference, builtin};
use crate::app::ServerTenant;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, Record, SnapshotName, State};
use crate::e2b::signature::query_pairs;
use crate::e2b::timestamp::now_ms;

#[derive(Deserialize)]
pub(super) struct NewSnapshot {
    name: Option<String>,
    memory: Option<bool>,
}

/// `POST /sandboxes/{id}/snapshots`. A snapshot of the same name and tag is replaced.
pub(super) async fn create(
    Path(id): Path<String>,
    team: Team,
    Fields(body): Fields<NewSnapshot>,
) -> Result<(StatusCode, Json<Value>), E2bError> {
    let sandbox = team.sandbox(&id)?;
    if sandbox.state() != State::Running {
        return Err(E2bError::no_sandbox(&id));
    }
    let tenant = &team.0;
    let name = match body.name.as_deref() {
        None => SnapshotName {
            alias: None,
            tag: "default".into(),
        },
        Some(name) => {
            let reference = Reference::parse(tenant, name)?;
            if builtin(&reference.name).is_some() {
                return Err(E2bError::bad_request(format!(
                    "{:?} is a template of this server; choose another name",
                    reference.name
                )));
            }
            SnapshotName {
                alias: Some(reference.name),
                tag: reference.tag,
            }
        }
    };
    let replaced = name
        .alias
        .as_ref()
        .and_then(|alias| named(tenant, alias, &name.tag));
    let now = now_ms();
    let record = Record {
        started_ms: now,
        end_ms: now,
        is_debug: false,
        keeps_memory: Some(body.memory.unwrap_or(true)),
        snapshot: Some(name),
        source: Some(id),
        ..sandbox.record.clone()
    }
    .with_new_tokens()?;
    let metadata = record.clone().into_metadata()?;
    let handle = sandbox.handle.fork(None, None, Some(metadata)).await?;
    if let Some(replaced) = replaced {
        replaced.handle.remove().await?;
    }
    let made = E2bSandbox {
        tenant: tenant.clone(),
        handle,
        record,
    };
    Ok((StatusCode::CREATED, Json(describe(&made))))
}

/// `GET /snapshots?sandboxID=&name=&limit=&nextToken=`.
pub(super) async fn list(
    team: Team,
    RawQuery(query): RawQuery,
) -> Result<impl IntoResponse, E2bError> {
    let mut wanted = Page::default();
    let (mut source, mut name) = (None, None);
    for (key, value) in query_pairs(&query.unwrap_or_default()) {
        match key.as_str() {
            "sandboxID" => source = Some(value),
            "name" => name = Some(Reference::parse(&team.0, &value)?.name),
            _ => wanted.read(&key, &value)?,
        }
    }
    let is_wanted = |snapshot: &E2bSandbox| {
        let alias = snapshot
            .record
            .snapshot
            .as_ref()
            .and_then(|name| name.alias.as_ref());
        (source.is_none() || source == snapshot.record.source)
            && (name.is_none() || name.as_ref() == alias)
    };
    let found: Vec<_> = all(&team.0).filter(is_wanted).collect();
    let (found, next) = page(found, &wanted);
    let list: Vec<Value> = found.iter().map(describe).collect();
    Ok((next, Json(list)))
}

/// `DELETE /templates/{id}`.
pub(super) async fn remove(Path(id): Path<String>, team: Team) -> Result<StatusCode, E2bError> {
    let reference = Reference::parse(&team.0, &id)?;
    if builtin(&reference.name).is_some() {
        return Err(E2bError::new(
            StatusCode::FORBIDDEN,
            format!(
                "{:?} is a template of this server and cannot be deleted",
                reference.name
            ),
        ));
    }
    let Some(found) = find(&team.0, &reference) else {
        return Err(E2bError::not_found(format!(
            "template {:?} not found",
            reference.name
        )));
    };
    found.handle.remove().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the snapshot that a reference names, by its name or identifier.
pub(super) fn find(tenant: &ServerTenant, reference: &Reference) -> Option<E2bSandbox> {
    let by_id = || {
        let handle = tenant.sessions.get(&reference.name).ok()?;
        let found = E2bSandbox::of(tenant, handle)?;
        found.record.snapshot.is_some().then_some(found)
    };
    named(tenant, &reference.name, &reference.tag).or_else(by_id)
}

/// Returns all snapshots of a tenant, the oldest first.
pub(super) fn all(tenant: &ServerTenant) -> impl Iterator<Item = E2bSandbox> {
    let sessions = tenant.sessions.list().into_iter();
    sessions
        .filter_map(|handle| E2bSandbox::of(tenant, handle))
        .filter(|found| found.record.snapshot.is_some())
}

fn named(tenant: &ServerTenant, alias: &str, tag: &str) -> Option<E2bSandbox> {
    all(tenant)
        .filter(|found| {
            let name = found.record.snapshot.as_ref();
            name.is_some_and(|name| name.alias.as_deref() == Some(alias) && name.tag == tag)
        })
        .last()
}

fn describe(snapshot: &E2bSandbox) -> Value {
    let tenant = snapshot.tenant.sessions.name();
    let empty = SnapshotName::default();
    let name = snapshot.record.snapshot.as_ref().unwrap_or(&empty);
    match &name.alias {
        Some(alias) => json!({
            "snapshotID": format!("{tenant}/{alias}:{}", name.tag),
            "names": [format!("{tenant}/{alias}:{}", name.tag)],
        }),
        None => json!({
            "snapshotID": format!("{}:{}", snapshot.handle.id(), name.tag),
            "names": [],
        }),
    }
}
