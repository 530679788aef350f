//! Large contents on their way to or from a client, in temporary files.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt;

use super::json_body::{next_part, too_large};
use super::outlet::outlet;
use crate::config::ServerConfig;
use crate::error::ApiError;

/// Size of the parts that are read from a file, in bytes.
const PART_BYTES: usize = 256 << 10;

/// The folder of the temporary files.
#[derive(Default)]
pub(super) struct Transfers(OnceLock<Option<PathBuf>>);

impl Transfers {
    /// Returns a new temporary file, which is removed when it is dropped. Blocks.
    pub(super) fn file(&self, config: &ServerConfig) -> io::Result<NamedTempFile> {
        let folder = self.0.get_or_init(|| {
            let folder = config.state.as_ref()?.join("transfers");
            // Files of a server that was killed.
            let _ = std::fs::remove_dir_all(&folder);
            codeact_base::private::create_dir(&folder).ok()?;
            Some(folder)
        });
        match folder {
            Some(folder) => NamedTempFile::new_in(folder),
            None => NamedTempFile::new(),
        }
    }
}

/// Writes a body of at most `max` bytes to `file`. Returns their number.
pub(super) async fn receive(body: Body, file: &File, max: u64) -> Result<u64, ApiError> {
    let declared = axum::body::HttpBody::size_hint(&body).lower();
    let limit = usize::try_from(max).unwrap_or(usize::MAX);
    if declared > max {
        return Err(too_large(limit));
    }
    let mut parts = body.into_data_stream();
    let mut written = 0;
    while let Some(part) = next_part(&mut parts).await? {
        written += part.len() as u64;
        if written > max {
            return Err(too_large(limit));
        }
        let mut file = file.try_clone().map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(move || file.write_all(&part))
            .await
            .map_err(ApiError::internal)?
            .map_err(ApiError::internal)?;
    }
    Ok(written)
}

/// Returns a body with the content of `file` from its present position. `keep` is dropped at its end.
pub(super) fn send(file: File, keep: impl Send + 'static) -> Body {
    let (outlet, body) = outlet();
    tokio::spawn(async move {
        let mut file = tokio::fs::File::from_std(file);
        loop {
            let mut part = vec![0; PART_BYTES];
            match file.read(&mut part).await {
                Ok(0) => {
                    let _ = outlet.finish().await;
                    break;
                }
                Ok(n) => part.truncate(n),
                Err(error) => {
                    tracing::error!(%error, "cannot read a temporary file");
                    break;
                }
            }
            if outlet.send(Bytes::from(part)).await.is_err() {
                break;
            }
        }
        drop(keep);
    });
    body
}
