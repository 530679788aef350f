//! The session before a journaled turn, as data.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fs::mount::RecordedMount;
use crate::types::bytes::Bytes;

/// Version of the formats of recordings and suspended turns.
pub(crate) const VERSION: u32 = 3;

/// First line of a recording, and part of a suspended turn.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// Version of the format.
    pub(crate) codeact_recording: u32,
    /// Version of the program that wrote it.
    pub(crate) codeact: String,
    /// Snapshot of the session.
    pub(crate) start: Bytes,
    pub(crate) mounts: Vec<RecordedMount>,
    /// Added packages, as `NAME==VERSION`.
    pub(crate) packages: Vec<String>,
    /// Data of the program that records.
    pub(crate) note: Value,
}
