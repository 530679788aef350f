//! Responses of the server's own API.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codeact_sandbox::{FileInfo, FileKind, Limits, Status, Variable};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ExecutionJson, RunEndingJson};

/// The response to a request that runs code: an execution, with what the request asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerExecutionJson {
    /// `result` in the last event of a stream. Absent in a response that is one object.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The execution.
    #[serde(flatten)]
    pub execution: ExecutionJson,
    /// Session in which the code has run. Absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Files that match `return_files`. Absent if the request has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<ReturnedFileJson>>,
    /// Number of matching files that are left out because the response would be too large. Absent if it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_left_out: u64,
}

impl ServerExecutionJson {
    /// Returns the response with `execution` only.
    pub fn new(execution: ExecutionJson) -> Self {
        Self {
            kind: None,
            execution,
            session: None,
            files: None,
            files_left_out: 0,
        }
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A file with its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ReturnedFileJson {
    /// Path, relative to the home folder.
    pub path: String,
    /// Size of the content.
    pub bytes: u64,
    /// The content, if it is UTF-8. Absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in base64, if it is not UTF-8. Absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}

impl ReturnedFileJson {
    /// Returns the file `path` with this content.
    pub fn new(path: impl Into<String>, content: Vec<u8>) -> Self {
        let bytes = content.len() as u64;
        let (text, base64) = match String::from_utf8(content) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Self {
            path: path.into(),
            bytes,
            text,
            base64,
        }
    }
}

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SessionJson {
    /// Identifier.
    pub id: String,
    /// The state.
    pub status: SessionStatusJson,
    /// Time at which it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// Time at which it is removed, in milliseconds since 1970; `null`: never.
    pub expires_ms: Option<u64>,
    /// Time since the last request.
    pub unused_ms: u64,
    /// Number of its last turn; 0 if there is none. A change of files by a client is a turn as well.
    pub turn: u32,
    /// Requests that use it or wait for it.
    pub requests: u64,
    /// Memory of its interpreter, approximate; 0 if it is idle.
    pub memory_bytes: u64,
    /// Bytes in the store, as last counted.
    pub disk_bytes: u64,
    /// Packages in addition to those of the server.
    pub packages: Vec<String>,
    /// Environment variables of every turn.
    pub env: BTreeMap<String, String>,
    /// Limits of its turns.
    pub limits: LimitsJson,
    /// Hosts to which its code can make requests; `null`: all that the operator has granted.
    pub hosts: Option<Vec<String>>,
    /// Seed of its randomness; `null`: from the operating system.
    pub seed: Option<u64>,
    /// Data of the client.
    pub metadata: Map<String, Value>,
}

impl SessionJson {
    /// Returns an idle session with these limits and without settings.
    pub fn new(id: impl Into<String>, limits: LimitsJson) -> Self {
        Self {
            id: id.into(),
            status: SessionStatusJson::Idle,
            created_ms: 0,
            expires_ms: None,
            unused_ms: 0,
            turn: 0,
            requests: 0,
            memory_bytes: 0,
            disk_bytes: 0,
            packages: Vec::new(),
            env: BTreeMap::new(),
            limits,
            hosts: None,
            seed: None,
            metadata: Map::new(),
        }
    }
}

/// State of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SessionStatusJson {
    /// `running`: a turn is running.
    Running,
    /// `live`: its interpreter is in memory.
    Live,
    /// `idle`: it is in the store, and wakes on the next request.
    Idle,
}

/// Limits of a turn; see [`Limits`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LimitsJson {
    /// Wall time.
    pub wall_ms: u64,
    /// Fuel; `null`: no limit.
    pub fuel: Option<u64>,
    /// Linear memory.
    pub memory_bytes: u64,
    /// Captured bytes of each of stdout and stderr.
    pub output_bytes: u64,
    /// Calls from the guest to the host.
    pub host_calls: u64,
    /// Bytes of these calls.
    pub host_call_bytes: u64,
    /// Bytes of the sandbox's own files.
    pub file_bytes: u64,
    /// Files, folders and links.
    pub files: u64,
    /// Open file descriptors.
    pub open_files: u64,
}

impl From<&Limits> for LimitsJson {
    fn from(limits: &Limits) -> Self {
        Self {
            wall_ms: u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX),
            fuel: limits.fuel,
            memory_bytes: limits.memory,
            output_bytes: limits.output,
            host_calls: limits.host_calls,
            host_call_bytes: limits.host_call_bytes,
            file_bytes: limits.file_bytes,
            files: limits.files,
            open_files: limits.open_files,
        }
    }
}

/// A variable of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VariableJson {
    /// Name.
    pub name: String,
    /// Name of its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Short form of the value; empty if it could only be made by running code of the value's class.
    pub short: String,
}

impl From<&Variable> for VariableJson {
    fn from(variable: &Variable) -> Self {
        Self {
            name: variable.name.clone(),
            kind: variable.kind.clone(),
            short: variable.short.clone(),
        }
    }
}

/// Record of a turn of a session. Long texts are shortened in their middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TurnJson {
    /// Number of the turn, from 1.
    pub turn: u32,
    /// Time at which it ended, in milliseconds since 1970.
    pub ended_ms: u64,
    /// Python source; empty for a change of files by a request.
    pub code: String,
    /// How it ended; see [`ExecutionJson::status`].
    pub status: Status,
    /// `repr` of the value of the last expression.
    pub result: Option<String>,
    /// Text that the code wrote to stdout.
    pub stdout: String,
    /// Text that the code wrote to stderr.
    pub stderr: String,
    /// Traceback of an uncaught exception.
    pub error: Option<String>,
    /// Files of the home folder that it changed.
    pub files: Vec<ChangedFileJson>,
    /// Wall time.
    pub wall_ms: u64,
    /// Fuel that it used.
    pub fuel: u64,
}

/// A file of the home folder that a turn changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChangedFileJson {
    /// Path, relative to the home folder.
    pub path: String,
    /// Size after the turn; `null` if the file was removed.
    pub bytes: Option<u64>,
    /// True if the file did not exist before.
    pub added: bool,
}

#[cfg(feature = "sessions")]
impl From<codeact_sessions::TurnRecord> for TurnJson {
    fn from(record: codeact_sessions::TurnRecord) -> Self {
        let files = record.files.into_iter().map(|file| ChangedFileJson {
            path: file.path,
            bytes: file.bytes,
            added: file.added,
        });
        Self {
            turn: record.turn,
            ended_ms: record.ended_ms,
            code: record.code,
            status: record.status,
            result: record.result,
            stdout: record.stdout,
            stderr: record.stderr,
            error: record.error,
            files: files.collect(),
            wall_ms: record.wall_ms,
            fuel: record.fuel,
        }
    }
}

/// A file, folder or symbolic link of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FileInfoJson {
    /// Name, without a folder.
    pub name: String,
    /// Absolute path in the sandbox.
    pub path: String,
    /// The kind.
    pub kind: FileKindJson,
    /// Size of a file; of a symbolic link the length of its target; otherwise 0.
    pub bytes: u64,
    /// Time of the last change of the content, in milliseconds since 1970.
    pub modified_ms: u64,
    /// Target of a symbolic link.
    pub link_target: Option<String>,
    /// True if the code can write to it.
    pub writable: bool,
}

/// The kind of a [`FileInfoJson`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FileKindJson {
    /// `file`: a regular file.
    File,
    /// `folder`: a folder.
    Folder,
    /// `link`: a symbolic link.
    Link,
    /// `other`: a device, pipe or socket.
    Other,
}

impl From<&FileInfo> for FileInfoJson {
    fn from(info: &FileInfo) -> Self {
        let modified = info.modified.duration_since(UNIX_EPOCH);
        Self {
            name: info.name.clone(),
            path: info.path.clone(),
            kind: match info.kind {
                FileKind::File => FileKindJson::File,
                FileKind::Dir => FileKindJson::Folder,
                FileKind::Symlink => FileKindJson::Link,
                _ => FileKindJson::Other,
            },
            bytes: info.bytes,
            modified_ms: modified.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            link_target: info.link_target.clone(),
            writable: info.writable,
        }
    }
}

/// The result of a run of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunJson {
    /// `result` in the last event of a stream. Absent in a response that is one object.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How the run ended.
    pub ending: RunEndingJson,
    /// The answer, if there is one.
    pub answer: Option<Value>,
    /// The reason why there is no answer, if it is known.
    pub reason: Option<String>,
    /// The steps, in order.
    pub steps: Vec<RunStepJson>,
    /// Files that match `return_files`, as they were after the last code. Absent if the request has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<ReturnedFileJson>>,
    /// Number of matching files that are left out because the response would be too large. Absent if it is 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub files_left_out: u64,
}

impl RunJson {
    /// Returns a run without steps.
    pub fn new(ending: RunEndingJson) -> Self {
        Self {
            kind: None,
            ending,
            answer: None,
            reason: None,
            steps: Vec::new(),
            files: None,
            files_left_out: 0,
        }
    }
}

/// One step of a run: a reply of the model, its code, and the observation that the model receives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunStepJson {
    /// The whole reply.
    pub reply: String,
    /// The code of the reply, if it has any.
    pub code: Option<String>,
    /// The result of the code, if it was run.
    pub execution: Option<ExecutionJson>,
    /// The text that the model receives; `null` in the last step.
    pub observation: Option<String>,
}

impl RunStepJson {
    /// Returns a step with this reply only.
    pub fn new(reply: impl Into<String>) -> Self {
        Self {
            reply: reply.into(),
            code: None,
            execution: None,
            observation: None,
        }
    }
}
