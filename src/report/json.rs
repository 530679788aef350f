//! JSON on stdout: the formats of [`codeact::wire`].

use std::io::{IsTerminal, Write};

use codeact::event::EventSink;
use codeact::wire::{ChangeJson, EventJson, ExecutionJson};
use codeact_base::text::shown_json;
use serde::Serialize;

/// The output of `exec --json`.
#[derive(Debug, Serialize)]
pub(crate) struct ExecJson {
    /// The result of the turn.
    #[serde(flatten)]
    pub(crate) execution: ExecutionJson,
    /// The changes in mounts and in the home folder, with diffs if `--diff` is given.
    pub(crate) changes: Vec<ChangeJson>,
    /// True if the changes of `commit` mounts were written back.
    pub(crate) written_back: bool,
}

/// Returns a sink that prints each event as a line of JSON.
pub(crate) fn lines() -> EventSink {
    EventSink::new(|event| {
        if let Some(event) = EventJson::from_event(event) {
            // If the reader has closed the pipe, the run continues.
            let _ = print(&event);
        }
    })
}

/// Prints `value` as a line of JSON on stdout.
pub(crate) fn print(value: &impl Serialize) -> std::io::Result<()> {
    print_json(serde_json::to_string(value)?)
}

/// Prints `value` as JSON on stdout, in several lines.
pub(crate) fn print_pretty(value: &impl Serialize) -> std::io::Result<()> {
    print_json(serde_json::to_string_pretty(value)?)
}

fn print_json(mut json: String) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        json = shown_json(&json);
    }
    json.push('\n');
    out.write_all(json.as_bytes())?;
    out.flush()
}
