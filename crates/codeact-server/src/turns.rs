//! Running code for a request, and streaming what it writes while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codeact::event::{Event, EventSink};
use codeact::sandbox::{Cancel, Execution};
use codeact_sessions::manager::ManagerError;
use tokio::sync::mpsc;
use tracing::Instrument;

/// Limit of the bytes of events of one turn that its client has not read yet. Then the turn is stopped: a slow client
/// cannot hold memory. A turn with the default limits of output stays below it.
const MAX_BUFFERED_BYTES: usize = 32 << 20;
/// Limit of these bytes of all turns of the process. Then turns that hold more than [`FAIR_BYTES`] are stopped.
const MAX_ALL_BYTES: usize = 512 << 20;
/// Bytes that a turn may hold in any case.
const FAIR_BYTES: usize = 2 << 20;

/// Bytes of events that wait for their clients, of all turns of the process.
static ALL_BYTES: AtomicUsize = AtomicUsize::new(0);

/// A message of a running turn.
pub(crate) enum TurnMessage<R = Execution> {
    /// Something that happened while the code ran.
    Event(Event),
    /// The end. Nothing follows.
    Ended(Result<R, ManagerError>),
}

/// A turn, or work of several turns, that runs in a task of its own. Dropping it stops the turn.
pub(crate) struct RunningTurn<R = Execution> {
    messages: mpsc::UnboundedReceiver<(TurnMessage<R>, Option<Held>)>,
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
        let (sink_send, sink_cancel) = (send.clone(), cancel.clone());
        let buffered = Arc::new(AtomicUsize::new(0));
        let sink = EventSink::new(move |event: Event| {
            match Held::new(&buffered, size_of_event(&event)) {
                // If the receiver is gone, the turn is being stopped.
                Some(held) => drop(sink_send.send((TurnMessage::Event(event), Some(held)))),
                None => sink_cancel.cancel(),
            }
        });
        let turn = run(sink, cancel.clone());
        let task = async move {
            let ended = turn.await;
            let _ = send.send((TurnMessage::Ended(ended), None));
        };
        tokio::spawn(task.in_current_span());
        Self { messages, cancel }
    }

    /// Returns the next message; `None` after the end. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<TurnMessage<R>> {
        let (message, _held) = self.messages.recv().await?;
        Some(message)
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

/// Bytes of an event that waits for its client.
struct Held {
    of_turn: Arc<AtomicUsize>,
    bytes: usize,
}

impl Held {
    /// Counts `bytes`. Returns `None` if they are too many. An event that waits alone may have any size.
    fn new(of_turn: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let before = of_turn.fetch_add(bytes, Ordering::Relaxed);
        let all = ALL_BYTES.fetch_add(bytes, Ordering::Relaxed);
        let held = Self {
            of_turn: of_turn.clone(),
            bytes,
        };
        let now = before.saturating_add(bytes);
        let is_unfair = now > FAIR_BYTES && all.saturating_add(bytes) > MAX_ALL_BYTES;
        match before == 0 || (now <= MAX_BUFFERED_BYTES && !is_unfair) {
            true => Some(held),
            false => None,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of_turn.fetch_sub(self.bytes, Ordering::Relaxed);
        ALL_BYTES.fetch_sub(self.bytes, Ordering::Relaxed);
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
