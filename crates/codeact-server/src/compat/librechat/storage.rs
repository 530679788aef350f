//! Storage sessions: the files that a client has uploaded or that its code has made.
//!
//! Security boundary: names of files are untrusted. They are relative paths without `..`, below the home folder.

use std::collections::BTreeMap;
use std::time::Duration;

use codeact_sessions::manager::{SessionHandle, SessionSettings};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::error::LibreChatError;
use crate::app::ServerTenant;
use crate::compat::temporary::millis_after;

/// Key in the metadata of sessions.
const KEY: &str = "librechat";
/// Home folder of the guest, which is also `/mnt/data`.
const HOME: &str = "/home/user";
/// Time after which stored files are removed.
pub(super) const STORAGE_TIME: Duration = Duration::from_secs(24 * 3600);
/// Limit of the files of one storage session.
pub(super) const MAX_FILES: usize = 1000;
/// Limit of a file's name, in bytes.
const MAX_NAME_BYTES: usize = 256;
/// Limit of the folders in a name.
const MAX_DEPTH: usize = 10;

/// Metadata of a storage session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Storage {
    /// The files by their identifier.
    pub(super) files: BTreeMap<String, StoredFile>,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct StoredFile {
    /// Path in the home folder.
    pub(super) name: String,
    /// Media type, as the client stated it.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// True if the code's changes of it are not returned.
    #[serde(default)]
    pub(super) read_only: bool,
}

impl StoredFile {
    /// Returns the path in the guest.
    pub(super) fn path(&self) -> String {
        format!("{HOME}/{}", self.name)
    }
}

/// Returns the settings of a new storage session.
pub(super) fn settings() -> SessionSettings {
    let mut settings = SessionSettings::default();
    settings.metadata = metadata(&Storage::default());
    settings.expires_ms = Some(millis_after(STORAGE_TIME));
    settings
}

fn metadata(storage: &Storage) -> Map<String, serde_json::Value> {
    let value = serde_json::to_value(storage).unwrap_or_default();
    Map::from_iter([(KEY.to_owned(), value)])
}

/// Returns the metadata of a session; `None` if it stores no files of this API.
pub(super) fn of(settings: &SessionSettings) -> Option<Storage> {
    Storage::deserialize(settings.metadata.get(KEY)?).ok()
}

/// Returns the storage session `id` of a tenant.
pub(super) fn find(
    tenant: &ServerTenant,
    id: &str,
) -> Result<(SessionHandle, Storage), LibreChatError> {
    let missing = || LibreChatError::missing("Session not found");
    let handle = tenant.sessions.get(id).map_err(|_| missing())?;
    let storage = of(&handle.settings()).ok_or_else(missing)?;
    Ok((handle, storage))
}

/// Adds files to the metadata of a storage session, which lives from now on for [`STORAGE_TIME`].
pub(super) async fn add(
    handle: &SessionHandle,
    files: Vec<(String, StoredFile)>,
) -> Result<(), LibreChatError> {
    let update = move |settings: &mut SessionSettings| {
        let mut storage = of(settings).unwrap_or_default();
        for (id, file) in files {
            // A file of the same name has been replaced.
            storage.files.retain(|_, other| other.name != file.name);
            storage.files.insert(id, file);
        }
        while storage.files.len() > MAX_FILES {
            storage.files.pop_first();
        }
        settings.metadata.extend(metadata(&storage));
        settings.expires_ms = Some(millis_after(STORAGE_TIME));
    };
    Ok(handle.update(update).await?)
}

/// Removes a file from the metadata of a storage session.
pub(super) async fn forget(handle: &SessionHandle, id: String) -> Result<(), LibreChatError> {
    let update = move |settings: &mut SessionSettings| {
        let mut storage = of(settings).unwrap_or_default();
        storage.files.remove(&id);
        settings.metadata.extend(metadata(&storage));
    };
    Ok(handle.update(update).await?)
}

/// Returns true if `name` is a relative path of few plain names.
pub(super) fn is_valid_name(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let is_plain = |part: &&str| !["", ".", ".."].contains(part);
    name.len() <= MAX_NAME_BYTES
        && !name.contains(['\0', '\\'])
        && parts.len() <= MAX_DEPTH
        && parts.iter().all(is_plain)
}

/// Returns the media type of a file by its extension.
pub(super) fn kind_of(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "txt" | "py" | "log" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" | "ipynb" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_invalid() {
        for name in ["a.csv", "a/b.csv", "…", "a b"] {
            assert!(is_valid_name(name), "{name}");
        }
        let (long, deep) = ("x".repeat(300), "a/".repeat(20) + "b");
        for name in [
            "", "/", "/a", "a/", "..", "../a", "a/../b", "./a", "a//b", "a\\b", "a\0", &long, &deep,
        ] {
            assert!(!is_valid_name(name), "{name}");
        }
    }
}
