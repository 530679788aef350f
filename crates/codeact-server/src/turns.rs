//! Running code for a request, and streaming what it writes while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codeact::event::{Event, EventSink};
use codeact::sandbox::{Cancel, Execution};
use codeact_sessions::manager::ManagerError;
use tokio::sync::mpsc;
use tracing::Instrument;

/// Limit of the bytes of events that a client has not read yet. Then its turn is stopped: a slow client cannot hold
/// memory. An event that is larger, such as a picture, passes if the client has read all others.
const MAX_BUFFERED_BYTES: usize = 2 << 20;

/// A message of a running turn.
pub(crate) enum TurnMessage<R = Execution> {
    /// Something that happened while the code ran.
    Event(Event),
    /// The end. Nothing follows.
    Ended(Result<R, ManagerError>),
}

/// A turn, or work of several turns, that runs in a task of its own. Dropping it stops the turn.
pub(crate) struct RunningTurn<R = Execution> {
    messages: mpsc::UnboundedReceiver<TurnMessage<R>>,
    buffered: Arc<AtomicUsize>,
    cancel: Cancel,
}

impl<R: Send + 'static> RunningTurn<R> {
    /// Starts `run`, which gets the sink of the turn's events and a handle that stops it.
    pub(crate) fn start<F>(run: impl FnOnce(EventSink, Cancel) -> F) -> Self
    where
        F: Future<Output = Result<R, ManagerError>> + Send + 'static,
    {
        let (send, messages) = mpsc::unbounded_channel();
        let cancel = Cancel::new();
        let buffered = Arc::new(AtomicUsize::new(0));
        let (sink_send, sink_cancel, sink_buffered) =
            (send.clone(), cancel.clone(), buffered.clone());
        let sink = EventSink::new(move |event: Event| {
            let bytes = size_of_event(&event);
            let before = sink_buffered.fetch_add(bytes, Ordering::Relaxed);
            if before > 0 && before.saturating_add(bytes) > MAX_BUFFERED_BYTES {
                sink_cancel.cancel();
                return;
            }
            // The receiver is gone: the turn is being stopped.
            let _ = sink_send.send(TurnMessage::Event(event));
        });
        let turn = run(sink, cancel.clone());
        let task = async move {
            let ended = turn.await;
            let _ = send.send(TurnMessage::Ended(ended));
        };
        tokio::spawn(task.in_current_span());
        Self {
            messages,
            buffered,
            cancel,
        }
    }

    /// Returns the next message; `None` after the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<TurnMessage<R>> {
        let message = self.messages.recv().await;
        if let Some(TurnMessage::Event(event)) = &message {
            self.buffered
                .fetch_sub(size_of_event(event), Ordering::Relaxed);
        }
        message
    }

    /// Returns the handle that stops the turn.
    pub(crate) fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}

impl<R> Drop for RunningTurn<R> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Returns the approximate memory of `event`, in bytes.
fn size_of_event(event: &Event) -> usize {
    let content = match event {
        Event::Output { text, .. }
        | Event::ReplyDelta { text }
        | Event::Reply { text, .. }
        | Event::Observation { text, .. } => text.len(),
        Event::CodeStarted { code, .. } => code.len(),
        Event::Tool { arguments, .. } => arguments.len(),
        Event::Bundle { data, .. } => data
            .values()
            .map(|value| value.as_str().map_or(256, str::len))
            .sum(),
        _ => 0,
    };
    content + 128
}

#[cfg(test)]
mod tests {
    use codeact::sandbox::Outcome;

    use super::*;

    fn reply(bytes: usize) -> Event {
        Event::ReplyDelta {
            text: "x".repeat(bytes),
        }
    }

    #[tokio::test]
    async fn a_large_event_passes_and_one_that_is_not_read_stops_the_turn() {
        let mut turn = RunningTurn::start(|sink, cancel| async move {
            sink.emit(reply(2 * MAX_BUFFERED_BYTES));
            assert!(!cancel.is_cancelled(), "the first one");
            sink.emit(reply(1));
            cancel.cancelled().await;
            Ok(Execution::new(Outcome::Completed))
        });
        let first = turn.next().await;
        assert!(matches!(first, Some(TurnMessage::Event(_))));
        let ended = turn.next().await;
        assert!(matches!(ended, Some(TurnMessage::Ended(Ok(_)))));
    }
}
