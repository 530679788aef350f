//! Recordings of `exec --record` and `run --record`: the data that the command adds to the turns.

use std::path::Path;
use std::sync::Arc;

use codeact::agent::Ending;
use codeact::llm::{Finish, Model, TeeModel};
use codeact::sandbox::Recorder;
use serde::{Deserialize, Serialize};

use super::store::ActiveSession;

/// The recorded command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CommandNote {
    /// `exec`.
    Exec,
    /// `run`.
    Run(RunNote),
}

/// The arguments of a recorded `run`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct RunNote {
    pub(super) task: String,
    pub(super) input: Option<String>,
    pub(super) once: bool,
    pub(super) max_steps: u32,
    pub(super) seed: Option<u64>,
    pub(super) variables: bool,
}

/// An event of an agent's run that a replay needs.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunEvent {
    /// A reply of the model.
    Reply { text: String, finish: Finish },
    /// The run was cancelled.
    Cancelled,
}

/// Begins a recording of `session` in `file`.
pub(super) fn record(
    file: &Path,
    session: &mut ActiveSession,
    note: &CommandNote,
) -> anyhow::Result<Recorder> {
    let recorder = Recorder::create(file, session.session(), serde_json::to_value(note)?)?;
    session.record(&recorder);
    Ok(recorder)
}

/// Returns `model` such that each of its replies is recorded.
pub(super) fn tee(model: Arc<dyn Model>, recorder: &Recorder) -> Arc<dyn Model> {
    let recorder = recorder.clone();
    Arc::new(TeeModel::new(model, move |text, finish| {
        let text = text.to_owned();
        add_event(&recorder, &RunEvent::Reply { text, finish });
    }))
}

/// Records the ending of an agent's run, if nothing else in the recording shows it, and completes the recording.
pub(super) fn finish_run(recorder: &Recorder, ending: &Ending) -> anyhow::Result<()> {
    if *ending == Ending::Cancelled {
        add_event(recorder, &RunEvent::Cancelled);
    }
    Ok(recorder.finish()?)
}

fn add_event(recorder: &Recorder, event: &RunEvent) {
    // Plain data always serialises.
    if let Ok(value) = serde_json::to_value(event) {
        recorder.note(value);
    }
}
