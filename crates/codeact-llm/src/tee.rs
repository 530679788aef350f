//! A model that reports its replies to a callback as well, for example to record them.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Completion, FinishReason, Model, ModelEvent, Request, Watch};
use crate::recorded::Finish;

type ReplyCallback = Box<dyn Fn(&str, Finish) + Send + Sync>;

/// A model that forwards calls to another one and reports its replies.
pub struct TeeModel {
    model: Arc<dyn Model>,
    on_reply: ReplyCallback,
}

impl TeeModel {
    /// Returns a model that forwards calls to `model` and calls `on_reply` with each reply. If a call is dropped
    /// before its end, `on_reply` receives the text so far.
    pub fn new(
        model: Arc<dyn Model>,
        on_reply: impl Fn(&str, Finish) + Send + Sync + 'static,
    ) -> Self {
        Self {
            model,
            on_reply: Box::new(on_reply),
        }
    }
}

impl Model for TeeModel {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
        Box::pin(async move {
            let partial = PartialReply {
                text: Mutex::default(),
                on_reply: &self.on_reply,
            };
            let observe = |event: ModelEvent<'_>| {
                let mut text = partial.text.lock().unwrap_or_else(PoisonError::into_inner);
                match &event {
                    ModelEvent::Delta(delta) => text.get_or_insert_default().push_str(delta),
                    // The text of the failed attempt is void.
                    ModelEvent::Retry { .. } => *text = None,
                }
                drop(text);
                watch(event);
            };
            let reply = self.model.complete(request, &observe).await;
            partial.take();
            let reply = reply?;
            let finish = match reply.finish {
                FinishReason::Length => Finish::Length,
                _ => Finish::Stop,
            };
            (self.on_reply)(&reply.text, finish);
            Ok(reply)
        })
    }
}

/// The text of a running call. If it is dropped before the end, the text so far is reported.
struct PartialReply<'a> {
    text: Mutex<Option<String>>,
    on_reply: &'a ReplyCallback,
}

impl PartialReply<'_> {
    fn take(&self) -> Option<String> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.take()
    }
}

impl Drop for PartialReply<'_> {
    fn drop(&mut self) {
        if let Some(text) = self.take() {
            (self.on_reply)(&text, Finish::Cut);
        }
    }
}
