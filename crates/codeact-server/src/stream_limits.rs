//! Time limits of connections and bodies. A slow or silent client must not hold resources.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::body_budget::{BodyBudget, HeldBody};
use crate::error::ApiError;

/// Time in which a client must show which version of HTTP it speaks.
const VERSION_TIME: Duration = Duration::from_secs(10);
/// Time in which a client must take some of the bytes that are sent to it.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// Time for the body of a request in addition to that of its size.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Least rate of a request's body, in bytes per second.
const BODY_RATE: u64 = 4096;
/// Time in which the next bytes of a body must arrive.
const BODY_IDLE: Duration = Duration::from_secs(10);
/// Time for a whole body, and the bytes for which there is one second more. Otherwise a client could send most of a body
/// at once, and then earn hours for the rest.
const BODY_TOTAL: Duration = Duration::from_secs(300);
const BODY_TOTAL_RATE: u64 = 1 << 20;
/// First bytes of HTTP/2.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection with time limits for the first bytes and for writing.
pub(crate) struct TimedStream<S, G> {
    inner: S,
    /// Dropped with the connection.
    _slot: G,
    /// Until the version of HTTP is known: its limit, and the number of bytes of [`HTTP2`] that were read.
    version: Option<(Pin<Box<Sleep>>, usize)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S, G> TimedStream<S, G> {
    /// Returns `inner` with the limits. `slot` is dropped with it.
    pub(crate) fn new(inner: S, slot: G) -> Self {
        Self {
            inner,
            _slot: slot,
            version: Some((Box::pin(sleep(VERSION_TIME)), 0)),
            writing: None,
        }
    }

    /// Bounds the time for which a write is pending.
    fn timed<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let limit = self
            .writing
            .get_or_insert_with(|| Box::pin(sleep(WRITE_TIME)));
        ready!(limit.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin, G: Unpin> AsyncRead for TimedStream<S, G> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(cx, buf);
        let Some((limit, matched)) = &mut this.version else {
            return read;
        };
        if read.is_pending() {
            ready!(limit.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let new = buf.filled().get(before..).unwrap_or_default();
        let expected = HTTP2.get(*matched..).unwrap_or_default();
        *matched += new.len();
        if !expected.starts_with(new) || new.len() == expected.len() {
            this.version = None;
        }
        read
    }
}

impl<S: AsyncWrite + Unpin, G: Unpin> AsyncWrite for TimedStream<S, G> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.timed(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.timed(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.timed(cx, shut)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Middleware of all routes: gives the request's body a time limit, and a share of the memory for bodies.
pub(crate) async fn timed_body(
    State(budget): State<Arc<BodyBudget>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.body().is_end_stream() {
        return Ok(next.run(request).await);
    }
    let held = budget.begin();
    let request = request.map(|body| Body::new(TimedBody::new(body, held.clone())));
    let response = next.run(request).await;
    held.check()?;
    Ok(response)
}

/// A request's body that fails if it is too slow.
struct TimedBody {
    inner: Body,
    /// Time at which it was first read.
    started: Option<Instant>,
    /// Time at which bytes last came.
    last: Option<Instant>,
    bytes: u64,
    limit: Option<Pin<Box<Sleep>>>,
    held: Arc<HeldBody>,
}

impl TimedBody {
    fn new(inner: Body, held: Arc<HeldBody>) -> Self {
        Self {
            inner,
            started: None,
            last: None,
            bytes: 0,
            limit: None,
            held,
        }
    }
}

impl HttpBody for TimedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let started = *this.started.get_or_insert_with(Instant::now);
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                this.bytes = this.bytes.saturating_add(bytes as u64);
                if bytes > 0 {
                    this.last = Some(Instant::now());
                }
                if !this.held.add(bytes as u64) {
                    let error = io::Error::other("the server holds too many bodies of requests");
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let deadline = (this.last.unwrap_or(started) + BODY_IDLE)
            .min(started + BODY_TIME + Duration::from_secs(this.bytes / BODY_RATE))
            .min(started + BODY_TOTAL + Duration::from_secs(this.bytes / BODY_TOTAL_RATE));
        let limit = this.limit.get_or_insert_with(|| Box::pin(sleep(BODY_IDLE)));
        limit.as_mut().reset(deadline);
        ready!(limit.as_mut().poll(cx));
        let error = io::Error::new(
            io::ErrorKind::TimedOut,
            "the body of the request is too slow",
        );
        Poll::Ready(Some(Err(error.into())))
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
    use super::*;

    use futures_util::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test(start_paused = true)]
    async fn a_client_that_sends_nothing_is_disconnected() {
        let (_client, server) = tokio::io::duplex(64);
        let mut server = TimedStream::new(server, ());
        let error = server.read_u8().await.expect_err("a limit");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_bytes_of_http_2_do_not_end_the_limit() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = TimedStream::new(server, ());
        client.write_all(b"PRI").await.expect("room");
        let mut read = [0; 3];
        server.read_exact(&mut read).await.expect("the bytes");
        let error = server.read_u8().await.expect_err("a limit");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_line_ends_the_limit() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = TimedStream::new(server, ());
        client.write_all(b"PUT").await.expect("room");
        let mut read = [0; 3];
        server.read_exact(&mut read).await.expect("the bytes");
        let later = tokio::time::timeout(10 * VERSION_TIME, server.read_u8());
        assert!(later.await.is_err(), "the connection stays open");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_disconnected() {
        let (_client, server) = tokio::io::duplex(4);
        let mut server = TimedStream::new(server, ());
        let error = server
            .write_all(b"more than fits")
            .await
            .expect_err("a limit");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_below_the_least_rate_fails() {
        let frames = futures_util::stream::unfold((), |()| async {
            sleep(Duration::from_secs(5)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), ()))
        });
        let body = Body::from_stream(frames);
        assert!(fails_after(body).await < 2 * BODY_TIME);
    }

    /// Reads a body that never ends, and returns the time until it fails.
    async fn fails_after(body: Body) -> Duration {
        let timed = TimedBody::new(body, BodyBudget::new(1 << 30).begin());
        let start = Instant::now();
        let error = axum::body::to_bytes(Body::new(timed), usize::MAX).await;
        assert!(error.is_err(), "it never ends");
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_that_came_at_once_buy_no_time_for_the_rest() {
        let most = || Ok::<_, io::Error>(Bytes::from(vec![0; 62 << 20]));
        let first = futures_util::stream::once(async move { most() });
        let silent = first.chain(futures_util::stream::pending());
        assert_eq!(fails_after(Body::from_stream(silent)).await, BODY_IDLE);
        let first = futures_util::stream::once(async move { most() });
        let slow = futures_util::stream::unfold((), |()| async {
            sleep(Duration::from_secs(9)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b"x")), ()))
        });
        let after = fails_after(Body::from_stream(first.chain(slow))).await;
        assert!(after <= BODY_TOTAL + Duration::from_secs(62), "{after:?}");
    }
}
