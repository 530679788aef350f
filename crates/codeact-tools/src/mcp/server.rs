//! A server: its present tools, its calls, and reconnection after its exit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, PaginatedRequestParams, ReadResourceRequestParams,
};
use rmcp::transport::streamable_http_client::StreamableHttpError;
use serde_json::{Map, Value};
use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::catalog::{CallTarget, MAX_PAGES, ToolList};
use super::config::ServerSpec;
use super::content;
use super::link::{Disconnected, Link};
use super::options::ServerOptions;
use super::supervisor::{Connection, ConnectionOwner, attempt};
use crate::names::{ToolMap, free_namespace};
use crate::source::{BoxFuture, ToolSource};
use crate::tool::{Tool, ToolFailure};
use codeact_base::event::{Event, EventSink, ServerState};
use codeact_base::redact::Redactor;
use codeact_sandbox::Payload;

/// Largest number of reconnections without a response between them.
const MAX_RECONNECTS: u32 = 3;
/// Value of [`Server::reconnects`] after it was closed.
const CLOSED: u32 = u32::MAX;
/// Largest number of listed resources.
const MAX_RESOURCES: usize = 1000;
/// Time to wait for a pending reconnection at the close.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// An MCP server, connected or not.
pub(super) struct Server {
    spec: ServerSpec,
    /// Removes the secrets of its address and headers from its responses.
    redactor: Option<Redactor>,
    options: ServerOptions,
    events: EventSink,
    /// Runtime of the connections. Calls are also polled in other threads.
    runtime: Handle,
    status: RwLock<Status>,
    connection: Mutex<Option<Arc<Connection>>>,
    /// Number of reconnections since the last response.
    reconnects: AtomicU32,
}

/// Present state of a server.
struct Status {
    namespace: String,
    tools: Arc<ToolMap>,
    /// Reason if there are no tools.
    unavailable: Option<String>,
}

impl ToolSource for Server {
    fn namespace(&self) -> String {
        self.namespace()
    }

    fn tools(&self) -> Arc<ToolMap> {
        self.read(|status| status.tools.clone())
    }

    fn unavailable(&self) -> Option<String> {
        self.read(|status| status.unavailable.clone())
    }

    fn close(self: Arc<Self>) -> BoxFuture<()> {
        Box::pin(async move { self.shut_down().await })
    }
}

impl ConnectionOwner for Server {
    fn connect_time(&self) -> Duration {
        self.options.connect
    }

    fn list_changed(self: Arc<Self>, list: ToolList) -> BoxFuture<()> {
        Box::pin(async move {
            let (differs, refusals) = self.offer(list).await;
            if differs {
                self.emit(ServerState::Changed, None);
                self.emit_refusals(refusals);
            }
        })
    }

    fn list_failed(&self, why: &str) {
        let why: String = why.chars().take(500).collect();
        self.emit(ServerState::Refused, Some(self.spec.redact(&why)));
    }

    fn report_disconnect(&self, reason: &Disconnected) {
        self.emit(ServerState::Disconnected, Some(reason.reason()));
    }
}

impl CallTarget for Server {
    fn call(
        self: Arc<Self>,
        tool: Arc<str>,
        args: Map<String, Value>,
        wrapped: bool,
    ) -> BoxFuture<Result<Payload, ToolFailure>> {
        Box::pin(async move { self.redacted(self.call_tool(&tool, args, wrapped).await) })
    }

    fn resources(self: Arc<Self>) -> BoxFuture<Result<Payload, ToolFailure>> {
        Box::pin(async move { self.redacted(self.list_resources().await) })
    }

    fn resource(self: Arc<Self>, uri: String) -> BoxFuture<Result<Payload, ToolFailure>> {
        Box::pin(async move { self.redacted(self.read_resource(&uri).await) })
    }
}

impl Server {
    pub(super) fn new(
        spec: ServerSpec,
        namespace: String,
        options: ServerOptions,
        events: EventSink,
    ) -> Self {
        Self {
            redactor: spec.redactor(),
            spec,
            options,
            events,
            runtime: Handle::current(),
            status: RwLock::new(Status {
                namespace,
                tools: Arc::default(),
                unavailable: None,
            }),
            connection: Mutex::default(),
            reconnects: AtomicU32::new(0),
        }
    }

    /// Sets the result of the first attempt to connect.
    pub(super) async fn begin(self: &Arc<Self>, attempt: Result<(Link, ToolList), Disconnected>) {
        match attempt {
            Ok((link, list)) => {
                let connection = self.adopt(link, list).await;
                *self.connection.lock().await = Some(connection);
            }
            Err(reason) => {
                self.write(|status| status.unavailable = Some(reason.message.clone()));
                self.report_disconnect(&reason);
            }
        }
    }

    /// Offers the list of a new connection, and supervises it. Must be called in the runtime.
    async fn adopt(self: &Arc<Self>, link: Link, list: ToolList) -> Arc<Connection> {
        let refusals = self.offer(list).await.1;
        self.emit(ServerState::Ready, None);
        self.emit_refusals(refusals);
        let owner = Arc::downgrade(self);
        Connection::supervise(owner, link)
    }

    /// Replaces the tools by those of `list`. Returns true if they differ, and the refused tools.
    async fn offer(self: &Arc<Self>, list: ToolList) -> (bool, Vec<String>) {
        let (this, limits) = (Arc::downgrade(self), self.options.limits.clone());
        let server: Weak<dyn CallTarget> = this;
        let offer = tokio::task::spawn_blocking(move || list.offer(&server, &limits)).await;
        let Ok(offer) = offer else {
            return (false, vec!["cannot offer its tools".into()]);
        };
        let mut differs = false;
        self.write(|status| {
            let tools = in_namespace(&status.namespace, offer.tools);
            differs = !are_equal(&tools, &status.tools);
            status.unavailable = (tools.is_empty()).then(|| "it offers none".to_owned());
            status.tools = Arc::new(tools);
        });
        (differs, offer.refusals)
    }

    /// Returns the namespace of its tools, below `tools`.
    pub(super) fn namespace(&self) -> String {
        self.read(|status| status.namespace.clone())
    }

    /// Renames the namespace if it is among `taken`.
    pub(super) fn rename_namespace(&self, taken: &HashSet<String>) {
        self.write(|status| {
            let namespace = free_namespace(&status.namespace, taken);
            if namespace != status.namespace {
                let below = |tool: &str| tool.split_once('.').map(|(_, rest)| rest.to_owned());
                let tools = (status.tools.iter()).filter_map(|(name, tool)| {
                    let name = below(name)?;
                    let mut tool = (**tool).clone();
                    tool.name.clone_from(&name);
                    Some((name, Arc::new(tool)))
                });
                status.tools = Arc::new(in_namespace(&namespace, tools.collect()));
                status.namespace = namespace;
            }
        });
    }

    /// Ends the server without reconnection, and waits until it has ended.
    async fn shut_down(&self) {
        self.reconnects.store(CLOSED, Ordering::Relaxed);
        // A pending reconnection ends with the call that makes it.
        let Ok(mut current) = timeout(CLOSE_TIME, self.connection.lock()).await else {
            return;
        };
        let Some(connection) = current.take() else {
            return;
        };
        drop(current);
        connection.close().await;
    }

    async fn call_tool(
        self: &Arc<Self>,
        tool: &str,
        args: Map<String, Value>,
        wrapped: bool,
    ) -> Result<Payload, ToolFailure> {
        let connection = self.connection().await?;
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(args);
        match connection.peer.call_tool_once(params).await {
            Ok(CallToolResponse::Complete(result)) => {
                self.reset_reconnects();
                content::result(result, wrapped)
            }
            Ok(_) => {
                self.reset_reconnects();
                Err(self.failure("the tool asks for more input, which is not supported"))
            }
            Err(e) => Err(self.service_failure(&connection, e).await),
        }
    }

    async fn list_resources(self: &Arc<Self>) -> Result<Payload, ToolFailure> {
        let connection = self.connection().await?;
        let (mut links, mut cursor) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = match connection.peer.list_resources(Some(params)).await {
                Ok(page) => page,
                Err(e) => return Err(self.service_failure(&connection, e).await),
            };
            links.extend(page.resources.iter().map(content::link));
            cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
            if cursor.is_none() || links.len() >= MAX_RESOURCES {
                break;
            }
        }
        self.reset_reconnects();
        links.truncate(MAX_RESOURCES);
        Ok(Payload::new(links.into()))
    }

    async fn read_resource(self: &Arc<Self>, uri: &str) -> Result<Payload, ToolFailure> {
        let connection = self.connection().await?;
        let params = ReadResourceRequestParams::new(uri);
        match connection.peer.read_resource(params).await {
            Ok(result) => {
                self.reset_reconnects();
                Ok(content::resource(result))
            }
            Err(e) => Err(self.service_failure(&connection, e).await),
        }
    }

    /// Returns the connection. Reconnects if it has ended.
    async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, ToolFailure> {
        let mut current = self.connection.lock().await;
        if let Some(connection) = current.as_ref().filter(|one| one.is_alive()) {
            return Ok(connection.clone());
        }
        let one_more = |count| (count < MAX_RECONNECTS).then_some(count + 1);
        let counted =
            (self.reconnects).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        match counted {
            Ok(_) => {}
            Err(CLOSED) => return Err(self.disconnected("it was closed")),
            Err(_) => {
                let why = format!("it ended again after each of {MAX_RECONNECTS} reconnections");
                return Err(self.disconnected(&why));
            }
        }
        *current = None;
        // Dropping the call aborts the task, and with it the new process.
        let mut pending = JoinSet::new();
        let server = self.clone();
        let reconnection = async move {
            let (link, list) = attempt(&server.spec, server.options.connect).await?;
            Ok(server.adopt(link, list).await)
        };
        pending.spawn_on(reconnection, &self.runtime);
        match pending.join_next().await {
            Some(Ok(Ok(connection))) => Ok(current.insert(connection).clone()),
            Some(Ok(Err(reason))) => {
                let reason: Disconnected = reason;
                self.report_disconnect(&reason);
                Err(self.disconnected(&reason.message))
            }
            // The runtime has shut down.
            _ => Err(self.disconnected("its runtime has ended")),
        }
    }

    /// Resets the number of reconnections after a response.
    fn reset_reconnects(&self) {
        let reset = |count| (count != CLOSED).then_some(0);
        let _ = (self.reconnects).fetch_update(Ordering::Relaxed, Ordering::Relaxed, reset);
    }

    /// Returns `reply` without the secrets of the server's address and headers.
    fn redacted(&self, reply: Result<Payload, ToolFailure>) -> Result<Payload, ToolFailure> {
        let Some(redactor) = &self.redactor else {
            return reply;
        };
        let text = |text: &str| redactor.text(text).into_owned();
        match reply {
            Ok(payload) => Ok(payload.map_text(&text, &|bytes| redactor.bytes(bytes))),
            Err(failure) => Err(ToolFailure {
                message: text(&failure.message),
                ..failure
            }),
        }
    }

    fn failure(&self, why: &str) -> ToolFailure {
        ToolFailure::new(format!("{}: {why}", self.namespace()))
    }

    fn disconnected(&self, why: &str) -> ToolFailure {
        ToolFailure::new(format!(
            "the MCP server {} is disconnected: {why}",
            self.namespace()
        ))
    }

    /// Returns the failure of a call. Ends the connection if it cannot be used further.
    async fn service_failure(&self, connection: &Connection, error: ServiceError) -> ToolFailure {
        match error {
            ServiceError::McpError(e) => {
                self.reset_reconnects();
                self.failure(&content::message(&e.message))
            }
            ServiceError::UnexpectedResponse => {
                self.reset_reconnects();
                self.failure("its response does not follow the MCP protocol")
            }
            ServiceError::TransportSend(e) if self.spec.is_http() => {
                // The next call can succeed.
                match e
                    .error
                    .downcast_ref::<StreamableHttpError<reqwest::Error>>()
                {
                    Some(StreamableHttpError::HttpStatus(e)) => {
                        self.failure(&format!("it responded with HTTP status {}", e.status))
                    }
                    Some(StreamableHttpError::ResponseBodyTooLarge { .. }) => {
                        self.failure("its response is too large")
                    }
                    Some(StreamableHttpError::Client(_)) => {
                        self.disconnected("it cannot be reached")
                    }
                    _ => self.disconnected("it did not respond"),
                }
            }
            _ => {
                let why = connection.reason().await;
                // It may still be open, but cannot be used.
                connection.end();
                self.disconnected(why.as_deref().unwrap_or("it did not respond"))
            }
        }
    }

    fn write(&self, change: impl FnOnce(&mut Status)) {
        // No code panics while it holds the lock.
        change(&mut self.status.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn read<T>(&self, read: impl FnOnce(&Status) -> T) -> T {
        read(&self.status.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn emit(&self, state: ServerState, reason: Option<String>) {
        let (name, tools) = self.read(|status| (status.namespace.clone(), status.tools.len()));
        self.events.emit(Event::Server {
            name,
            state,
            tools,
            reason,
        });
    }

    fn emit_refusals(&self, refusals: Vec<String>) {
        for reason in refusals {
            self.emit(ServerState::Refused, Some(reason));
        }
    }
}

/// Returns the tools below `namespace`.
fn in_namespace(namespace: &str, tools: ToolMap) -> ToolMap {
    let below = |tool: Arc<Tool>| Arc::unwrap_or_clone(tool).below(namespace);
    let tools = tools.into_values().map(below);
    tools
        .map(|tool| (tool.name.clone(), Arc::new(tool)))
        .collect()
}

/// True if both lists have the same names, descriptions and schemas.
fn are_equal(one: &ToolMap, other: &ToolMap) -> bool {
    one.len() == other.len()
        && (one.iter().zip(other)).all(|((name, tool), (other_name, other))| {
            name == other_name
                && tool.description() == other.description()
                && tool.args_schema() == other.args_schema()
                && tool.result_schema() == other.result_schema()
        })
}
