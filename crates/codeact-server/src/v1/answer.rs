//! The response to a request that runs code: the execution, files and pictures.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codeact::sandbox::{Execution, GuestFile};
use codeact::wire::{ExecutionJson, ReturnedFileJson, ServerExecutionJson};
use serde_json::Value;

use super::globs::{Patterns, TooMuchWork};
use super::pictures::Pictures;
use crate::error::ApiError;

/// Limit of the files in one response.
const MAX_FILES: usize = 1000;
/// Limit of their content, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// How an execution becomes a response.
pub(super) struct Answer {
    /// Session in which the code has run.
    pub(super) session: Option<String>,
    pub(super) patterns: Patterns,
    /// Where pictures go, if the client wants links to them.
    pub(super) pictures: Option<Pictures>,
}

impl Answer {
    /// Returns the response as JSON, on a thread that may block. `kind` is the field `type` of a stream's last event.
    pub(super) async fn json(
        self,
        execution: Execution,
        kind: Option<&'static str>,
    ) -> Result<Bytes, ApiError> {
        if self.patterns.is_empty() && self.pictures.is_none() {
            return self.encode(&execution, kind);
        }
        tokio::task::spawn_blocking(move || self.encode(&execution, kind))
            .await
            .map_err(ApiError::internal)?
    }

    fn encode(self, execution: &Execution, kind: Option<&'static str>) -> Result<Bytes, ApiError> {
        let mut response = ServerExecutionJson::new(ExecutionJson::from(execution));
        response.kind = kind.map(str::to_owned);
        response.session = self.session;
        if !self.patterns.is_empty() {
            let (files, left_out) = returned(&execution.files, &self.patterns)?;
            response.files = Some(files);
            response.files_left_out = left_out;
        }
        let bytes = match self.pictures {
            None => serde_json::to_vec(&response),
            Some(pictures) => serde_json::to_value(&response).and_then(|mut value| {
                link(&mut value, execution, &pictures);
                serde_json::to_vec(&value)
            }),
        };
        Ok(Bytes::from(bytes.map_err(ApiError::internal)?))
    }
}

/// Returns the files that match `patterns`, and the number of those that are left out because of their
/// size, or because comparing them takes too long.
pub(super) fn returned(
    files: &[GuestFile],
    patterns: &Patterns,
) -> Result<(Vec<ReturnedFileJson>, u64), ApiError> {
    let (mut returned, mut left_out, mut bytes, mut work) = (Vec::new(), 0, 0, 0);
    for (i, file) in files.iter().enumerate() {
        match patterns.matches(&file.path, &mut work) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(TooMuchWork) => {
                left_out += (files.len() - i) as u64;
                break;
            }
        }
        if returned.len() == MAX_FILES || file.len() > MAX_FILE_BYTES - bytes {
            left_out += 1;
            continue;
        }
        let content = file.to_vec().map_err(ApiError::internal)?;
        bytes += content.len() as u64;
        returned.push(ReturnedFileJson::new(file.path.clone(), content));
    }
    Ok((returned, left_out))
}

/// Replaces the content of pictures by links.
fn link(response: &mut Value, execution: &Execution, pictures: &Pictures) {
    let displays = response.get_mut("displays").and_then(Value::as_array_mut);
    for (json, display) in displays.into_iter().flatten().zip(&execution.displays) {
        if !display.is_picture() {
            continue;
        }
        let bytes = Bytes::from(display.bytes.clone());
        let size = bytes.len();
        if let (Some(json), Some(url)) = (json.as_object_mut(), pictures.add(&display.mime, bytes))
        {
            json.shift_remove("base64");
            json.insert("url".into(), url.into());
            json.insert("bytes".into(), size.into());
        }
    }
    let bundles = response.get_mut("bundles").and_then(Value::as_array_mut);
    for json in bundles.into_iter().flatten() {
        link_bundle(json, pictures);
    }
}

/// Moves the pictures of a bundle from `data` to `links`.
fn link_bundle(bundle: &mut Value, pictures: &Pictures) {
    let Some(data) = bundle.get_mut("data").and_then(Value::as_object_mut) else {
        return;
    };
    let mut links = serde_json::Map::new();
    data.retain(|mime, content| {
        let Some(text) = content.as_str().filter(|_| mime.starts_with("image/")) else {
            return true;
        };
        let bytes = match mime.as_str() {
            "image/svg+xml" => text.as_bytes().to_vec(),
            // Python's encoder breaks lines.
            _ => match STANDARD.decode(text.replace('\n', "")) {
                Ok(bytes) => bytes,
                Err(_) => return true,
            },
        };
        match pictures.add(mime, Bytes::from(bytes)) {
            Some(url) => {
                links.insert(mime.clone(), url.into());
                false
            }
            None => true,
        }
    });
    if let (false, Some(bundle)) = (links.is_empty(), bundle.as_object_mut()) {
        bundle.insert("links".into(), links.into());
    }
}
