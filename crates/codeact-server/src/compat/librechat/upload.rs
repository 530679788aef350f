//! `POST /upload` and `POST /upload/batch`.

use axum::Json;
use axum::extract::multipart::{Field, Multipart, MultipartRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use codeact_sessions::manager::ManagerError;
use serde_json::{Value, json};

use super::error::LibreChatError;
use super::storage::{self, StoredFile};
use crate::app::ServerTenant;
use crate::auth::Caller;
use crate::compat::temporary::Temporary;
use crate::error::ApiError;
use crate::jupyter::ids::uuid;

/// Limit of the files of one upload.
const MAX_FILES: usize = 200;
/// Limit of the fields of one upload.
const MAX_FIELDS: usize = MAX_FILES + 32;
/// Limit of a field that is not a file, in bytes.
const MAX_FIELD_BYTES: usize = 4096;

/// The files of an upload.
#[derive(Default)]
struct Upload {
    files: Vec<(String, String, Vec<u8>)>,
    read_only: bool,
    /// True if there were more files than can be uploaded.
    is_cut: bool,
}

async fn read(multipart: Result<Multipart, MultipartRejection>) -> Result<Upload, LibreChatError> {
    let mut multipart = multipart.map_err(|_| {
        LibreChatError::bad_request("Invalid content type. Must be multipart/form-data.")
    })?;
    let mut upload = Upload::default();
    let mut fields = 0;
    while let Some(field) = multipart.next_field().await.map_err(invalid)? {
        fields += 1;
        if fields > MAX_FIELDS {
            upload.is_cut = true;
            break;
        }
        match field.file_name().map(str::to_owned) {
            Some(_) if upload.files.len() >= MAX_FILES => upload.is_cut = true,
            Some(name) => {
                let kind = field.content_type().map(str::to_owned);
                let kind = kind.filter(|kind| kind.len() <= 255);
                let kind = kind.unwrap_or_else(|| storage::kind_of(&name).to_owned());
                let bytes = field.bytes().await.map_err(invalid)?;
                upload.files.push((name, kind, bytes.to_vec()));
            }
            // The kind, identifier and version of the owner do not narrow who can use the file: the tenant can.
            None if field.name() == Some("read_only") => {
                upload.read_only = text(field).await?.eq_ignore_ascii_case("true");
            }
            None => {
                text(field).await?;
            }
        }
    }
    match upload.files.is_empty() {
        true => Err(LibreChatError::bad_request("No files provided")),
        false => Ok(upload),
    }
}

async fn text(mut field: Field<'_>) -> Result<String, LibreChatError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(invalid)? {
        if bytes.len() + chunk.len() > MAX_FIELD_BYTES {
            return Err(LibreChatError::bad_request("a field is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| LibreChatError::bad_request("a field is not UTF-8"))
}

fn invalid(error: axum::extract::multipart::MultipartError) -> LibreChatError {
    let status = error.status();
    ApiError::new(status, "multipart", error.body_text()).into()
}

/// A file after its upload: its identifier, or why it was not stored.
type Stored = (String, Result<String, String>);

/// Stores the files in a new session. Files that cannot be stored are left out.
async fn store(
    tenant: &ServerTenant,
    upload: Upload,
) -> Result<(String, Vec<Stored>), LibreChatError> {
    let mut session = Temporary::create(&tenant.sessions, storage::settings()).await?;
    let handle = session.handle()?;
    let read_only = upload.read_only;
    let mut results: Vec<Stored> = Vec::new();
    let mut good = Vec::new();
    for (name, kind, bytes) in upload.files {
        match storage::is_valid_name(&name) {
            true => good.push((uuid()?, name, kind, bytes)),
            false => results.push((name, Err("Invalid file name".into()))),
        }
    }
    let written = handle
        .change(move |session| {
            let mut written = Vec::new();
            for (id, name, kind, bytes) in good {
                let file = StoredFile {
                    name,
                    kind,
                    read_only,
                };
                let error = session.write_file(&file.path(), &bytes).err();
                written.push((id, file, error.map(|error| error.to_string())));
            }
            Ok::<_, ManagerError>(written)
        })
        .await?;
    let mut stored = Vec::new();
    for (id, file, error) in written {
        let name = file.name.clone();
        match error {
            Some(why) => results.push((name, Err(why))),
            None => {
                results.push((name, Ok(id.clone())));
                stored.push((id, file));
            }
        }
    }
    if !stored.is_empty() {
        storage::add(&handle, stored).await?;
        session.keep();
    }
    Ok((handle.id().to_owned(), results))
}

/// Stores one or several files; all or none.
pub(super) async fn upload(
    Caller(tenant): Caller,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Json<Value>, LibreChatError> {
    let upload = read(multipart).await?;
    let too_many = upload
        .is_cut
        .then(|| format!("at most {MAX_FILES} files can be uploaded"));
    let invalid = (upload.files.iter()).find(|(name, ..)| !storage::is_valid_name(name));
    let invalid = invalid.map(|(name, ..)| format!("Invalid file name: {name:.100}"));
    if let Some(why) = too_many.or(invalid) {
        return Err(LibreChatError::bad_request(why));
    }
    let (id, results) = store(&tenant, upload).await?;
    let failed = results.iter().find_map(|(name, result)| {
        let why = result.as_ref().err()?;
        Some(format!("{name:.100}: {why}"))
    });
    if let Some(why) = failed {
        if let Ok((handle, _)) = storage::find(&tenant, &id) {
            handle.remove().await?;
        }
        return Err(LibreChatError::bad_request(why));
    }
    let files: Vec<Value> = (results.into_iter())
        .filter_map(|(name, result)| Some(json!({ "filename": name, "fileId": result.ok()? })))
        .collect();
    Ok(Json(json!({
        "message": "success",
        "storage_session_id": id,
        "session_id": id,
        "files": files,
    })))
}

/// Stores several files, each on its own.
pub(super) async fn upload_batch(
    Caller(tenant): Caller,
    multipart: Result<Multipart, MultipartRejection>,
) -> Result<Response, LibreChatError> {
    let upload = read(multipart).await?;
    let is_cut = upload.is_cut;
    let (id, results) = store(&tenant, upload).await?;
    let succeeded = results.iter().filter(|(_, result)| result.is_ok()).count();
    let failed = results.len() - succeeded;
    let (status, message) = match (succeeded, failed) {
        (0, _) => (StatusCode::BAD_REQUEST, "error"),
        (_, 0) => (StatusCode::OK, "success"),
        _ => (StatusCode::OK, "partial_success"),
    };
    let files: Vec<Value> = (results.into_iter())
        .map(|(name, result)| match result {
            Ok(id) => json!({ "status": "success", "filename": name, "fileId": id }),
            Err(why) => json!({ "status": "error", "filename": name, "error": why }),
        })
        .collect();
    let mut body = json!({
        "message": message,
        "storage_session_id": id,
        "session_id": id,
        "files": files,
        "succeeded": succeeded,
        "failed": failed,
    });
    if is_cut {
        body["filesLimitReached"] = true.into();
        body["maxFiles"] = MAX_FILES.into();
    }
    Ok((status, Json(body)).into_response())
}
