//! Templates: the server's own ones, which are all the same sandbox, and snapshots by name.

use axum::Json;
use axum::extract::Path;
use serde_json::{Value, json};

use super::body::Team;
use super::info::Size;
use super::snapshots;
use crate::app::ServerTenant;
use crate::e2b::error::E2bError;
use crate::e2b::record::{E2bSandbox, ENVD_VERSION};
use crate::e2b::timestamp;

/// The server's own templates: the defaults of the SDKs.
const BUILTIN: [&str; 3] = ["base", "code-interpreter-v1", "code-interpreter"];
/// Limit of a name or a tag, in characters.
const MAX_NAME: usize = 128;

/// What a sandbox starts from.
pub(super) enum Source {
    /// A fresh interpreter.
    Fresh,
    /// A snapshot.
    Snapshot(Box<E2bSandbox>),
}

/// A template as clients name it: `NAMESPACE/NAME:TAG`, with namespace and tag optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) name: String,
    pub(super) tag: String,
}

impl Reference {
    /// Parses a reference. The only namespace is the tenant's name.
    pub(super) fn parse(tenant: &ServerTenant, text: &str) -> Result<Self, E2bError> {
        Self::parse_in(tenant.sessions.name(), text)
    }

    fn parse_in(namespace: &str, text: &str) -> Result<Self, E2bError> {
        let (name, tag) = text.split_once(':').unwrap_or((text, "default"));
        let name = match name.split_once('/') {
            Some((space, name)) if space == namespace => name,
            Some((space, _)) => {
                return Err(E2bError::bad_request(format!(
                    "the namespace {:?} is not known, expected {namespace:?} or none",
                    space.chars().take(MAX_NAME).collect::<String>()
                )));
            }
            None => name,
        };
        let is_plain = |text: &str| {
            !text.is_empty()
                && text.len() <= MAX_NAME
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        if !is_plain(name) || !is_plain(tag) {
            return Err(E2bError::bad_request(format!(
                "Invalid template reference: expected NAME or NAME:TAG of letters, digits, '-', '_' and '.', each at \
                 most {MAX_NAME} characters"
            )));
        }
        Ok(Self {
            name: name.to_ascii_lowercase(),
            tag: tag.to_owned(),
        })
    }
}

/// Returns the name of one of the server's own templates.
pub(super) fn builtin(name: &str) -> Option<&'static str> {
    BUILTIN.into_iter().find(|known| *known == name)
}

/// Returns what a sandbox with this template starts from.
///
/// # Errors
///
/// Returns 404 if there is no such template: a sandbox without its packages and files would only look right.
pub(super) fn resolve(tenant: &ServerTenant, template: &str) -> Result<Source, E2bError> {
    let reference = Reference::parse(tenant, template)?;
    if builtin(&reference.name).is_some() {
        return Ok(Source::Fresh);
    }
    match snapshots::find(tenant, &reference) {
        Some(found) => Ok(Source::Snapshot(Box::new(found))),
        None => Err(unknown(&reference)),
    }
}

fn unknown(reference: &Reference) -> E2bError {
    E2bError::not_found(format!(
        "template '{}' not found. This server has {}, and the snapshots of its sandboxes: set up a sandbox, and \
         create_snapshot(name=\"{}\") makes it a template",
        reference.name,
        BUILTIN.join(", "),
        reference.name
    ))
}

/// `GET /templates`.
pub(super) async fn list(Team(tenant): Team) -> Json<Value> {
    let own = BUILTIN.iter().map(|name| describe(&tenant, name, None));
    let snapshots = snapshots::all(&tenant).map(|snapshot| {
        let name = snapshot
            .record
            .snapshot
            .as_ref()
            .and_then(|name| name.alias.clone());
        let name = name.unwrap_or_else(|| snapshot.handle.id().to_owned());
        describe(&tenant, &name, Some(&snapshot))
    });
    Json(own.chain(snapshots).collect())
}

/// `GET /templates/defaults`.
pub(super) async fn defaults(Team(tenant): Team) -> Json<Value> {
    Json(
        BUILTIN
            .iter()
            .map(|name| describe(&tenant, name, None))
            .collect(),
    )
}

/// `GET /templates/aliases/{alias}`.
pub(super) async fn alias(Path(alias): Path<String>, team: Team) -> Result<Json<Value>, E2bError> {
    let reference = Reference::parse(&team.0, &alias)?;
    let is_own = builtin(&reference.name).is_some();
    let id = match resolve(&team.0, &alias)? {
        Source::Fresh => reference.name,
        Source::Snapshot(found) => found.handle.id().to_owned(),
    };
    Ok(Json(json!({"templateID": id, "public": is_own})))
}

/// `GET /templates/{id}`.
pub(super) async fn detail(Path(id): Path<String>, team: Team) -> Result<Json<Value>, E2bError> {
    let reference = Reference::parse(&team.0, &id)?;
    let mut described = match resolve(&team.0, &id)? {
        Source::Fresh => describe(&team.0, &reference.name, None),
        Source::Snapshot(found) => describe(&team.0, &reference.name, Some(&found)),
    };
    described["builds"] = json!([]);
    Ok(Json(described))
}

fn describe(tenant: &ServerTenant, name: &str, snapshot: Option<&E2bSandbox>) -> Value {
    let size = Size::of(tenant);
    let made = timestamp::format(snapshot.map_or(0, |found| found.record.started_ms));
    let id = snapshot.map_or(name, |found| found.handle.id());
    json!({
        "templateID": id,
        "buildID": id,
        "cpuCount": size.cpus,
        "memoryMB": size.memory_mb,
        "diskSizeMB": size.disk_mb,
        "public": snapshot.is_none(),
        "isDefault": snapshot.is_none(),
        "aliases": [name],
        "names": [name],
        "createdAt": made,
        "updatedAt": made,
        "createdBy": null,
        "lastSpawnedAt": null,
        "spawnCount": 0,
        "buildCount": 1,
        "envdVersion": ENVD_VERSION,
        "buildStatus": "ready",
    })
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn references_have_a_name_and_a_tag() {
        let parse = |text| Reference::parse_in("team", text).map(|r| (r.name, r.tag));
        let pair = |name: &str, tag: &str| Ok((name.to_owned(), tag.to_owned()));
        assert_eq!(parse("base"), pair("base", "default"));
        assert_eq!(parse("team/My-Snap:v2"), pair("my-snap", "v2"));
        for text in [
            "", ":", "a:", "other/a", "a/b/c", "../x", "a b", "a:b:c", "é",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"a".repeat(129)).is_err());
    }
}
