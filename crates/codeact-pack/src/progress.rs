//! Progress events of one stage of an installation.

use codeact_base::event::{Event, EventSink, Progress, SetupStage};

/// Minimum distance of two progress events, in bytes.
const MIN_STEP_BYTES: u64 = 1 << 20;

/// Emits the progress events of one stage, at most one per MiB.
pub(crate) struct ProgressReporter<'a> {
    stage: SetupStage,
    events: &'a EventSink,
    done: u64,
    reported: u64,
}

impl<'a> ProgressReporter<'a> {
    /// Emits the start of `stage`; `total` is its size in bytes if it is known.
    pub(crate) fn start(stage: SetupStage, total: Option<u64>, events: &'a EventSink) -> Self {
        let progress = Self {
            stage,
            events,
            done: 0,
            reported: 0,
        };
        progress.emit(Progress::Started { total });
        progress
    }

    /// Adds `bytes` to the bytes done.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.reach(self.done + bytes);
    }

    /// Sets the bytes done to `done`. A value below the current one has no effect.
    pub(crate) fn reach(&mut self, done: u64) {
        self.done = self.done.max(done);
        if self.done - self.reported >= MIN_STEP_BYTES {
            self.reported = self.done;
            self.emit(Progress::Advanced { done: self.done });
        }
    }

    /// Emits the end of the stage.
    pub(crate) fn finish(self) {
        self.emit(Progress::Finished);
    }

    fn emit(&self, progress: Progress) {
        self.events.emit(Event::Setup {
            stage: self.stage,
            progress,
        });
    }
}
