//! The result of a turn.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codeact_sandbox::{
    Bundle, Captured, Display, Exception, Execution, Frame, Outcome, Status, Traceback, Usage,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The result of a turn: how it ended, what it wrote and showed, and what it used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutionJson {
    /// How the turn ended:
    ///
    /// | value | meaning |
    /// |---|---|
    /// | `ok` | the code ran to its end, or called `final_answer` |
    /// | `error` | an exception was not caught; it is in `error` |
    /// | `exit` | the code called `sys.exit`, `exit` or `os._exit`; the status is in `exit_code` |
    /// | `timeout` | the wall time was used up |
    /// | `out_of_fuel` | the fuel budget was used up |
    /// | `cancelled` | the caller stopped the turn |
    /// | `suspended` | the code waits for user input that is not available yet |
    /// | `trap` | the interpreter failed: `os.abort`, a C stack overflow, a bug |
    pub status: Status,
    /// The exit status of the code, 0 to 255, if `status` is `exit`.
    pub exit_code: Option<i32>,
    /// The text that the code wrote to stdout, up to the limit of captured output.
    pub stdout: String,
    /// The text that the code wrote to stderr, up to the same limit. A traceback is in `error`, not here.
    pub stderr: String,
    /// Bytes that were written to stdout beyond the limit, and dropped.
    pub stdout_dropped_bytes: u64,
    /// Bytes that were written to stderr beyond the limit, and dropped.
    pub stderr_dropped_bytes: u64,
    /// Notices for the user, one for each truncated stream.
    pub notes: Vec<String>,
    /// The `repr` of the value of the last expression; `null` without one, and if the value is `None`.
    pub result: Option<String>,
    /// Pictures, and rich forms of the last expression's value, in the order in which they were shown.
    pub displays: Vec<DisplayJson>,
    /// Everything that a rich turn showed, in the order in which it was shown. Absent if it is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<BundleJson>,
    /// The uncaught exception, or the reason why the turn was stopped.
    pub error: Option<ErrorJson>,
    /// The stack of the code when it was stopped by a limit, a trap, a cancellation or a suspension. `null` after
    /// another ending, and if the stack could not be read.
    pub interrupted: Option<InterruptedJson>,
    /// Resources that the turn used.
    pub usage: UsageJson,
}

/// An uncaught exception, or the reason why a turn was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorJson {
    /// Name of the exception's class, with its module unless that is `builtins`; `null` if there is no exception.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `str(exception)`, or a sentence for the user that says why the turn was stopped.
    pub message: String,
    /// Frames of the exception, outermost first. Absent without an exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<Vec<FrameJson>>,
    /// The traceback as Python prints it. Absent without an exception.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceback: Option<String>,
}

/// One frame of a traceback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FrameJson {
    /// The file name, such as `<turn 3>`.
    pub file: String,
    /// The line number, from 1.
    pub line: u32,
    /// The function; `<module>` at the top level.
    pub function: String,
    /// The source line, if it is known.
    pub source: Option<String>,
}

/// The stack of code that was stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InterruptedJson {
    /// The frames, outermost first: all, or the first and the last 20.
    pub frames: Vec<FrameJson>,
    /// Number of frames omitted after the first 20.
    pub frames_left_out: usize,
    /// The frames as Python prints them.
    pub traceback: String,
}

/// A picture, or a rich form of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DisplayJson {
    /// The media type: `image/png`, `image/svg+xml`, `image/jpeg`, `image/webp`, `image/gif` or `text/html`.
    pub mime: String,
    /// A file name, unique within the turn, such as `figure-1.png`.
    pub name: String,
    /// The content, in base64.
    pub base64: String,
}

/// A value or picture that a rich turn showed, in all its forms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BundleJson {
    /// True if it is the value of the last expression.
    pub is_result: bool,
    /// Content by media type: text, base64 of pictures and PDF, or JSON.
    pub data: Map<String, Value>,
    /// Metadata, by media type or for the whole bundle.
    pub metadata: Map<String, Value>,
}

/// Resources that a turn used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UsageJson {
    /// Wall time, in milliseconds, rounded to microseconds.
    pub wall_ms: f64,
    /// Fuel: deterministic units of computation.
    pub fuel: u64,
    /// Largest size of the guest's linear memory.
    pub peak_memory_bytes: u64,
    /// Calls from the guest to the host.
    pub host_calls: u64,
    /// Bytes of the requests and responses of those calls.
    pub host_call_bytes: u64,
}

impl From<&Execution> for ExecutionJson {
    fn from(execution: &Execution) -> Self {
        let error = match &execution.outcome {
            Outcome::Raised(exception) => Some(exception.into()),
            outcome => stop_message(outcome).map(|message| ErrorJson {
                kind: None,
                message,
                frames: None,
                traceback: None,
            }),
        };
        let notes = [("stdout", &execution.stdout), ("stderr", &execution.stderr)]
            .into_iter()
            .filter_map(|(stream, captured)| truncation_notice(stream, captured))
            .collect();
        Self {
            status: execution.outcome.status(),
            exit_code: match execution.outcome {
                Outcome::Exited { code } => Some(code),
                _ => None,
            },
            stdout: execution.stdout.text.clone(),
            stderr: execution.stderr.text.clone(),
            stdout_dropped_bytes: execution.stdout.dropped_bytes,
            stderr_dropped_bytes: execution.stderr.dropped_bytes,
            notes,
            result: execution.result.clone(),
            displays: execution.displays.iter().map(Into::into).collect(),
            bundles: execution.bundles.iter().map(Into::into).collect(),
            error,
            interrupted: execution.interrupted.as_ref().map(Into::into),
            usage: (&execution.usage).into(),
        }
    }
}

impl From<&Exception> for ErrorJson {
    fn from(exception: &Exception) -> Self {
        Self {
            kind: Some(exception.kind.clone()),
            message: exception.message.clone(),
            frames: Some(exception.frames.iter().map(Into::into).collect()),
            traceback: Some(exception.traceback.clone()),
        }
    }
}

impl From<&Frame> for FrameJson {
    fn from(frame: &Frame) -> Self {
        Self {
            file: frame.file.clone(),
            line: frame.line,
            function: frame.function.clone(),
            source: frame.source.clone(),
        }
    }
}

impl From<&Traceback> for InterruptedJson {
    fn from(traceback: &Traceback) -> Self {
        Self {
            frames: traceback.frames.iter().map(Into::into).collect(),
            frames_left_out: traceback.left_out,
            traceback: traceback.to_string(),
        }
    }
}

impl From<&Display> for DisplayJson {
    fn from(display: &Display) -> Self {
        Self {
            mime: display.mime.clone(),
            name: display.name.clone(),
            base64: STANDARD.encode(&display.bytes),
        }
    }
}

impl From<&Bundle> for BundleJson {
    fn from(bundle: &Bundle) -> Self {
        Self {
            is_result: bundle.is_result,
            data: bundle.data.clone(),
            metadata: bundle.metadata.clone(),
        }
    }
}

impl From<&Usage> for UsageJson {
    fn from(usage: &Usage) -> Self {
        Self {
            wall_ms: (usage.wall.as_secs_f64() * 1e6).round() / 1e3,
            fuel: usage.fuel,
            peak_memory_bytes: usage.peak_memory_bytes,
            host_calls: usage.host_calls,
            host_call_bytes: usage.host_call_bytes,
        }
    }
}

/// Returns a sentence for the user that says why a turn was stopped; `None` if the code ended by itself.
pub fn stop_message(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::TimedOut { limit } => {
            let seconds = limit.as_secs_f64();
            format!("stopped: the wall time of {seconds} s is used up")
        }
        Outcome::OutOfFuel { budget } => {
            format!("stopped: the fuel budget of {budget} is used up")
        }
        Outcome::Cancelled => "stopped".into(),
        Outcome::Suspended => "stopped: the code waits for an answer".into(),
        Outcome::Trapped { reason } => format!("the interpreter failed: {reason}"),
        _ => return None,
    })
}

/// Returns a notice for the user if the captured output of `stream` was truncated.
pub fn truncation_notice(stream: &str, captured: &Captured) -> Option<String> {
    (captured.dropped_bytes > 0).then(|| {
        format!(
            "{stream} was cut: {} bytes kept, {} dropped",
            captured.text.len(),
            captured.dropped_bytes
        )
    })
}
