//! Asking the model for its next reply.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::history::History;
use super::observation;
use super::repetition::Repetition;
use super::run::Agent;
use crate::error::Error;
use crate::event::Event;
use crate::llm::{FinishReason, ModelEvent, Request};

/// What a model is told whose reply did not end.
const ENDLESS: &str = "Your reply repeated the same text over and over, so it was stopped and \
                       nothing was run. Send a short reply: one sentence, then one ```python \
                       block. Do not write results or calculations as text; let the code \
                       compute them.";
/// What a model is told whose reply ran into its limit: half a program is not run.
const TOO_LONG: &str = "Your reply was cut off at the length limit, so nothing was run. Send a \
                        shorter one: one sentence, then one ```python block; work in several \
                        steps where the code is long.";

/// A reply.
pub(super) struct Said {
    pub(super) text: String,
    /// Why it is not whole, and so not to be acted on, as the model is told.
    pub(super) cut: Option<&'static str>,
}

impl Agent {
    /// The model's next reply; `None` when the run was cancelled meanwhile.
    pub(super) async fn ask(&self, step: u32, history: &History) -> Result<Option<Said>, Error> {
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
            reply = self.model.complete(request, &watch) => Some(reply?),
        };
        let (text, cut) = match whole {
            None => (seen().beginning().to_owned(), Some(ENDLESS)),
            Some(reply) if reply.finish == FinishReason::Length => (reply.text, Some(TOO_LONG)),
            Some(reply) => (reply.text, None),
        };
        self.events.emit(Event::Reply {
            step,
            text: text.clone(),
        });
        Ok(Some(Said { text, cut }))
    }
}
