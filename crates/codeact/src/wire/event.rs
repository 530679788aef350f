//! Events of a run, one JSON object each.

use codeact_base::event::{Event, Progress, RunEnding, ServerState, SetupStage, Stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ChangeJson;

/// One line of `codeact run --json`. The field `type` has the name of the variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventJson {
    /// `setup`: progress of the installation of a pack, done once on each machine.
    Setup {
        /// The part of the work.
        stage: SetupStageJson,
        /// How much of it is done.
        progress: ProgressJson,
    },
    /// `output`: text that the code wrote, in the order of writing.
    Output {
        /// The stream.
        stream: StreamJson,
        /// The text; bytes that are not UTF-8 are replaced by U+FFFD.
        text: String,
    },
    /// `bundle`: the code of a rich turn has shown something, in order with its output.
    Bundle {
        /// True if it is the value of the last expression.
        is_result: bool,
        /// Its forms by media type: a MIME bundle of Jupyter.
        data: serde_json::Map<String, Value>,
        /// Metadata, by media type or for the whole bundle.
        metadata: serde_json::Map<String, Value>,
    },
    /// `tool`: a tool call has returned.
    Tool {
        /// The tool's name.
        tool: String,
        /// The arguments as JSON text, shortened; of bytes only their number.
        arguments: String,
        /// The error message, if the call failed or was denied.
        error: Option<String>,
        /// Duration of the call, in milliseconds; almost 0 in a replay.
        wall_ms: u64,
        /// Approximate size of the arguments.
        bytes_in: u64,
        /// Approximate size of the result.
        bytes_out: u64,
    },
    /// `server`: the state of an MCP server has changed.
    Server {
        /// The server's namespace: its tools are in `tools.NAME`.
        name: String,
        /// The new state.
        state: ServerStateJson,
        /// Number of tools that the server offers now.
        tools: usize,
        /// The reason, if there is one. For the user: it may contain text that the server wrote to its stderr.
        reason: Option<String>,
    },
    /// `step_started`: the model is asked for its next reply.
    StepStarted {
        /// The step's number, from 1.
        step: u32,
    },
    /// `reply_delta`: a part of the model's reply, as it arrives.
    ReplyDelta {
        /// The new text.
        text: String,
    },
    /// `model_retry`: a request to the model failed and is repeated. Earlier parts of the reply are void.
    ModelRetry {
        /// The number of the attempt that failed, from 1.
        attempt: u32,
        /// Time until the next attempt, in milliseconds.
        wait_ms: u64,
        /// Description of the failure.
        reason: String,
    },
    /// `reply`: the whole reply of the model.
    Reply {
        /// The step's number.
        step: u32,
        /// The text, up to an observation that the model invents.
        text: String,
    },
    /// `code_started`: the code of a reply is about to run.
    CodeStarted {
        /// The step's number.
        step: u32,
        /// The Python source.
        code: String,
    },
    /// `observation`: the text that the model receives after a step.
    Observation {
        /// The step's number.
        step: u32,
        /// The text.
        text: String,
        /// A line for the user that says why the run continues, if the output does not say so.
        note: Option<String>,
    },
    /// `question`: the code asks the user, with `run --interactive`. The response is a line on stdin:
    /// `{"answer": TEXT}`.
    Question {
        /// The question.
        question: String,
        /// Suggested answers; may be empty.
        choices: Vec<String>,
    },
    /// `approval`: a tool call needs the approval of the user, with `run --interactive`. The response is a line on
    /// stdin: `{"approve": BOOL}`, with an optional `"reason": TEXT` if it is false.
    Approval {
        /// The tool's name.
        tool: String,
        /// The arguments, by name.
        arguments: Value,
    },
    /// `finished`: the end of the run.
    Finished {
        /// True if there is an answer.
        answered: bool,
        /// How the run ended.
        ending: RunEndingJson,
        /// The reason why there is no answer, if it is known.
        reason: Option<String>,
        /// The answer, if there is one.
        answer: Option<Value>,
        /// Number of steps.
        steps: u32,
    },
    /// `changes`: files that the run changed. It follows `finished`, and is absent without changes.
    Changes {
        /// True if the changes of `commit` mounts were written back to the host.
        written_back: bool,
        /// The changes.
        changes: Vec<ChangeJson>,
    },
}

/// How a run of an agent ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunEndingJson {
    /// `answered`: there is an answer.
    Answered,
    /// `out_of_steps`: the steps were used up before there was an answer.
    OutOfSteps,
    /// `suspended`: the code waits for user input that is not available yet.
    Suspended,
    /// `cancelled`: the caller stopped the run.
    Cancelled,
    /// `failed`: with `--once`, the program failed, or the reply was not a program.
    Failed,
    /// `error`: the model or the sandbox failed.
    Error,
}

/// A stage of the installation of a pack, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SetupStageJson {
    /// `download`: the pack's wheel is downloaded.
    Download,
    /// `packages`: added packages are downloaded.
    Packages,
    /// `check`: hashes are checked, and files unpacked.
    Check,
    /// `compile`: the module is compiled for this CPU.
    Compile,
    /// `warm_up`: Python starts, and the base image is written.
    WarmUp,
}

/// Progress of a stage. The field `state` has the name of the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProgressJson {
    /// `started`: the stage begins.
    Started {
        /// Size of the whole stage in bytes, if it is known.
        total: Option<u64>,
    },
    /// `advanced`: a part of the stage is done.
    Advanced {
        /// Bytes done.
        done: u64,
    },
    /// `finished`: the stage is done.
    Finished,
}

/// The state of an MCP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ServerStateJson {
    /// `ready`: the server is connected and has listed its tools.
    Ready,
    /// `changed`: the list of its tools has changed.
    Changed,
    /// `refused`: a tool or a list of tools was rejected.
    Refused,
    /// `disconnected`: the server cannot be reached, or has exited. The next call starts a server that has exited.
    Disconnected,
}

/// An output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamJson {
    /// `stdout`: standard output.
    Stdout,
    /// `stderr`: standard error.
    Stderr,
}

impl EventJson {
    /// Returns the format of `event`; `None` if the format has no such event.
    pub fn from_event(event: Event) -> Option<Self> {
        Some(match event {
            Event::Setup { stage, progress } => Self::Setup {
                stage: stage_json(stage)?,
                progress: progress_json(progress)?,
            },
            Event::Output { stream, text } => Self::Output {
                stream: match stream {
                    Stream::Stdout => StreamJson::Stdout,
                    Stream::Stderr => StreamJson::Stderr,
                },
                text,
            },
            Event::Bundle {
                is_result,
                data,
                metadata,
            } => Self::Bundle {
                is_result,
                data,
                metadata,
            },
            Event::Tool {
                tool,
                arguments,
                error,
                wall_ms,
                bytes_in,
                bytes_out,
            } => Self::Tool {
                tool,
                arguments,
                error,
                wall_ms,
                bytes_in,
                bytes_out,
            },
            Event::Server {
                name,
                state,
                tools,
                reason,
            } => Self::Server {
                name,
                state: server_state_json(state)?,
                tools,
                reason,
            },
            Event::StepStarted { step } => Self::StepStarted { step },
            Event::ReplyDelta { text } => Self::ReplyDelta { text },
            Event::ModelRetry {
                attempt,
                wait_ms,
                reason,
            } => Self::ModelRetry {
                attempt,
                wait_ms,
                reason,
            },
            Event::Reply { step, text } => Self::Reply { step, text },
            Event::CodeStarted { step, code } => Self::CodeStarted { step, code },
            Event::Observation { step, text, note } => Self::Observation { step, text, note },
            Event::Finished {
                answered,
                ending,
                reason,
                answer,
                steps,
            } => Self::Finished {
                answered,
                ending: ending_json(ending)?,
                reason,
                answer,
                steps,
            },
            _ => return None,
        })
    }
}

fn stage_json(stage: SetupStage) -> Option<SetupStageJson> {
    Some(match stage {
        SetupStage::Download => SetupStageJson::Download,
        SetupStage::Packages => SetupStageJson::Packages,
        SetupStage::Check => SetupStageJson::Check,
        SetupStage::Compile => SetupStageJson::Compile,
        SetupStage::WarmUp => SetupStageJson::WarmUp,
        _ => return None,
    })
}

fn progress_json(progress: Progress) -> Option<ProgressJson> {
    Some(match progress {
        Progress::Started { total } => ProgressJson::Started { total },
        Progress::Advanced { done } => ProgressJson::Advanced { done },
        Progress::Finished => ProgressJson::Finished,
        _ => return None,
    })
}

fn server_state_json(state: ServerState) -> Option<ServerStateJson> {
    Some(match state {
        ServerState::Ready => ServerStateJson::Ready,
        ServerState::Changed => ServerStateJson::Changed,
        ServerState::Refused => ServerStateJson::Refused,
        ServerState::Disconnected => ServerStateJson::Disconnected,
        _ => return None,
    })
}

fn ending_json(ending: RunEnding) -> Option<RunEndingJson> {
    Some(match ending {
        RunEnding::Answered => RunEndingJson::Answered,
        RunEnding::OutOfSteps => RunEndingJson::OutOfSteps,
        RunEnding::Suspended => RunEndingJson::Suspended,
        RunEnding::Cancelled => RunEndingJson::Cancelled,
        RunEnding::Failed => RunEndingJson::Failed,
        RunEnding::Error => RunEndingJson::Error,
        _ => return None,
    })
}
