//! The server's side of one WebSocket: a bounded queue of outgoing messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use axum::extract::ws;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::message::Message;

/// Limit of the bytes that a client has not read yet. Then its socket is closed: a slow client cannot hold memory.
const MAX_QUEUED_BYTES: usize = 16 << 20;
/// Memory of a queued message in addition to its bytes.
const MESSAGE_BYTES: usize = 128;

/// Status codes of a closed socket.
pub(super) mod close_code {
    /// The kernel or the server is gone.
    pub(in crate::jupyter) const GOING_AWAY: u16 = 1001;
    /// A frame is not a message.
    pub(in crate::jupyter) const INVALID: u16 = 1007;
    /// The client does not read, or has too many requests.
    pub(in crate::jupyter) const POLICY: u16 = 1008;
    /// A frame or message is too large.
    pub(in crate::jupyter) const TOO_BIG: u16 = 1009;
}

/// Why a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

impl Closing {
    pub(super) fn new(code: u16, reason: &'static str) -> Self {
        Self { code, reason }
    }
}

/// A connected client.
pub(super) struct Socket {
    queue: mpsc::UnboundedSender<ws::Message>,
    queued: AtomicUsize,
    v1: bool,
    closing: Mutex<Option<Closing>>,
    closed: CancellationToken,
    /// The code that waits for the reply to an `input_request`.
    input: Mutex<Option<oneshot::Sender<String>>>,
}

/// The receiving end of the queue.
pub(super) type Outgoing = mpsc::UnboundedReceiver<ws::Message>;

impl Socket {
    /// Returns a socket; `v1` is true if it has the binary subprotocol.
    pub(super) fn new(v1: bool) -> (Self, Outgoing) {
        let (queue, outgoing) = mpsc::unbounded_channel();
        let socket = Self {
            queue,
            queued: AtomicUsize::new(0),
            v1,
            closing: Mutex::new(None),
            closed: CancellationToken::new(),
            input: Mutex::new(None),
        };
        (socket, outgoing)
    }

    /// True if the socket has the binary subprotocol.
    pub(super) fn is_v1(&self) -> bool {
        self.v1
    }

    /// Queues a message, or closes the socket if its client reads too slowly.
    pub(super) fn send(&self, message: &Message) {
        if self.closed.is_cancelled() {
            return;
        }
        let frame = message.frame(self.v1);
        let bytes = size(&frame);
        if self.queued.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_QUEUED_BYTES {
            let why = "the client does not read its messages";
            self.close(Closing::new(close_code::POLICY, why));
            return;
        }
        // The receiver is gone: the socket is being closed.
        let _ = self.queue.send(frame);
    }

    /// Counts a message as sent.
    pub(super) fn sent(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Closes the socket. The first reason counts.
    pub(super) fn close(&self, closing: Closing) {
        lock(&self.closing).get_or_insert(closing);
        self.closed.cancel();
        lock(&self.input).take();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_cancelled()
    }

    /// Waits until the socket is closed, and returns the reason.
    pub(super) async fn closed(&self) -> Closing {
        self.closed.cancelled().await;
        let closing = *lock(&self.closing);
        closing.unwrap_or(Closing::new(close_code::GOING_AWAY, "closed"))
    }

    /// Returns a receiver of the next `input_reply`. It fails if the socket is closed.
    pub(super) fn expect_input(&self) -> oneshot::Receiver<String> {
        let (send, receive) = oneshot::channel();
        *lock(&self.input) = Some(send);
        if self.is_closed() {
            lock(&self.input).take();
        }
        receive
    }

    /// Passes an `input_reply` to the code that waits for it, if any does.
    pub(super) fn give_input(&self, text: String) {
        if let Some(waiting) = lock(&self.input).take() {
            // The code has been stopped meanwhile.
            let _ = waiting.send(text);
        }
    }
}

/// Returns the memory of a frame, in bytes.
pub(super) fn size(frame: &ws::Message) -> usize {
    let bytes = match frame {
        ws::Message::Text(text) => text.len(),
        ws::Message::Binary(bytes) => bytes.len(),
        _ => 0,
    };
    bytes + MESSAGE_BYTES
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::jupyter::request::Channel;

    #[test]
    fn a_socket_whose_client_does_not_read_is_closed_with_bounded_memory() {
        let (socket, mut outgoing) = Socket::new(false);
        let content = json!({ "text": "x".repeat(1 << 20) });
        let message = Message::new("s", Channel::Iopub, &Arc::new(json!({})), "stream", content);
        for _ in 0..100 {
            socket.send(&message);
        }
        assert!(socket.is_closed());
        let mut queued = 0;
        while let Ok(frame) = outgoing.try_recv() {
            queued += size(&frame);
        }
        assert!(queued <= MAX_QUEUED_BYTES, "{queued}");
    }
}
