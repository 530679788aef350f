//! What happens while codeact works, as one type between whoever runs and whoever draws.
//!
//! The library never prints: it hands each [`Event`] to an [`EventSink`]. The command draws them
//! (see `report`), and `run --json` writes them as JSON lines.

use std::sync::Arc;

use serde::Serialize;

/// One thing that happened. Serialised with a `type` tag, times in milliseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Work towards a usable pack, done once per machine.
    Setup {
        /// Which part of the work.
        stage: SetupStage,
        /// How far it is.
        progress: Progress,
    },
    /// Bytes that the running code wrote, as text, in the order of writing.
    Output {
        /// Where it wrote them.
        stream: Stream,
        /// The text; bytes that are no UTF-8 are replaced by U+FFFD.
        text: String,
    },
    /// The code has called a tool, and has its answer.
    Tool {
        /// The tool's name.
        tool: String,
        /// The arguments as JSON, shortened; of bytes only their number.
        arguments: String,
        /// The message, where it failed or was refused.
        error: Option<String>,
        /// How long it took; next to nothing where it is replayed.
        wall_ms: u64,
        /// Bytes of the arguments, about.
        bytes_in: u64,
        /// Bytes of the answer, about.
        bytes_out: u64,
    },
    /// What has become of an MCP server.
    Server {
        /// Its namespace: its tools are in `tools.NAME`.
        name: String,
        /// What has happened.
        state: ServerState,
        /// How many tools it offers now.
        tools: usize,
        /// Why, where there is something to say. For the user: it may quote what the server wrote to
        /// its stderr.
        reason: Option<String>,
    },
    /// The model is being asked for step `step` (counted from 1).
    StepStarted {
        /// The step's number.
        step: u32,
    },
    /// A piece of the model's reply as it arrives.
    ReplyDelta {
        /// The new text.
        text: String,
    },
    /// A model call failed in a way that is worth another try. What was handed on of its reply is
    /// void: the next try begins anew.
    ModelRetry {
        /// The number of the try that failed, from 1.
        attempt: u32,
        /// How long until the next one.
        wait_ms: u64,
        /// What went wrong.
        reason: String,
    },
    /// The model's whole reply.
    Reply {
        /// The step's number.
        step: u32,
        /// The text, up to the stop sequence.
        text: String,
    },
    /// The code taken from a reply, about to be run.
    CodeStarted {
        /// The step's number.
        step: u32,
        /// The Python source.
        code: String,
    },
    /// What the model is told about its code.
    Observation {
        /// The step's number.
        step: u32,
        /// The text sent back.
        text: String,
        /// Why the run goes on, in a line for people, where the output does not say so.
        note: Option<String>,
    },
    /// The run's end.
    Finished {
        /// Whether there is an answer.
        answered: bool,
        /// How it ended: `answered`, `out_of_steps`, `cancelled`, `failed` (in the one-shot form,
        /// the program) or `error` (the model or the sandbox).
        ending: &'static str,
        /// Why there is no answer, where that is known.
        reason: Option<String>,
        /// The answer, when there is one.
        answer: Option<serde_json::Value>,
        /// How many steps it took.
        steps: u32,
    },
}

/// The parts of getting a pack ready, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SetupStage {
    /// Fetching the wheel with the user's package client.
    Download,
    /// Fetching packages beside the pack's own, with the same client.
    Packages,
    /// Checking hashes and unpacking.
    Check,
    /// Compiling the module ahead of time for this CPU.
    Compile,
    /// Starting Python, importing the warm list and writing the base image.
    WarmUp,
}

/// What has happened to an MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It is connected to and has told its tools.
    Ready,
    /// It has other tools than before.
    Changed,
    /// Something that it has told cannot be offered: a tool, or a whole list.
    Refused,
    /// It cannot be reached, or has ended. Where it has ended, the next call starts it again.
    Gone,
}

/// How far a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Progress {
    /// It begins; `total` is its size in bytes where that is known.
    Started {
        /// The whole, in bytes.
        total: Option<u64>,
    },
    /// `done` bytes are behind it.
    Advanced {
        /// Bytes done.
        done: u64,
    },
    /// It is done.
    Finished,
}

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Where events go. Cheap to clone; called on whatever thread the event arises on, so the
/// callee must be quick.
#[derive(Clone)]
pub struct EventSink(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl EventSink {
    /// A sink that calls `f` with each event.
    pub fn new(f: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    /// A sink that drops everything.
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether anybody listens: lets a hot path skip making an event.
    pub fn is_listening(&self) -> bool {
        self.0.is_some()
    }

    /// Hands `event` on.
    pub fn emit(&self, event: Event) {
        if let Some(f) = &self.0 {
            f(event);
        }
    }
}

impl Default for EventSink {
    fn default() -> Self {
        Self::none()
    }
}

impl std::fmt::Debug for EventSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "EventSink(listening)"
        } else {
            "EventSink(none)"
        })
    }
}
