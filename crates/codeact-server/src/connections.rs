//! Accepts connections and serves HTTP/1.1 and HTTP/2 on them, within limits.
//!
//! Security boundary: clients are hostile. The number of connections, the size, count and time of headers, and the
//! number of streams are bounded here; the time without use in `activity`, the time of bodies in `stream_limits`, their
//! size in `router`.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::activity::{Activity, Unused};
use crate::peers::Peers;
use crate::socket::Socket;
use crate::stream_limits::TimedStream;

/// Time for the head of a request, also for the next one on the same connection.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Limit of the head of a request, in bytes, and of the bytes that are buffered for a connection.
const MAX_HEAD_BYTES: usize = 64 << 10;
/// Limit of the headers of a request.
const MAX_HEADERS: usize = 100;
/// Limit of the concurrent requests of an HTTP/2 connection.
const MAX_STREAMS: u32 = 32;
/// Window of an HTTP/2 stream, and of a connection, in bytes.
const WINDOW_BYTES: u32 = 1 << 20;
/// Interval of the pings that find dead HTTP/2 connections, and the time for their answers.
const PING_TIME: Duration = Duration::from_secs(20);
/// Pause after the system has refused a connection, for example because there are no descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Answer if there are too many connections.
const BUSY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Open connections.
pub(crate) struct Connections {
    open: JoinSet<()>,
    slots: Arc<Semaphore>,
    peers: Arc<Peers>,
    /// True when they shall end after their requests.
    ending: watch::Sender<bool>,
    builder: Builder<TokioExecutor>,
    router: Router,
}

impl Connections {
    /// Returns the connections to `router`, of which `max` can be open, and half of them to one address.
    pub(crate) fn new(router: Router, max: usize) -> Self {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(MAX_HEAD_BYTES as u32)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .keep_alive_interval(PING_TIME)
            .keep_alive_timeout(PING_TIME);
        Self {
            open: JoinSet::new(),
            slots: Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS))),
            peers: Peers::new(max.div_ceil(2)),
            ending: watch::Sender::new(false),
            builder,
            router,
        }
    }

    /// Accepts connections until `stop` completes.
    pub(crate) async fn accept(
        &mut self,
        listener: &TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), io::Error> {
        let mut stop = std::pin::pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => return Ok(()),
                Some(_) = self.open.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.open(stream, peer),
                Err(error) if is_of_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn open(&mut self, stream: TcpStream, peer: std::net::SocketAddr) {
        let slot = self.slots.clone().try_acquire_owned().ok();
        let Some(slot) = slot.zip(self.peers.add(peer.ip())) else {
            // What does not fit into the buffer of a new connection is not sent.
            let _ = stream.try_write(BUSY);
            return;
        };
        // Responses are small, and wait for nothing.
        let _ = stream.set_nodelay(true);
        let router = self.router.clone();
        let activity = Activity::new();
        let requests = activity.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let open = requests.begin();
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            let response = router.clone().oneshot(request);
            async move {
                let response = response.await?;
                Ok::<_, Infallible>(response.map(|body| open.respond(body)))
            }
        });
        let (builder, mut ending) = (self.builder.clone(), self.ending.subscribe());
        let socket = Socket::new(stream);
        let link = socket.link();
        // The slot goes with the stream, which an upgraded connection keeps.
        let io = TokioIo::new(TimedStream::new(socket, slot));
        self.open.spawn(async move {
            let connection = builder.serve_connection_with_upgrades(io, service);
            let mut connection = std::pin::pin!(connection);
            let mut is_idle = false;
            let ended = loop {
                let is_ending = async { drop(ending.wait_for(|ending| *ending).await) };
                tokio::select! {
                    ended = connection.as_mut() => break ended,
                    () = is_ending => {
                        connection.as_mut().graceful_shutdown();
                        break connection.await;
                    }
                    unused = activity.unused(&*link) => {
                        if unused == Unused::HungUp || is_idle {
                            return;
                        }
                        // A request that is on its way is still answered.
                        is_idle = true;
                        connection.as_mut().graceful_shutdown();
                        activity.renew();
                    }
                }
            };
            // Faults of clients are not the server's.
            if let Err(error) = ended {
                tracing::debug!(error, "a connection ended with an error");
            }
        });
    }

    /// Closes connections that have not ended after `grace`.
    pub(crate) async fn end(mut self, grace: Duration) {
        self.begin_end();
        let ended = async { while self.open.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(grace, ended).await;
    }

    /// Lets connections end after their requests.
    pub(crate) fn begin_end(&self) {
        self.ending.send_replace(true);
    }
}

/// True if the client, and not the system, has ended a connection that was about to be accepted.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
