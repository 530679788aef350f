//! The service `filesystem.Filesystem`, without watchers.

use axum::Json;
use codeact::sandbox::{FileError, FileKind, Session};
use codeact_sessions::manager::ManagerError;
use serde::Deserialize;
use serde_json::json;

use crate::e2b::envd::connect::{CallResult, Message};
use crate::e2b::envd::entry::Entry;
use crate::e2b::envd::error::{Code, ConnectError};
use crate::e2b::envd::metadata::FileMetadata;
use crate::e2b::envd::paths::{User, absolute};
use crate::e2b::route::Sandboxed;

/// Limit of the entries of one listing.
const MAX_ENTRIES: usize = 20_000;

/// A request with a path.
#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
pub(super) struct PathRequest {
    path: String,
    depth: u32,
}

/// Request of `Move`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MoveRequest {
    source: String,
    destination: String,
}

pub(super) async fn stat(
    Sandboxed(handle): Sandboxed,
    _user: User,
    Message(request): Message<PathRequest>,
) -> CallResult {
    let path = absolute(&request.path);
    let entry = handle
        .read(move |session| Ok(entry_at(session, &path)?))
        .await?;
    let metadata = FileMetadata::of_session(&handle);
    Ok(Json(json!({"entry": entry.message(&metadata)})))
}

fn entry_at(session: &Session, path: &str) -> Result<Entry, FileError> {
    Ok(Entry::new(session, session.file_info(path)?))
}

pub(super) async fn list_dir(
    Sandboxed(handle): Sandboxed,
    _user: User,
    Message(request): Message<PathRequest>,
) -> CallResult {
    let path = absolute(&request.path);
    let depth = request.depth.max(1);
    let listed = handle
        .read(move |session| Ok(list(session, &path, depth)?))
        .await?;
    let Some(entries) = listed else {
        return Err(ConnectError::new(
            Code::ResourceExhausted,
            format!("the folder has more than {MAX_ENTRIES} entries; list it with a smaller depth"),
        ));
    };
    let metadata = FileMetadata::of_session(&handle);
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| entry.message(&metadata))
        .collect();
    Ok(Json(json!({"entries": entries})))
}

/// Returns the entries down to `depth`, each folder before what is in it; `None` if there are too many.
fn list(session: &Session, path: &str, depth: u32) -> Result<Option<Vec<Entry>>, FileError> {
    let mut found = Vec::new();
    // The next one last.
    let mut pending: Vec<_> = session
        .list_dir(path)?
        .into_iter()
        .map(|info| (info, 1))
        .collect();
    pending.reverse();
    while let Some((info, level)) = pending.pop() {
        if found.len() + pending.len() >= MAX_ENTRIES {
            return Ok(None);
        }
        if info.kind == FileKind::Dir && level < depth {
            let below = session.list_dir(&info.path)?;
            pending.extend(below.into_iter().rev().map(|info| (info, level + 1)));
        }
        found.push(Entry::new(session, info));
    }
    Ok(Some(found))
}

pub(super) async fn make_dir(
    Sandboxed(handle): Sandboxed,
    _user: User,
    Message(request): Message<PathRequest>,
) -> CallResult {
    let path = absolute(&request.path);
    let made = handle
        .change(move |session| {
            match session.file_info(&path) {
                Ok(info) if info.kind == FileKind::File => {
                    return Err(FileError::NotDir(path).into());
                }
                _ => session.make_dir(&path)?,
            }
            Ok(entry_at(session, &path)?)
        })
        .await;
    let entry = made?;
    Ok(Json(
        json!({"entry": entry.message(&FileMetadata::default())}),
    ))
}

pub(super) async fn move_entry(
    Sandboxed(handle): Sandboxed,
    _user: User,
    Message(request): Message<MoveRequest>,
) -> CallResult {
    if request.source.is_empty() || request.destination.is_empty() {
        return Err(ConnectError::invalid("source and destination are required"));
    }
    let (from, to) = (absolute(&request.source), absolute(&request.destination));
    let moved = handle
        .change(move |session| {
            let old = session.file_info(&from)?.path;
            if let Some((parent, _)) = to.trim_end_matches('/').rsplit_once('/')
                && !parent.is_empty()
                && let Err(error) = session.make_dir(parent)
                && !matches!(error, FileError::Exists(_))
            {
                return Err(error.into());
            }
            session.rename_path(&from, &to)?;
            let new = session.file_info(&to)?;
            Ok((old, new.path.clone(), Entry::new(session, new)))
        })
        .await;
    let (old, new, entry) = moved?;
    let mut metadata = FileMetadata::of_session(&handle);
    metadata.rename(&old, Some(&new));
    let message = entry.message(&metadata);
    metadata.store(&handle).await?;
    Ok(Json(json!({"entry": message})))
}

/// Removes a file, or a folder with everything in it. As in envd, it is no error if there is none.
pub(super) async fn remove(
    Sandboxed(handle): Sandboxed,
    _user: User,
    Message(request): Message<PathRequest>,
) -> CallResult {
    if request.path.is_empty() {
        return Err(ConnectError::invalid("path is required"));
    }
    let path = absolute(&request.path);
    let removed = handle
        .change(move |session| {
            let info = session.file_info(&path)?;
            session.remove_path(&path)?;
            Ok(info.path)
        })
        .await;
    match removed {
        Ok(path) => {
            let mut metadata = FileMetadata::of_session(&handle);
            metadata.rename(&path, None);
            metadata.store(&handle).await?;
        }
        Err(ManagerError::File(FileError::NotFound(_))) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Json(json!({})))
}
