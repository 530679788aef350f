//! Asking the model for its next reply.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::history::History;
use super::observation;
use super::repetition::Repetition;
use super::run::Agent;
use crate::error::Error;
use crate::event::Event;
use crate::llm::{ModelEvent, Request};

impl Agent {
    /// The model's next reply, and whether it was cut because it repeated itself without end;
    /// `None` when the run was cancelled meanwhile.
    pub(super) async fn ask(
        &self,
        step: u32,
        history: &History,
    ) -> Result<Option<(String, bool)>, Error> {
        self.events.emit(Event::StepStarted { step });
        let messages = history.messages();
        let stop = [format!("\n{}", observation::PREFIX)];
        let request = Request {
            messages: &messages,
            stop: &stop,
            seed: self.seed,
            ..Request::default()
        };
        let seen = Mutex::new(Repetition::default());
        let seen = || seen.lock().unwrap_or_else(PoisonError::into_inner);
        let endless = Notify::new();
        let watch = |event: ModelEvent<'_>| match event {
            ModelEvent::Delta(text) => {
                if seen().push(text) {
                    endless.notify_one();
                }
                self.events.emit(Event::ReplyDelta { text: text.into() });
            }
            ModelEvent::Retry {
                attempt,
                wait,
                reason,
            } => {
                *seen() = Repetition::default();
                self.events.emit(Event::ModelRetry {
                    attempt,
                    wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    reason: reason.into(),
                });
            }
        };
        let whole = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(None),
            () = endless.notified() => None,
            reply = self.model.complete(request, &watch) => Some(reply?.text),
        };
        let cut = whole.is_none();
        let text = whole.unwrap_or_else(|| seen().beginning().to_owned());
        self.events.emit(Event::Reply {
            step,
            text: text.clone(),
        });
        Ok(Some((text, cut)))
    }
}
