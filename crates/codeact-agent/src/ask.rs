//! Requests the next reply of the model.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::error::AgentError;
use super::history::History;
use super::own_text::OwnText;
use super::repetition::Repetition;
use super::run::Agent;
use codeact_base::event::Event;
use codeact_llm::{FinishReason, ModelEvent, Request};

/// Message for the model if its reply was stopped because it repeated itself.
const REPETITIVE: &str = "Your reply repeated the same text over and over, so it was stopped and \
                       nothing was run. Send a short reply: one sentence, then one ```python \
                       block. Do not write results or calculations as text; let the code \
                       compute them.";
/// Message for the model if its reply reached the length limit. An incomplete program is not run.
const TOO_LONG: &str = "Your reply was cut off at the length limit, so nothing was run. Send a \
                        shorter one: one sentence, then one ```python block; work in several \
                        steps where the code is long.";

/// A reply that is being received.
#[derive(Default)]
struct GrowingReply {
    own: OwnText,
    repetition: Repetition,
    repeats: bool,
}

/// A reply of the model.
pub(super) struct ModelReply {
    pub(super) text: String,
    /// Message for the model if the reply is incomplete. Its code must not run.
    pub(super) incomplete: Option<&'static str>,
}

impl Agent {
    /// Returns the next reply of the model; `None` if the run was cancelled meanwhile.
    pub(super) async fn ask(
        &self,
        step: u32,
        history: &History,
    ) -> Result<Option<ModelReply>, AgentError> {
        self.events.emit(Event::StepStarted { step });
        let messages = history.messages();
        let request = Request::new(&messages).seed(self.seed);
        let growing = Mutex::new(GrowingReply::default());
        let growing = || growing.lock().unwrap_or_else(PoisonError::into_inner);
        let stopped = Notify::new();
        let emit = |text: &str| {
            if !text.is_empty() {
                self.events.emit(Event::ReplyDelta { text: text.into() });
            }
        };
        let watch = |event: ModelEvent<'_>| match event {
            ModelEvent::Delta(text) => {
                let mut growing = growing();
                growing.repeats |= growing.repetition.push(text);
                emit(growing.own.push(text));
                if growing.repeats || growing.own.has_ended() {
                    stopped.notify_one();
                }
            }
            ModelEvent::Retry {
                attempt,
                wait,
                reason,
            } => {
                *growing() = GrowingReply::default();
                self.events.emit(Event::ModelRetry {
                    attempt,
                    wait_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                    reason: reason.into(),
                });
            }
            _ => {}
        };
        let reply = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(None),
            () = stopped.notified() => None,
            reply = self.model.complete(request, &watch) => Some(reply?),
        };
        let mut growing = growing();
        emit(growing.own.finish());
        let (text, incomplete) = match reply {
            None if growing.own.has_ended() => (growing.own.text().to_owned(), None),
            None => (growing.repetition.beginning().to_owned(), Some(REPETITIVE)),
            Some(reply) => {
                let is_cut = reply.finish == FinishReason::Length;
                (OwnText::of(&reply.text), is_cut.then_some(TOO_LONG))
            }
        };
        self.events.emit(Event::Reply {
            step,
            text: text.clone(),
        });
        Ok(Some(ModelReply { text, incomplete }))
    }
}
