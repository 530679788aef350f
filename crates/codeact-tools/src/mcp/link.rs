//! One connection to a server, from the handshake to its end.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{
    ClientCacheConfig, ClientInitializeError, NotificationContext, RunningService,
    RunningServiceCancellationToken,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::common::client_side_sse::ExponentialBackoff;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, Peer, RoleClient};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout, timeout_at};

use super::bounded::{FlowState, bounded};
use super::config::{ServerSpec, Transport};
use super::http::CheckedClient;
use super::process::Child;

/// Largest size of a message of a server, in bytes.
const MAX_MESSAGE_BYTES: usize = 32 << 20;
/// Time to close a connection.
const CLOSE_TIME: Duration = Duration::from_secs(3);
/// Time limit of the TCP and TLS handshakes with an HTTP server.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// Largest number of attempts to resume a stream of an HTTP server.
const MAX_RESUMES: usize = 4;
/// Largest length of a cause, in characters.
const MAX_CAUSE: usize = 500;

/// A server is not connected.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Disconnected {
    /// Reason for the code, without internals of the host.
    pub(super) message: String,
    /// More information for the user.
    pub(super) detail: Option<String>,
}

impl Disconnected {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            detail: None,
        }
    }

    /// Sets the information for the user.
    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        self
    }

    /// Returns the complete reason for the user.
    pub(super) fn reason(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} ({detail})", self.message),
            None => self.message.clone(),
        }
    }
}

/// Handler of messages from the server. It has no capabilities: no sampling, no roots, and it declines elicitations.
struct Handler {
    changed: Arc<Notify>,
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let this = Implementation::new("codeact", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), this)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// An open connection.
pub(super) struct Link {
    pub(super) peer: Peer<RoleClient>,
    /// Notified if the server's list of tools has changed.
    pub(super) changed: Arc<Notify>,
    /// Completes at the end of the connection.
    serving: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// True after `serving` has completed.
    served: bool,
    stop: RunningServiceCancellationToken,
    program: Option<(Child, Arc<FlowState>)>,
}

impl Link {
    /// Connects and makes the handshake, before `deadline`.
    pub(super) async fn open(spec: &ServerSpec, deadline: Instant) -> Result<Self, Disconnected> {
        let changed = Arc::<Notify>::default();
        let handler = Handler {
            changed: changed.clone(),
        };
        let (service, program) = match &spec.transport {
            Transport::Program {
                program,
                args,
                env,
                cwd,
            } => {
                let started = Child::start(program, args, env, cwd.as_deref());
                let (mut child, stdout, stdin) = started.map_err(|e| {
                    let place = (cwd.as_ref())
                        .map_or_else(String::new, |cwd| format!(" in {}", cwd.display()));
                    Disconnected::new("it cannot be started")
                        .detail(format!("{program}{place}: {e}"))
                })?;
                let (reader, writer, flow) = bounded(stdout, stdin, MAX_MESSAGE_BYTES);
                // The limit of rmcp would skip a long line and continue with the next one.
                let transport =
                    AsyncRwTransport::new_client(reader, writer).with_max_line_length(usize::MAX);
                let opened = timeout_at(deadline, rmcp::serve_client(handler, transport)).await;
                match opened {
                    Ok(Ok(service)) => (service, Some((child, flow))),
                    failed => {
                        let mut reason = match failed {
                            Ok(Err(e)) => handshake_failure(&e),
                            _ => timed_out(),
                        };
                        if let Some(why) = flow.error() {
                            reason = Disconnected::new(why);
                        }
                        return Err(reason.detail(child.exit_report().await));
                    }
                }
            }
            Transport::Http { url, headers } => {
                let http = client(url).map_err(|e| {
                    Disconnected::new("it cannot be reached").detail(spec.redact(&causes(&e)))
                })?;
                let mut backoff = ExponentialBackoff::default();
                backoff.max_times = Some(MAX_RESUMES);
                backoff.base_duration = Duration::from_millis(100);
                let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .max_sse_event_size(MAX_MESSAGE_BYTES)
                    .max_json_response_size(MAX_MESSAGE_BYTES)
                    .custom_headers(headers.iter().cloned().collect());
                config.retry_config = Arc::new(backoff);
                let transport =
                    StreamableHttpClientTransport::with_client(CheckedClient(http), config);
                let opened = timeout_at(deadline, rmcp::serve_client(handler, transport)).await;
                match opened {
                    Ok(Ok(service)) => (service, None),
                    Ok(Err(e)) => {
                        let reason = handshake_failure(&e);
                        let detail = reason.detail.as_deref().map(|detail| spec.redact(detail));
                        return Err(reason.detail(detail.unwrap_or_default()));
                    }
                    Err(_) => return Err(timed_out()),
                }
            }
        };
        let peer = service.peer().clone();
        // Each call must reach the server, because its state can change between calls.
        peer.set_response_cache_config(ClientCacheConfig::disabled())
            .await;
        Ok(Self {
            peer,
            changed,
            stop: service.cancellation_token(),
            serving: Box::pin(serve(service)),
            served: false,
            program,
        })
    }

    /// Returns the name that the server reports.
    pub(super) fn name(&self) -> Option<String> {
        let info = self.peer.peer_info()?;
        let name = &info.server_info.as_ref()?.name;
        // It may be as long as a message.
        Some(name.chars().take(100).collect()).filter(|name: &String| !name.is_empty())
    }

    /// Waits until the server has ended the connection. Can be cancelled.
    pub(super) async fn ended(&mut self) -> Disconnected {
        if let Some((child, flow)) = &mut self.program {
            tokio::select! {
                () = &mut self.serving => self.served = true,
                _ = child.wait() => {
                    // Its last messages are still read.
                    self.served = timeout(CLOSE_TIME, &mut self.serving).await.is_ok();
                }
            }
            return match flow.error() {
                Some(why) => Disconnected::new(why),
                None => Disconnected::new("it has ended").detail(child.exit_report().await),
            };
        }
        (&mut self.serving).await;
        self.served = true;
        Disconnected::new("its connection has ended")
    }

    /// Closes the connection. The stdin of a program is closed first.
    pub(super) async fn close(mut self) {
        self.stop.cancel();
        if !self.served {
            // It can block if the program does not read its stdin.
            let _ = timeout(CLOSE_TIME, &mut self.serving).await;
        }
        if let Some((child, _)) = self.program.take() {
            child.shut_down().await;
        }
    }
}

async fn serve(service: RunningService<RoleClient, Handler>) {
    // The reason does not matter.
    let _ = service.waiting().await;
}

fn timed_out() -> Disconnected {
    Disconnected::new("it was not ready in time")
}

/// Returns the reason of a failed handshake.
fn handshake_failure(error: &ClientInitializeError) -> Disconnected {
    match error {
        _ if error.is_authorization_required() => Disconnected::new(
            "it requires authorization; add an `Authorization` header to its `headers`",
        ),
        ClientInitializeError::ConnectionClosed(_) => {
            Disconnected::new("it ended before it was ready")
        }
        ClientInitializeError::JsonRpcError(e) => {
            let message: String = e.message.chars().take(MAX_CAUSE).collect();
            Disconnected::new(format!("it refused the connection: {message}"))
        }
        ClientInitializeError::TransportError { error, .. } => {
            Disconnected::new("it cannot be reached").detail(causes(&*error.error))
        }
        other => {
            let why: String = other.to_string().chars().take(MAX_CAUSE).collect();
            Disconnected::new("it does not follow the MCP protocol").detail(why)
        }
    }
}

/// Returns the text of an error and its sources.
pub(super) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text += &format!(": {inner_text}");
        }
        source = inner.source();
    }
    text.chars().take(MAX_CAUSE).collect()
}

/// Returns the HTTP client for a server.
fn client(url: &Url) -> reqwest::Result<reqwest::Client> {
    let origin = url.origin();
    // Other origins must not receive the headers.
    let same_origin = reqwest::redirect::Policy::custom(move |attempt| {
        match attempt.url().origin() == origin && attempt.previous().len() < 5 {
            true => attempt.follow(),
            false => attempt.stop(),
        }
    });
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("codeact/", env!("CARGO_PKG_VERSION")))
        .redirect(same_origin)
        .connect_timeout(CONNECT_TIME);
    let is_local = match url.host_str().unwrap_or_default() {
        "localhost" => true,
        host => (host.trim_matches(['[', ']']).parse::<std::net::IpAddr>())
            .is_ok_and(|ip| ip.is_loopback()),
    };
    if is_local {
        builder = builder.no_proxy();
        if url.scheme() == "http" {
            // Without TLS, missing CA certificates must not be an error.
            builder = builder.tls_certs_only([]);
        }
    }
    builder.build()
}
