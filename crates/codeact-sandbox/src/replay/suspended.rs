//! A turn that waits for user input, as data.
//!
//! The state of a running turn cannot be stored, because its stack belongs to the wasm engine. Instead, the session
//! before the turn, its code and its journal are stored. Running the turn again with them leads to the same request.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use codeact_base::atomic_file;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::SandboxError;
use crate::journal::{Entries, Journal};
use crate::replay::header::Header;
use crate::session::turn::TurnSpec;

/// Limit of the file of a suspended turn, in bytes.
const MAX_FILE: u64 = 2 << 30;

/// A turn that waits for user input: the session before it, its code, and its journal up to the request. It is plain
/// data, which can be saved and resumed in another process.
///
/// ```no_run
/// # async fn example() -> Result<(), codeact_sandbox::SandboxError> {
/// use codeact_sandbox::{InputHandler, InputResponse, Sandbox, SuspendedTurn, Turn, TurnOptions};
/// use serde_json::json;
///
/// let sandbox = Sandbox::new().await?;
/// let later = InputHandler::new(|_| async { InputResponse::Later });
/// let turn = Turn::new("name = ask_user('Which name?'); name.upper()").input_handler(later);
/// if let Some(suspended) = sandbox.session()?.run(turn).await?.suspended {
///     suspended.save("question.turn")?;
/// }
///
/// // Later, perhaps in another process:
/// let suspended = SuspendedTurn::load("question.turn")?;
/// println!("{}", suspended.request()["question"]);
/// let response = InputResponse::Answer(json!("Ada"));
/// let (session, execution) =
///     suspended.resume(&sandbox, response, TurnOptions::new()).await?;
/// assert_eq!(execution.result.as_deref(), Some("'ADA'"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SuspendedTurn {
    pub(crate) data: Arc<Data>,
    /// Data of the program that suspended it.
    note: Value,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Data {
    pub(crate) start: Header,
    pub(crate) spec: TurnSpec,
    pub(crate) journal: Entries,
    pub(crate) request: Value,
}

/// The file format.
#[derive(Serialize, Deserialize)]
struct SavedTurn<T> {
    turn: T,
    note: Value,
}

/// Compares identity, not content.
impl PartialEq for SuspendedTurn {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.data, &other.data) && self.note == other.note
    }
}

impl SuspendedTurn {
    pub(crate) fn new(
        start: Header,
        spec: TurnSpec,
        journal: &Journal,
        request: Value,
    ) -> Result<Self, SandboxError> {
        let Some(journal) = journal.take_entries() else {
            let why = "the recorded input of the turn is too large, so that it cannot be suspended";
            return Err(SandboxError::setting(why));
        };
        let data = Data {
            start,
            spec,
            journal,
            request,
        };
        Ok(Self {
            data: Arc::new(data),
            note: Value::Null,
        })
    }

    /// Returns the open request.
    pub fn request(&self) -> &Value {
        &self.data.request
    }

    /// Returns the turn with a note for the program that resumes it.
    #[must_use]
    pub fn with_note(&self, note: Value) -> Self {
        Self {
            data: self.data.clone(),
            note,
        }
    }

    /// Returns the note; null if there is none.
    pub fn note(&self) -> &Value {
        &self.note
    }

    /// Returns the Python source.
    pub fn code(&self) -> &str {
        &self.data.spec.code
    }

    /// Writes it to `path`, which only its owner can read.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SandboxError> {
        let path = path.as_ref();
        let saved = SavedTurn {
            turn: &*self.data,
            note: self.note.clone(),
        };
        // Written in pieces, because it can be as large as the memory.
        let write = |to: &mut atomic_file::Writer| {
            serde_json::to_writer(to, &saved).map_err(std::io::Error::from)
        };
        atomic_file::write_with(path, write, |e| e).map_err(|e| SandboxError::io("write", path, e))
    }

    /// Reads a file that [`SuspendedTurn::save`] has written. The file is untrusted.
    ///
    /// # Errors
    ///
    /// Returns [`SandboxError::Recording`] if it is not such a file, or damaged; [`SandboxError::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| SandboxError::io("open", path, e))?;
        let data = serde_json::from_reader(BufReader::new(file.take(MAX_FILE)));
        let saved: SavedTurn<Data> = data.map_err(|e| {
            SandboxError::recording(path, &format!("it is not a suspended turn: {e}"))
        })?;
        Ok(Self {
            data: Arc::new(saved.turn),
            note: saved.note,
        })
    }
}
