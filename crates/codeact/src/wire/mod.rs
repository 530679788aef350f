//! JSON formats of executions, changes, tools and events.
//!
//! The command, servers and bindings share these types. They are independent of the library's own types: a format
//! changes only if its type here changes. Later versions may add fields and values, and programs that read the formats
//! ignore those that they do not know.
//!
//! Sizes are in bytes, times in milliseconds. A field without a value is `null`, unless its documentation says that it
//! is absent.
//!
//! ```
//! use codeact::event::{Event, Stream};
//! use codeact::wire::EventJson;
//!
//! let event = Event::Output { stream: Stream::Stdout, text: "hello\n".into() };
//! let line = serde_json::to_string(&EventJson::from_event(event))?;
//! assert_eq!(line, r#"{"type":"output","stream":"stdout","text":"hello\n"}"#);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod change;
mod event;
mod execution;
mod server;
#[cfg(test)]
mod tests;
#[cfg(feature = "tools")]
mod tool;

pub use change::{ChangeJson, ChangeKindJson};
pub use event::{
    EventJson, ProgressJson, RunEndingJson, ServerStateJson, SetupStageJson, StreamJson,
};
pub use execution::{
    BundleJson, DisplayJson, ErrorJson, ExecutionJson, FrameJson, InterruptedJson, UsageJson,
    stop_message, truncation_notice,
};
pub use server::{
    ChangedFileJson, FileInfoJson, FileKindJson, LimitsJson, ReturnedFileJson, RunJson,
    RunStepJson, ServerExecutionJson, SessionJson, SessionStatusJson, TurnJson, VariableJson,
};
#[cfg(feature = "tools")]
pub use tool::ToolJson;
