//! Files of a script: those that it gets, and those that it leaves.

use codeact::sandbox::{Execution, FileError, GuestFile, Session};
use codeact_sessions::manager::{ManagerError, SessionHandle};
use serde::{Deserialize, Serialize};

use super::error::LibreChatError;
use super::storage::{self, StoredFile};
use crate::app::ServerTenant;
use crate::compat::temporary::Temporary;
use crate::jupyter::ids::uuid;

/// Limit of the files of one script that are stored.
const MAX_OUTPUTS: usize = 200;

/// A file of a request.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "FileFields")]
pub(super) struct RequestedFile {
    id: String,
    storage_session_id: String,
    name: String,
}

/// Fields of a file of a request.
#[derive(Deserialize)]
struct FileFields {
    id: String,
    storage_session_id: Option<String>,
    /// The same in older clients. Some send both.
    session_id: Option<String>,
    name: String,
}

impl TryFrom<FileFields> for RequestedFile {
    type Error = &'static str;

    fn try_from(fields: FileFields) -> Result<Self, Self::Error> {
        let session = fields.storage_session_id.or(fields.session_id);
        Ok(Self {
            id: fields.id,
            storage_session_id: session.ok_or("a file needs storage_session_id")?,
            name: fields.name,
        })
    }
}

/// A file that a script gets.
#[derive(Clone)]
pub(super) struct Input {
    requested: RequestedFile,
    read_only: bool,
    content: GuestFile,
}

/// A file in a response.
#[derive(Debug, Clone, Serialize)]
pub(super) struct FileRef {
    id: String,
    name: String,
    storage_session_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_from: Option<Origin>,
    /// True if it is a file of the request that the script has not changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    inherited: bool,
}

#[derive(Debug, Clone, Serialize)]
struct Origin {
    id: String,
    storage_session_id: String,
}

/// Returns the files of a request. All must be the tenant's.
pub(super) async fn inputs(
    tenant: &ServerTenant,
    requested: Vec<RequestedFile>,
) -> Result<Vec<Input>, LibreChatError> {
    if requested.len() > storage::MAX_FILES {
        let why = format!("a request can have {} files", storage::MAX_FILES);
        return Err(LibreChatError::bad_request(why));
    }
    let mut inputs = Vec::new();
    for requested in requested {
        if !storage::is_valid_name(&requested.name) {
            let why = "files[].name must be a relative path without empty or parent segments";
            return Err(LibreChatError::bad_request(why));
        }
        let refused = || LibreChatError::forbidden("File not found, or not accessible");
        let found = storage::find(tenant, &requested.storage_session_id);
        let (handle, storage) = found.map_err(|_| refused())?;
        let stored = storage.files.get(&requested.id).ok_or_else(refused)?;
        let path = stored.path();
        let content = handle
            .read(move |session| Ok(session.read_file(&path)?))
            .await?;
        inputs.push(Input {
            read_only: stored.read_only,
            requested,
            content,
        });
    }
    Ok(inputs)
}

/// Writes the files of a request to a session.
pub(super) async fn write(handle: &SessionHandle, inputs: &[Input]) -> Result<(), LibreChatError> {
    if inputs.is_empty() {
        return Ok(());
    }
    let files: Vec<_> = (inputs.iter())
        .map(|input| (input.requested.name.clone(), input.content.clone()))
        .collect();
    let change = move |session: &mut Session| write_all(session, &files);
    Ok(handle.change(change).await?)
}

fn write_all(session: &mut Session, files: &[(String, GuestFile)]) -> Result<(), ManagerError> {
    for (name, content) in files {
        let bytes = content
            .to_vec()
            .map_err(|e| FileError::Io(name.clone(), e))?;
        session.write_file(name, &bytes)?;
    }
    Ok(())
}

/// Returns the files that a script has made or changed and that are stored. After a failure none are.
fn made<'a>(execution: &'a Execution, inputs: &[Input], failed: bool) -> Vec<&'a GuestFile> {
    if failed || execution.rolled_back {
        return Vec::new();
    }
    let is_hidden = |path: &str| {
        path.split('/')
            .any(|name| name.starts_with('.') || name == "__pycache__")
    };
    let is_fixed =
        |path: &str| (inputs.iter()).any(|input| input.read_only && input.requested.name == path);
    (execution.files.iter())
        .filter(|file| storage::is_valid_name(&file.path))
        .filter(|file| !is_hidden(&file.path) && !is_fixed(&file.path))
        .filter(|file| {
            // Written again with the same content.
            !(inputs.iter())
                .any(|input| input.requested.name == file.path && input.content == **file)
        })
        .take(MAX_OUTPUTS)
        .collect()
}

/// Stores the files that a script has left. `session` is where it ran; `None`: in a sandbox that is gone. Returns the
/// storage session and the files of the response.
pub(super) async fn store(
    tenant: &ServerTenant,
    session: Option<SessionHandle>,
    execution: &Execution,
    inputs: &[Input],
    failed: bool,
) -> Result<(Option<SessionHandle>, Vec<FileRef>), LibreChatError> {
    let made = made(execution, inputs, failed);
    let (mut files, mut stored) = (Vec::new(), Vec::new());
    let mut kept = None;
    if !made.is_empty() {
        let handle = match session {
            Some(handle) => handle,
            None => {
                let mut new = Temporary::create(&tenant.sessions, storage::settings()).await?;
                let handle = new.handle()?;
                let written: Vec<_> = (made.iter())
                    .map(|file| (file.path.clone(), (*file).clone()))
                    .collect();
                handle
                    .change(move |session| write_all(session, &written))
                    .await?;
                new.keep();
                handle
            }
        };
        for file in &made {
            let id = uuid()?;
            let origin = inputs
                .iter()
                .find(|input| input.requested.name == file.path);
            files.push(FileRef {
                id: id.clone(),
                name: file.path.clone(),
                storage_session_id: handle.id().to_owned(),
                modified_from: origin.map(|input| Origin {
                    id: input.requested.id.clone(),
                    storage_session_id: input.requested.storage_session_id.clone(),
                }),
                inherited: false,
            });
            let record = StoredFile {
                name: file.path.clone(),
                kind: storage::kind_of(&file.path).to_owned(),
                read_only: false,
            };
            stored.push((id, record));
        }
        storage::add(&handle, stored).await?;
        kept = Some(handle);
    }
    let changed: Vec<String> = files.iter().map(|file| file.name.clone()).collect();
    let unchanged = inputs
        .iter()
        .filter(|input| !changed.contains(&input.requested.name));
    files.extend(unchanged.map(|input| FileRef {
        id: input.requested.id.clone(),
        name: input.requested.name.clone(),
        storage_session_id: input.requested.storage_session_id.clone(),
        modified_from: None,
        inherited: true,
    }));
    Ok((kept, files))
}
