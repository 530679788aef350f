//! Whether a connection is used: its open requests, and whether their responses wait for the client.
//!
//! Security boundary: connections are bounded, so a client must not hold one without use. Answers to pings are no use.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::socket::Link;

/// Time for the first request of a connection.
const FIRST_TIME: Duration = Duration::from_secs(10);
/// Time for the next request, and for the client to take more of a response.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Bytes that a client must take in [`IDLE_TIME`] of a response that it reads slowly.
const LEAST_TAKEN: u64 = 64 << 10;
/// Interval in which a connection with running requests is checked for a client that has hung up.
const TICK: Duration = Duration::from_secs(1);

/// Requests of a connection.
pub(crate) struct Activity {
    state: Mutex<State>,
    begun: Notify,
}

struct State {
    open: usize,
    /// Those of `open` whose responses wait for the client.
    blocked: usize,
    /// Time of the last change.
    since: Instant,
    /// True after the first request.
    was_used: bool,
}

/// Why a connection is to be closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unused {
    /// No request is open, or the client takes nothing of the responses.
    Idle,
    /// The client has closed the connection while requests are open.
    HungUp,
}

impl Activity {
    pub(crate) fn new() -> Arc<Self> {
        let state = State {
            open: 0,
            blocked: 0,
            since: Instant::now(),
            was_used: false,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            begun: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request. It is open until the returned value is dropped.
    pub(crate) fn begin(self: &Arc<Self>) -> OpenRequest {
        let mut state = self.state();
        state.open += 1;
        state.was_used = true;
        state.since = Instant::now();
        drop(state);
        self.begun.notify_one();
        OpenRequest {
            activity: self.clone(),
            is_blocked: false,
        }
    }

    /// Gives the client the whole time again.
    pub(crate) fn renew(&self) {
        self.state().since = Instant::now();
    }

    /// Returns the time at which the connection is unused; `None` while the server works on a request.
    fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        let limit = match state.was_used {
            true => IDLE_TIME,
            false => FIRST_TIME,
        };
        (state.open <= state.blocked).then(|| state.since + limit)
    }

    /// Returns when the connection is unused. Cancel safe.
    pub(crate) async fn unused(&self, link: &impl Link) -> Unused {
        let mut taken = link.written();
        let mut was_closed = false;
        loop {
            let Some(deadline) = self.deadline() else {
                sleep(TICK).await;
                // Twice, as the protocol may notice it first, and reads what is left.
                let is_closed = self.deadline().is_none() && link.is_closed_by_peer();
                if is_closed && was_closed {
                    return Unused::HungUp;
                }
                was_closed = is_closed;
                continue;
            };
            was_closed = false;
            if timeout_at(deadline, self.begun.notified()).await.is_ok() {
                continue;
            }
            if self.deadline().is_some_and(|at| at <= Instant::now()) {
                let now_taken = link.written();
                if now_taken.saturating_sub(taken) < LEAST_TAKEN {
                    return Unused::Idle;
                }
                taken = now_taken;
                self.renew();
            }
        }
    }
}

/// An open request of a connection.
pub(crate) struct OpenRequest {
    activity: Arc<Activity>,
    is_blocked: bool,
}

impl OpenRequest {
    /// Returns `body`, with which the request ends.
    pub(crate) fn respond(mut self, body: Body) -> TrackedBody {
        self.set_blocked(true);
        TrackedBody {
            inner: body,
            request: self,
        }
    }

    fn set_blocked(&mut self, is_blocked: bool) {
        if self.is_blocked == is_blocked {
            return;
        }
        self.is_blocked = is_blocked;
        let mut state = self.activity.state();
        state.since = Instant::now();
        state.blocked = match is_blocked {
            true => state.blocked + 1,
            false => state.blocked.saturating_sub(1),
        };
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.set_blocked(false);
        let mut state = self.activity.state();
        state.open = state.open.saturating_sub(1);
        state.since = Instant::now();
    }
}

/// The body of a response. HTTP asks for its next frame only when the client can take more.
pub(crate) struct TrackedBody {
    inner: Body,
    request: OpenRequest,
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        let frame = Pin::new(&mut this.inner).poll_frame(cx);
        // A frame is a change, also if the next one was waited for before.
        this.request.set_blocked(false);
        if frame.is_ready() {
            this.request.set_blocked(true);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use super::*;

    #[derive(Default)]
    struct TestLink {
        written: AtomicU64,
        is_closed: AtomicBool,
    }

    impl Link for TestLink {
        fn written(&self) -> u64 {
            self.written.load(Ordering::Relaxed)
        }

        fn is_closed_by_peer(&self) -> bool {
            self.is_closed.load(Ordering::Relaxed)
        }
    }

    async fn end(activity: &Activity, link: &TestLink) -> (Unused, Duration) {
        let start = Instant::now();
        (activity.unused(link).await, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_unused_soon_and_later_after_one() {
        let (activity, link) = (Activity::new(), TestLink::default());
        let (unused, after) = end(&activity, &link).await;
        assert_eq!((unused, after.as_secs()), (Unused::Idle, 10));
        drop(activity.begin());
        let (unused, after) = end(&activity, &link).await;
        assert_eq!((unused, after.as_secs()), (Unused::Idle, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_request_keeps_the_connection_until_its_client_hangs_up() {
        let (activity, link) = (Activity::new(), TestLink::default());
        let _request = activity.begin();
        let ended = tokio::time::timeout(100 * IDLE_TIME, activity.unused(&link)).await;
        assert!(ended.is_err(), "the server works");
        link.is_closed.store(true, Ordering::Relaxed);
        assert_eq!(activity.unused(&link).await, Unused::HungUp);
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_that_the_client_does_not_take_is_no_use_of_the_connection() {
        let (activity, link) = (Activity::new(), TestLink::default());
        let mut body = activity.begin().respond(Body::from("content"));
        let (unused, after) = end(&activity, &link).await;
        assert_eq!((unused, after.as_secs()), (Unused::Idle, 60));
        // Large buffered parts are taken without further frames.
        activity.renew();
        link.written.store(1, Ordering::Relaxed);
        let slow = async {
            loop {
                sleep(IDLE_TIME / 2).await;
                link.written.fetch_add(LEAST_TAKEN, Ordering::Relaxed);
            }
        };
        tokio::select! {
            unused = activity.unused(&link) => panic!("{unused:?}"),
            () = slow => {}
            () = sleep(10 * IDLE_TIME) => {}
        }
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        assert!(frame.is_some_and(|frame| frame.is_ok()));
    }
}
