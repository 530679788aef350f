//! `GET /files`: the bytes of a file.
//!
//! Security boundary: the request has a token of the sandbox, or the signature of this path.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use codeact::sandbox::{FileError, FileInfo, FileKind, GuestFile};
use codeact_sessions::manager::{ManagerError, SessionHandle};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{Semaphore, mpsc};

use crate::app::AppState;
use crate::e2b::envd::paths::{absolute, check_user};
use crate::e2b::envd::state::SharedState;
use crate::e2b::error::E2bError;
use crate::e2b::route::sandbox_of_request;
use crate::e2b::signature::query_pairs;

/// Limit of the downloads that run at a time. Each has a thread while it runs.
const MAX_DOWNLOADS: usize = 64;
/// Size of a piece of a file, in bytes.
const PIECE: usize = 64 << 10;
/// Pieces that the client has not read yet. Then the download waits.
const BUFFERED: usize = 4;
/// Time that a client has to read a piece.
const SLOW: Duration = Duration::from_secs(30);

/// Transfers that run.
pub(super) struct Transfers {
    downloads: Arc<Semaphore>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self {
            downloads: Arc::new(Semaphore::new(MAX_DOWNLOADS)),
        }
    }
}

/// A request for files.
pub(super) struct FilesRequest {
    pub(super) handle: SessionHandle,
    /// The path in the URL, as the client wrote it.
    pub(super) path: Option<String>,
}

impl FilesRequest {
    /// Checks the token or signature, and the user.
    pub(super) async fn of(app: &AppState, parts: &Parts) -> Result<Self, E2bError> {
        let found = sandbox_of_request(app, parts).await?;
        let mut path = None;
        for (key, value) in query_pairs(parts.uri.query().unwrap_or_default()) {
            match key.as_str() {
                "path" => path = Some(value),
                "username" => {
                    let unknown = |message| E2bError::new(StatusCode::UNAUTHORIZED, message);
                    check_user(&value).map_err(unknown)?;
                }
                _ => {}
            }
        }
        Ok(Self {
            handle: found.sandbox.handle,
            path: path.filter(|path| !path.is_empty()),
        })
    }
}

/// Returns the error of a file as envd has it.
pub(super) fn file_error(error: ManagerError) -> E2bError {
    let message = error.to_string();
    match error {
        ManagerError::File(FileError::Exists(_)) => E2bError::bad_request(message),
        ManagerError::Missing { id } => E2bError::not_running(&id),
        error => error.into(),
    }
}

pub(super) async fn download(
    State(app): State<AppState>,
    Extension(state): Extension<SharedState>,
    parts: Parts,
) -> Result<Response, E2bError> {
    let request = FilesRequest::of(&app, &parts).await?;
    let path = absolute(request.path.as_deref().unwrap_or_default());
    let permit = state
        .transfers
        .downloads
        .clone()
        .try_acquire_owned()
        .map_err(|_| {
            E2bError::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many downloads run at a time; try again later",
            )
        })?;
    let read = request.handle.read(move |session| {
        let file = session.read_file(&path)?;
        Ok((file, session.file_info(&path)?))
    });
    let (file, info) = read.await.map_err(file_error)?;
    let is_gzip = accepts_gzip(&parts.headers);
    let length = file.len();
    let (send, receive) = mpsc::channel(BUFFERED);
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let pieces = Pieces { send, runtime };
        if let Err(error) = copy(&file, pieces, is_gzip) {
            // The response is cut short, which the client sees by its length or by the missing end of the body.
            tracing::debug!(%error, "a download has ended early");
        }
        drop(permit);
    });
    let stream = futures_util::stream::unfold(receive, |mut receive| async move {
        let piece: io::Result<Bytes> = receive.recv().await?;
        Some((piece, receive))
    });
    let mut response = Body::from_stream(stream).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::CONTENT_DISPOSITION, disposition(&info));
    // A browser must not run what a sandbox has written.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    match is_gzip {
        true => headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        false => headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length)),
    };
    Ok(response)
}

fn disposition(info: &FileInfo) -> HeaderValue {
    debug_assert!(info.kind != FileKind::Dir);
    let name = info.name.chars();
    let name: String = name
        .map(|c| {
            if c.is_ascii_alphanumeric() || ".-_ ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .unwrap_or(HeaderValue::from_static("attachment"))
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok());
    // Compression costs time; clients that ask for nothing else want it.
    accepted.is_some_and(|value| value.trim().eq_ignore_ascii_case("gzip"))
}

/// Writes a file in pieces. Blocks.
fn copy(file: &GuestFile, pieces: Pieces, is_gzip: bool) -> io::Result<()> {
    let failed = pieces.send.clone();
    let runtime = pieces.runtime.clone();
    let mut buffered = io::BufWriter::with_capacity(PIECE, pieces);
    let copied = match is_gzip {
        true => {
            let mut encoder = GzEncoder::new(&mut buffered, Compression::fast());
            file.copy_to(&mut encoder)
                .and_then(|()| encoder.finish().map(drop))
        }
        false => file.copy_to(&mut buffered),
    };
    let copied = copied.and_then(|()| buffered.flush());
    if copied.is_err() {
        // Without it, the body would seem to be complete.
        let end = Err(io::Error::other("the download failed"));
        let _ = runtime.block_on(tokio::time::timeout(SLOW, failed.send(end)));
    }
    copied
}

/// Sends what is written to it.
struct Pieces {
    send: mpsc::Sender<io::Result<Bytes>>,
    runtime: tokio::runtime::Handle,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(PIECE)).unwrap_or(bytes);
        let sent = self.send.send(Ok(Bytes::copy_from_slice(piece)));
        match self.runtime.block_on(tokio::time::timeout(SLOW, sent)) {
            Ok(Ok(())) => Ok(piece.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
