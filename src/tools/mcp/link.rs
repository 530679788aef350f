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

use super::bounded::{Flow, bounded};
use super::config::{Reach, ServerSpec};
use super::process::Child;

/// The largest message of a server, in bytes.
const MAX_MESSAGE: usize = 32 << 20;
/// How long a connection that is to end may take for it.
const CLOSE_TIME: Duration = Duration::from_secs(3);
/// How long finding an HTTP server may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);
/// So often a broken stream of an HTTP server is taken up again.
const MAX_RESUMED: usize = 4;
/// The longest cause that is told to the user, in characters.
const MAX_CAUSE: usize = 500;

/// Why a server is not there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gone {
    /// For the code: nothing of the host's internals.
    pub(super) told: String,
    /// For the user, beside that.
    pub(super) detail: Option<String>,
}

impl Gone {
    pub(super) fn new(told: impl Into<String>) -> Self {
        Self {
            told: told.into(),
            detail: None,
        }
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into()).filter(|detail| !detail.is_empty());
        self
    }

    /// All of it, for the user.
    pub(super) fn reason(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{} ({detail})", self.told),
            None => self.told.clone(),
        }
    }
}

/// The client as servers see it. It offers them nothing: no sampling, no roots, and every elicitation is
/// declined.
struct Listener {
    changed: Arc<Notify>,
}

impl ClientHandler for Listener {
    fn get_info(&self) -> ClientConfig {
        let this = Implementation::new("codeact", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), this)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changed.notify_one();
    }
}

/// A connection that is open.
pub(super) struct Link {
    pub(super) peer: Peer<RoleClient>,
    /// Told when the server's list of tools has changed.
    pub(super) changed: Arc<Notify>,
    /// Ends with the connection.
    serving: Pin<Box<dyn Future<Output = ()> + Send>>,
    served: bool,
    stop: RunningServiceCancellationToken,
    program: Option<(Child, Arc<Flow>)>,
}

impl Link {
    /// Connects, and exchanges what each side can do, before `deadline`.
    pub(super) async fn open(spec: &ServerSpec, deadline: Instant) -> Result<Self, Gone> {
        let changed = Arc::<Notify>::default();
        let listener = Listener {
            changed: changed.clone(),
        };
        let (service, program) = match &spec.reach {
            Reach::Program {
                program,
                args,
                env,
                cwd,
            } => {
                let started = Child::start(program, args, env, cwd.as_deref());
                let (mut child, stdout, stdin) = started.map_err(|e| {
                    let place = (cwd.as_ref())
                        .map_or_else(String::new, |cwd| format!(" in {}", cwd.display()));
                    Gone::new("it cannot be started").detail(format!("{program}{place}: {e}"))
                })?;
                let (lines, watched, flow) = bounded(stdout, stdin, MAX_MESSAGE);
                // The bound of rmcp would skip a line that is too long and wait for the next one.
                let transport =
                    AsyncRwTransport::new_client(lines, watched).with_max_line_length(usize::MAX);
                let begun = timeout_at(deadline, rmcp::serve_client(listener, transport)).await;
                match begun {
                    Ok(Ok(service)) => (service, Some((child, flow))),
                    failed => {
                        let mut gone = match failed {
                            Ok(Err(e)) => not_begun(&e),
                            _ => late(),
                        };
                        if let Some(why) = flow.cut() {
                            gone = Gone::new(why);
                        }
                        return Err(gone.detail(child.last_words().await));
                    }
                }
            }
            Reach::Http { url, headers } => {
                let http = client(url).map_err(|e| {
                    Gone::new("it cannot be reached").detail(spec.redact(&causes(&e)))
                })?;
                let mut backoff = ExponentialBackoff::default();
                backoff.max_times = Some(MAX_RESUMED);
                backoff.base_duration = Duration::from_millis(100);
                let mut config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .max_sse_event_size(MAX_MESSAGE)
                    .max_json_response_size(MAX_MESSAGE)
                    .custom_headers(headers.iter().cloned().collect());
                config.retry_config = Arc::new(backoff);
                let transport = StreamableHttpClientTransport::with_client(http, config);
                let begun = timeout_at(deadline, rmcp::serve_client(listener, transport)).await;
                match begun {
                    Ok(Ok(service)) => (service, None),
                    Ok(Err(e)) => {
                        let gone = not_begun(&e);
                        let detail = gone.detail.as_deref().map(|detail| spec.redact(detail));
                        return Err(gone.detail(detail.unwrap_or_default()));
                    }
                    Err(_) => return Err(late()),
                }
            }
        };
        let peer = service.peer().clone();
        // What servers say of how long an answer holds is about other clients than this one.
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

    /// The name that the server has for itself.
    pub(super) fn name(&self) -> Option<String> {
        let info = self.peer.peer_info()?;
        let name = &info.server_info.as_ref()?.name;
        // Bounded here, since it may be as long as a message.
        Some(name.chars().take(100).collect()).filter(|name: &String| !name.is_empty())
    }

    /// Waits until the connection has ended by itself. May be dropped.
    pub(super) async fn ended(&mut self) -> Gone {
        if let Some((child, flow)) = &mut self.program {
            tokio::select! {
                () = &mut self.serving => self.served = true,
                _ = child.wait() => {
                    // What it has said at last is still read.
                    self.served = timeout(CLOSE_TIME, &mut self.serving).await.is_ok();
                }
            }
            let gone = Gone::new(flow.cut().unwrap_or("it has ended"));
            // One that was cut off had nothing to say about it.
            return match flow.cut() {
                Some(_) => gone,
                None => gone.detail(child.last_words().await),
            };
        }
        (&mut self.serving).await;
        self.served = true;
        Gone::new("its connection has ended")
    }

    /// Ends it: a program sees the end of its stdin first.
    pub(super) async fn close(mut self) {
        self.stop.cancel();
        if !self.served {
            // It may hang where a program does not read what is sent to it.
            let _ = timeout(CLOSE_TIME, &mut self.serving).await;
        }
        if let Some((child, _)) = self.program.take() {
            child.shut_down().await;
        }
    }
}

async fn serve(service: RunningService<RoleClient, Listener>) {
    // However it has ended, it has.
    let _ = service.waiting().await;
}

fn late() -> Gone {
    Gone::new("it was not ready in time")
}

fn not_begun(error: &ClientInitializeError) -> Gone {
    match error {
        _ if error.is_authorization_required() => {
            Gone::new("it wants to know who asks; give it an `Authorization` among its `headers`")
        }
        ClientInitializeError::ConnectionClosed(_) => Gone::new("it ended before it was ready"),
        ClientInitializeError::JsonRpcError(e) => {
            let message: String = e.message.chars().take(MAX_CAUSE).collect();
            Gone::new(format!("it refused to begin: {message}"))
        }
        ClientInitializeError::TransportError { error, .. } => {
            Gone::new("it cannot be reached").detail(causes(&*error.error))
        }
        other => {
            let why: String = other.to_string().chars().take(MAX_CAUSE).collect();
            Gone::new("it does not speak MCP as it should").detail(why)
        }
    }
}

/// An error with all that it comes from.
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

fn client(url: &Url) -> reqwest::Result<reqwest::Client> {
    let origin = url.origin();
    // Elsewhere nobody is to see the headers.
    let same = reqwest::redirect::Policy::custom(move |attempt| {
        match attempt.url().origin() == origin && attempt.previous().len() < 5 {
            true => attempt.follow(),
            false => attempt.stop(),
        }
    });
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("codeact/", env!("CARGO_PKG_VERSION")))
        .redirect(same)
        .connect_timeout(CONNECT_TIME);
    let this_machine = match url.host_str().unwrap_or_default() {
        "localhost" => true,
        host => (host.trim_matches(['[', ']']).parse::<std::net::IpAddr>())
            .is_ok_and(|ip| ip.is_loopback()),
    };
    if this_machine {
        builder = builder.no_proxy();
        if url.scheme() == "http" {
            // No TLS will be spoken, so a machine without CA certificates must not be an error.
            builder = builder.tls_certs_only([]);
        }
    }
    builder.build()
}
