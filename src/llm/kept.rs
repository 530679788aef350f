//! A model whose replies are told to somebody else as well, e.g. to be recorded.

use std::sync::{Arc, Mutex, PoisonError};

use super::model::{Completion, FinishReason, Model, ModelEvent, Request, Watch};
use super::recorded::Finish;

type Keep = Box<dyn Fn(&str, Finish) + Send + Sync>;

/// Another model, and whoever is told its replies.
pub struct KeptModel {
    model: Arc<dyn Model>,
    keep: Keep,
}

impl KeptModel {
    /// Tells `keep` each reply of `model`, whole or as far as it came.
    pub fn new(model: Arc<dyn Model>, keep: impl Fn(&str, Finish) + Send + Sync + 'static) -> Self {
        Self {
            model,
            keep: Box::new(keep),
        }
    }
}

impl Model for KeptModel {
    fn name(&self) -> &str {
        self.model.name()
    }

    fn complete<'a>(&'a self, request: Request<'a>, watch: Watch<'a>) -> Completion<'a> {
        Box::pin(async move {
            let begun = Begun {
                text: Mutex::default(),
                keep: &self.keep,
            };
            let heard = |event: ModelEvent<'_>| {
                let mut text = begun.text.lock().unwrap_or_else(PoisonError::into_inner);
                match &event {
                    ModelEvent::Delta(delta) => text.get_or_insert_default().push_str(delta),
                    // It begins anew.
                    ModelEvent::Retry { .. } => *text = None,
                }
                drop(text);
                watch(event);
            };
            let reply = self.model.complete(request, &heard).await;
            begun.take();
            let reply = reply?;
            let finish = match reply.finish {
                FinishReason::Length => Finish::Length,
                _ => Finish::Stop,
            };
            (self.keep)(&reply.text, finish);
            Ok(reply)
        })
    }
}

/// A reply on its way. Dropped before its end, it is told as far as it came.
struct Begun<'a> {
    text: Mutex<Option<String>>,
    keep: &'a Keep,
}

impl Begun<'_> {
    fn take(&self) -> Option<String> {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.take()
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(text) = self.take() {
            (self.keep)(&text, Finish::Cut);
        }
    }
}
