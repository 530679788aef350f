//! The client's metadata of files: pairs of names and values that it uploads with a file.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use codeact_sessions::manager::{ManagerError, SessionHandle};
use serde::{Deserialize, Serialize};

/// Key in the metadata of a session.
const KEY: &str = "envd_files";
/// Start of the headers that have metadata.
const PREFIX: &str = "x-metadata-";
/// Limit of the metadata of all files of a session, in bytes.
const MAX_BYTES: usize = 64 << 10;

type Pairs = BTreeMap<String, String>;

/// The metadata of the files of a session, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileMetadata(BTreeMap<String, Pairs>);

impl FileMetadata {
    /// Returns that of a session.
    pub(super) fn of_session(handle: &SessionHandle) -> Self {
        let settings = handle.settings();
        let stored = settings.metadata.get(KEY);
        stored
            .and_then(|value| Self::deserialize(value).ok())
            .unwrap_or_default()
    }

    /// Returns that of the file at `path`.
    pub(super) fn of(&self, path: &str) -> Option<&Pairs> {
        self.0.get(path)
    }

    /// Sets that of `paths`. Returns an error text if it is too large.
    pub(super) fn set(&mut self, paths: &[String], pairs: &Pairs) -> Result<(), String> {
        for path in paths {
            match pairs.is_empty() {
                true => self.0.remove(path),
                false => self.0.insert(path.clone(), pairs.clone()),
            };
        }
        let bytes = |(path, pairs): (&String, &Pairs)| {
            path.len()
                + pairs
                    .iter()
                    .map(|(key, value)| key.len() + value.len())
                    .sum::<usize>()
        };
        match self.0.iter().map(bytes).sum::<usize>() <= MAX_BYTES {
            true => Ok(()),
            false => Err(format!(
                "the metadata of the files of a sandbox can have {MAX_BYTES} bytes; upload fewer files with metadata"
            )),
        }
    }

    /// Moves that of `from`, and of what is below it, to `to`; `None`: removes it.
    pub(super) fn rename(&mut self, from: &str, to: Option<&str>) {
        let below = format!("{from}/");
        let is_moved = |path: &str| path == from || path.starts_with(&below);
        let (moved, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|(path, _): &(String, Pairs)| is_moved(path));
        self.0 = rest;
        if let Some(to) = to {
            let moved: BTreeMap<String, Pairs> = moved;
            self.0.extend(moved.into_iter().map(|(path, pairs)| {
                let rest = path.strip_prefix(from).unwrap_or_default();
                (format!("{to}{rest}"), pairs)
            }));
        }
    }

    /// Stores it with the session, if it has changed.
    pub(super) async fn store(self, handle: &SessionHandle) -> Result<(), ManagerError> {
        if self == Self::of_session(handle) {
            return Ok(());
        }
        let value =
            serde_json::to_value(self).map_err(|error| ManagerError::Setting(error.to_string()))?;
        handle
            .update(move |settings| {
                settings.metadata.insert(KEY.to_owned(), value);
            })
            .await
    }
}

/// Returns the metadata of an upload. The error is a text for the client.
pub(super) fn of_headers(headers: &HeaderMap) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for (name, value) in headers {
        let Some(key) = name.as_str().strip_prefix(PREFIX) else {
            continue;
        };
        match value.to_str() {
            Ok(text) if !key.is_empty() => pairs.insert(key.to_owned(), text.to_owned()),
            _ => {
                return Err(format!(
                    "the header {name} is not valid: expected printable ASCII"
                ));
            }
        };
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::FileMetadata;

    #[test]
    fn metadata_moves_with_its_file_and_is_bounded() {
        let pairs = BTreeMap::from([("author".to_owned(), "me".to_owned())]);
        let mut all = FileMetadata::default();
        all.set(&["/a/x".to_owned(), "/ab".to_owned()], &pairs)
            .unwrap();
        all.rename("/a", Some("/b"));
        assert_eq!(all.of("/b/x"), Some(&pairs));
        assert_eq!((all.of("/a/x"), all.of("/ab")), (None, Some(&pairs)));
        all.rename("/b", None);
        assert_eq!(all.of("/b/x"), None);
        let large = BTreeMap::from([("a".to_owned(), "x".repeat(70_000))]);
        assert!(all.set(&["/c".to_owned()], &large).is_err());
    }
}
