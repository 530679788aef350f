//! A turn that asks what nobody can answer yet: put away as data, taken up when there is an answer.
//!
//! A running Python cannot be kept: its stack is the engine's. The state before the turn, its code and
//! all it was told so far can, and running that again leads to the same question.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::entry::{Call, Entry};
use super::recording::{Header, refused};
use super::turn::{Script, pack, unpack};
use super::{TAPE, Tape};
use crate::sandbox::error::SandboxError;
use crate::sandbox::session::Session;
use crate::sandbox::stop::Stop;
use crate::sandbox::{Sandbox, Turn, cache};

/// The largest file of a turn that waits, in bytes.
const MOST_BYTES: u64 = 2 << 30;

/// What whoever is asked says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// The answer.
    Now(Value),
    /// No answer, and why; the code gets it as an exception.
    Refused(String),
    /// There will be one: the turn is stopped and taken back, and
    /// [`Execution::waiting`](crate::sandbox::Execution::waiting) can be taken up with it.
    Later,
}

type Asked = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Answers what the code of a turn asks of the world outside.
#[derive(Clone)]
pub struct Answers {
    ask: Arc<dyn Fn(Value) -> Asked + Send + Sync>,
    may_wait: bool,
}

impl Answers {
    /// Asks `answer`, with what the code has sent. The code chooses all of it but `approve`.
    ///
    /// The code sends `{"question": TEXT, "choices": [TEXT, …] or null}`, which is answered with a text.
    /// Before a call of a tool that needs approval it is `{"approve": {"tool": NAME, "arguments": {…}}}`,
    /// and only `true` approves.
    ///
    /// Since a turn whose question is left open may be put away, all that the turn is told from outside
    /// is kept in memory until it ends; [`Answers::at_once`] needs none.
    pub fn new<F>(answer: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        Self {
            ask: Arc::new(move |request| Box::pin(answer(request))),
            may_wait: true,
        }
    }

    /// As [`Answers::new`], where there always is an answer, or a reason for none.
    pub fn at_once<F>(answer: impl Fn(Value) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let ask = move |request| {
            let answer = answer(request);
            async move { answer.await.map_or_else(Reply::Refused, Reply::Now) }
        };
        Self {
            may_wait: false,
            ..Self::new(ask)
        }
    }

    pub(crate) fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Asks, or tells again what the turn's tape has. An error stops the turn.
    /// Nobody is waited for longer than `most`.
    pub(crate) async fn ask(
        answers: Option<&Self>,
        request: Value,
        most: Duration,
    ) -> Result<Reply, Stop> {
        let call = Call::Ask {
            request: request.clone(),
        };
        let tape = TAPE.try_with(Tape::clone).ok();
        if let Some(tape) = &tape
            && let Some(told) = tape.again(&call)?
        {
            return Ok(told);
        }
        let reply = match answers {
            Some(Self { ask, .. }) => match tokio::time::timeout(most, ask(request)).await {
                Ok(reply) => reply,
                Err(_) => {
                    let minutes = most.as_secs() / 60;
                    Reply::Refused(format!("there was no answer within {minutes} minutes"))
                }
            },
            None => Reply::Refused("nobody can be asked here; decide without asking".into()),
        };
        Ok(match (reply, tape) {
            // Not told: the question stays open.
            (Reply::Later, _) => Reply::Later,
            (reply, Some(tape)) => tape.keep(call, reply),
            (reply, None) => reply,
        })
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers(..)")
    }
}

/// A turn that waits for an answer: the state before it, its code, and what it was told until it asked.
/// Plain data: it can be saved, and taken up in another process.
#[derive(Debug, Clone)]
pub struct Waiting {
    data: Arc<Data>,
    /// What whoever put it away wants to know again.
    note: Value,
}

#[derive(Debug, Serialize, Deserialize)]
struct Data {
    start: Header,
    script: Script,
    #[serde(serialize_with = "pack", deserialize_with = "unpack")]
    told: Vec<Entry>,
    request: Value,
}

/// The file of one.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    turn: T,
    note: Value,
}

/// The same one, not one that looks the same.
impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.data, &other.data) && self.note == other.note
    }
}

impl Waiting {
    pub(crate) fn new(
        start: Header,
        script: Script,
        tape: &Tape,
        request: Value,
    ) -> Result<Self, SandboxError> {
        let (told, whole) = tape.entries();
        if !whole {
            let why = "the turn was told too much by its mounts and stdin to be put away";
            return Err(SandboxError::Setting(why.into()));
        }
        let data = Data {
            start,
            script,
            told,
            request,
        };
        Ok(Self {
            data: Arc::new(data),
            note: Value::Null,
        })
    }

    /// What it asks.
    pub fn request(&self) -> &Value {
        &self.data.request
    }

    /// The same, with a note for whoever takes it up.
    #[must_use]
    pub fn noted(&self, note: Value) -> Self {
        Self {
            data: self.data.clone(),
            note,
        }
    }

    /// The note; null without one.
    pub fn note(&self) -> &Value {
        &self.note
    }

    /// Its Python source.
    pub fn code(&self) -> &str {
        &self.data.script.code
    }

    /// Writes it to `path`, whole or not at all, for its owner only.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SandboxError> {
        let path = path.as_ref();
        let kept = Kept {
            turn: &*self.data,
            note: self.note.clone(),
        };
        let bytes = serde_json::to_vec(&kept).map_err(|e| refused(path, &e.to_string()))?;
        cache::write_whole(path, &bytes)
    }

    /// Reads what [`Waiting::save`] has written.
    ///
    /// # Errors
    ///
    /// [`SandboxError::Recording`] when it is no such file, or damaged; [`SandboxError::Io`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, SandboxError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|e| SandboxError::io("open", path, e))?;
        let data = serde_json::from_reader(BufReader::new(file.take(MOST_BYTES)));
        let kept: Kept<Data> =
            data.map_err(|e| refused(path, &format!("it holds no turn: {e}")))?;
        Ok(Self {
            data: Arc::new(kept.turn),
            note: kept.note,
        })
    }

    /// The turn, to be run in [`Waiting::session`]. Events, a [`Cancel`](crate::sandbox::Cancel) and
    /// [`Answers`] are not kept, and can be given anew.
    pub fn turn(&self) -> Turn {
        self.data.script.turn()
    }

    /// The session as it was before the turn. Its first turn must be [`Waiting::turn`]: it runs to the
    /// open question, without waiting for anything, gets `answer`, and goes on from there. Output
    /// until then is there again.
    ///
    /// `sandbox` has the mounts and packages that the turn had.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`](crate::sandbox::Snapshot::load).
    pub fn session(&self, sandbox: &Sandbox, answer: Reply) -> Result<Session, SandboxError> {
        let call = Call::Ask {
            request: self.data.request.clone(),
        };
        let mut told = self.data.told.clone();
        told.extend(Entry::new(call, &answer));
        let shown = told.iter().rev().find(|e| e.call == Call::Monotonic);
        let shown = shown.and_then(|entry| serde_json::from_str(entry.answer.get()).ok());
        let session = self.data.start.session_here(sandbox)?;
        Ok(session.taking_up(told, shown.unwrap_or(0)))
    }
}
