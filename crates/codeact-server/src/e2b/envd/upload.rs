//! `POST /files`: files of a form, or the bytes of one file.
//!
//! Security boundary: the request has a token of the sandbox, or the signature of the path in its URL. Bodies are
//! limited, also after they are decompressed.

use std::io::Read;

use axum::Json;
use axum::body::Bytes;
use axum::extract::multipart::MultipartError;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use codeact::sandbox::{FileError, FileKind, Session};
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use crate::app::AppState;
use crate::e2b::envd::metadata::{self, FileMetadata};
use crate::e2b::envd::paths::absolute;
use crate::e2b::envd::transfer::{FilesRequest, file_error};
use crate::e2b::error::E2bError;

/// Limit of the files of one request.
const MAX_FILES: usize = 1_000;

type NewFile = (String, Bytes);

pub(super) async fn upload(
    State(app): State<AppState>,
    request: Request,
) -> Result<Json<Vec<Value>>, E2bError> {
    let (parts, body) = request.into_parts();
    let target = FilesRequest::of(&app, &parts).await?;
    let pairs = metadata::of_headers(&parts.headers).map_err(E2bError::bad_request)?;
    let headers = parts.headers.clone();
    let request = Request::from_parts(parts, body);
    let content = text(&headers, header::CONTENT_TYPE)
        .split(';')
        .next()
        .unwrap_or_default();
    let files = match content.trim().to_ascii_lowercase().as_str() {
        "multipart/form-data" => files_of_form(request, target.path.as_deref(), &app).await?,
        "application/octet-stream" => {
            let Some(path) = target.path.as_deref() else {
                return Err(E2bError::bad_request("the parameter path is required"));
            };
            let bytes = Bytes::from_request(request, &app).await.map_err(|error| {
                E2bError::new(
                    error.status(),
                    format!("cannot read the file: {}", error.body_text()),
                )
            })?;
            let limit = app.config.body;
            let bytes = decompressed(&headers, bytes, limit).await?;
            vec![(absolute(path), bytes)]
        }
        other => {
            let message = format!(
                "the content type is {other:?}; expected multipart/form-data or application/octet-stream"
            );
            return Err(E2bError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
    };
    let written = target
        .handle
        .change(move |session| Ok(write_all(session, &files)?))
        .await
        .map_err(file_error)?;
    let mut metadata = FileMetadata::of_session(&target.handle);
    metadata
        .set(&written, &pairs)
        .map_err(|message| E2bError::new(StatusCode::INSUFFICIENT_STORAGE, message))?;
    metadata.store(&target.handle).await?;
    let described = written.into_iter().map(|path| {
        let name = path.rsplit('/').next().unwrap_or_default();
        let mut described = json!({"name": name, "type": "file", "path": path});
        if !pairs.is_empty() {
            described["metadata"] = json!(pairs);
        }
        described
    });
    Ok(Json(described.collect()))
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> &str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Returns the files of a form: the fields `file`. If there is one and the URL has a path, it is that of the file;
/// otherwise the names of the files are their paths.
async fn files_of_form(
    request: Request,
    path: Option<&str>,
    app: &AppState,
) -> Result<Vec<NewFile>, E2bError> {
    let mut form = Multipart::from_request(request, app)
        .await
        .map_err(|error| E2bError::bad_request(error.body_text()))?;
    let mut files: Vec<NewFile> = Vec::new();
    while let Some(field) = form.next_field().await.map_err(form_error)? {
        if field.name() != Some("file") {
            continue;
        }
        if files.len() == MAX_FILES {
            let message = format!("the form has more than {MAX_FILES} files");
            return Err(E2bError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        let name = match (path, field.file_name()) {
            (Some(_), _) if !files.is_empty() => {
                return Err(E2bError::bad_request(
                    "the form has several files and the URL has a path; omit it, and give each file its path as name",
                ));
            }
            (Some(path), _) => path,
            (None, Some(name)) if !name.is_empty() => name,
            (None, _) => {
                return Err(E2bError::bad_request(
                    "a file of the form has no name, and the URL no path",
                ));
            }
        };
        let path = absolute(name);
        files.push((path, field.bytes().await.map_err(form_error)?));
    }
    match files.is_empty() {
        true => Err(E2bError::bad_request("the form has no field named file")),
        false => Ok(files),
    }
}

fn form_error(error: MultipartError) -> E2bError {
    E2bError::new(
        error.status(),
        format!("cannot read the form: {}", error.body_text()),
    )
}

/// Decompresses a body of gzip, up to `limit` bytes.
async fn decompressed(headers: &HeaderMap, bytes: Bytes, limit: usize) -> Result<Bytes, E2bError> {
    match text(headers, header::CONTENT_ENCODING) {
        "" | "identity" => return Ok(bytes),
        "gzip" => {}
        other => {
            let message = format!("the encoding {other:?} is not supported; expected gzip or none");
            return Err(E2bError::bad_request(message));
        }
    }
    let read = tokio::task::spawn_blocking(move || {
        let mut plain = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        GzDecoder::new(&*bytes)
            .take(most)
            .read_to_end(&mut plain)
            .map(|_| plain)
    });
    let plain = read
        .await
        .map_err(|error| E2bError::from(crate::error::ApiError::internal(error)))?
        .map_err(|error| E2bError::bad_request(format!("the body is not valid gzip: {error}")))?;
    match plain.len() > limit {
        false => Ok(plain.into()),
        true => Err(E2bError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the file has more than {limit} bytes when it is decompressed"),
        )),
    }
}

/// Writes all files, or none. Returns their paths.
fn write_all(session: &mut Session, files: &[NewFile]) -> Result<Vec<String>, FileError> {
    let mut written: Vec<(String, Option<Vec<u8>>)> = Vec::new();
    for (path, bytes) in files {
        let before = match session.file_info(path) {
            Ok(info) if info.kind == FileKind::Dir => Err(FileError::IsDir(path.clone())),
            Ok(_) if files.len() > 1 => session.read_file(path).and_then(|file| {
                file.to_vec()
                    .map(Some)
                    .map_err(|error| FileError::Io(path.clone(), error))
            }),
            _ => Ok(None),
        };
        let wrote = before.and_then(|before| {
            session.write_file(path, bytes)?;
            Ok(before)
        });
        match wrote {
            Ok(before) => written.push((path.clone(), before)),
            Err(error) => {
                for (path, before) in written.into_iter().rev() {
                    // What was there before fits.
                    let _ = match before {
                        None => session.remove_path(&path),
                        Some(bytes) => session.write_file(&path, &bytes),
                    };
                }
                return Err(error);
            }
        }
    }
    let real = |(path, _): (String, _)| match session.file_info(&path) {
        Ok(info) if info.kind == FileKind::File => info.path,
        _ => path,
    };
    Ok(written.into_iter().map(real).collect())
}
