//! One server and its life: the tools that it has now, the calls of them, and what happens when its list
//! changes or it goes away.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
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

use super::super::{Named, Tool, ToolFailure};
use super::catalog::{List, MAX_PAGES};
use super::config::ServerSpec;
use super::content;
use super::keeper::{Live, attempt};
use super::link::{Gone, Link};
use super::{ServerOptions, free_namespace};
use crate::event::{Event, EventSink, ServerState};
use crate::sandbox::Payload;

/// So often a server is started again in a row, with no answer between.
const MAX_AGAIN: u32 = 3;
/// In place of that number: it has been closed.
const CLOSED: u32 = u32::MAX;
/// The most resources that are listed.
const MAX_RESOURCES: usize = 1000;
/// How long others may use the connection that is to be closed.
const PATIENCE: Duration = Duration::from_secs(5);

pub(in crate::tools) struct Server {
    spec: ServerSpec,
    options: ServerOptions,
    events: EventSink,
    /// Where connections live. Calls are polled elsewhere too.
    runtime: Handle,
    now: RwLock<Now>,
    line: Mutex<Option<Arc<Live>>>,
    /// Tries to connect again since the last answer.
    again: AtomicU32,
}

struct Now {
    namespace: String,
    tools: Arc<Named>,
    /// Why there are no tools.
    absent: Option<String>,
}

impl Server {
    pub(super) fn new(
        spec: ServerSpec,
        namespace: String,
        options: ServerOptions,
        events: EventSink,
    ) -> Self {
        Self {
            spec,
            options,
            events,
            runtime: Handle::current(),
            now: RwLock::new(Now {
                namespace,
                tools: Arc::default(),
                absent: None,
            }),
            line: Mutex::default(),
            again: AtomicU32::new(0),
        }
    }

    /// Takes what the first attempt has led to.
    pub(super) async fn begin(self: &Arc<Self>, attempt: Result<(Link, List), Gone>) {
        match attempt {
            Ok((link, list)) => {
                let live = self.adopt(link, list).await;
                *self.line.lock().await = Some(live);
            }
            Err(gone) => {
                self.change(|now| now.absent = Some(gone.told.clone()));
                self.went(&gone);
            }
        }
    }

    /// Makes a connection that of this server. Must be called in the runtime.
    async fn adopt(self: &Arc<Self>, link: Link, list: List) -> Arc<Live> {
        let refusals = self.offer(list).await.1;
        self.tell(ServerState::Ready, None);
        self.refuse(refusals);
        Live::begin(Arc::downgrade(self), link)
    }

    /// Offers what a list has instead of what there was. Tells whether that is another, and what of it
    /// cannot be offered.
    async fn offer(self: &Arc<Self>, list: List) -> (bool, Vec<String>) {
        let (server, limits) = (Arc::downgrade(self), self.options.limits.clone());
        let made = tokio::task::spawn_blocking(move || list.offer(&server, &limits)).await;
        let Ok(offer) = made else {
            return (false, vec!["its tools cannot be offered".into()]);
        };
        let mut differs = false;
        self.change(|now| {
            let tools = placed(&now.namespace, offer.tools);
            differs = !same(&tools, &now.tools);
            now.absent = (tools.is_empty()).then(|| "it offers none".to_owned());
            now.tools = Arc::new(tools);
        });
        (differs, offer.refusals)
    }

    /// Where its tools are, below `tools`.
    pub(in crate::tools) fn namespace(&self) -> String {
        self.look(|now| now.namespace.clone())
    }

    /// Those that there are now.
    pub(in crate::tools) fn tools(&self) -> Arc<Named> {
        self.look(|now| now.tools.clone())
    }

    /// Why there are none.
    pub(in crate::tools) fn absent(&self) -> Option<String> {
        self.look(|now| now.absent.clone())
    }

    /// Offers the list that a server has instead of the last one.
    pub(super) async fn changed(self: &Arc<Self>, list: List) {
        let (differs, refusals) = self.offer(list).await;
        if differs {
            self.tell(ServerState::Changed, None);
            self.refuse(refusals);
        }
    }

    /// Tells why there is no such list.
    pub(super) fn not_changed(&self, why: &str) {
        let why: String = why.chars().take(500).collect();
        self.tell(ServerState::Refused, Some(self.spec.redact(&why)));
    }

    /// Tells that it is gone.
    pub(super) fn went(&self, gone: &Gone) {
        self.tell(ServerState::Gone, Some(gone.reason()));
    }

    /// How long it may take to tell its tools.
    pub(super) fn connect_time(&self) -> Duration {
        self.options.connect
    }

    /// The namespace becomes another where it is taken.
    pub(in crate::tools) fn settle(&self, taken: &HashSet<String>) {
        self.change(|now| {
            let namespace = free_namespace(&now.namespace, taken);
            if namespace != now.namespace {
                let below = |tool: &str| tool.split_once('.').map(|(_, rest)| rest.to_owned());
                let tools = (now.tools.iter()).filter_map(|(name, tool)| {
                    let name = below(name)?;
                    let mut tool = (**tool).clone();
                    tool.name.clone_from(&name);
                    Some((name, Arc::new(tool)))
                });
                now.tools = Arc::new(placed(&namespace, tools.collect()));
                now.namespace = namespace;
            }
        });
    }

    /// Ends it for good and waits until it has ended.
    pub(in crate::tools) async fn close(&self) {
        self.again.store(CLOSED, Ordering::Relaxed);
        // One that is just being connected to again ends with the call that does so.
        let Ok(mut line) = timeout(PATIENCE, self.line.lock()).await else {
            return;
        };
        let Some(live) = line.take() else {
            return;
        };
        drop(line);
        live.close().await;
    }

    /// Calls a tool by the name that the server has for it. Dropping the future cancels the call.
    pub(super) async fn call(
        self: &Arc<Self>,
        tool: &str,
        args: Map<String, Value>,
        wrapped: bool,
    ) -> Result<Payload, ToolFailure> {
        let live = self.live().await?;
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(args);
        match live.peer.call_tool_once(params).await {
            Ok(CallToolResponse::Complete(result)) => {
                self.answered();
                content::result(result, wrapped)
            }
            Ok(_) => {
                self.answered();
                Err(self.failure("the tool asks for more than the arguments of a call"))
            }
            Err(e) => Err(self.failed(&live, e).await),
        }
    }

    /// Its resources.
    pub(super) async fn resources(self: &Arc<Self>) -> Result<Payload, ToolFailure> {
        let live = self.live().await?;
        let (mut links, mut cursor) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let params = PaginatedRequestParams::default().with_cursor(cursor);
            let page = match live.peer.list_resources(Some(params)).await {
                Ok(page) => page,
                Err(e) => return Err(self.failed(&live, e).await),
            };
            links.extend(page.resources.iter().map(content::link));
            cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
            if cursor.is_none() || links.len() >= MAX_RESOURCES {
                break;
            }
        }
        self.answered();
        links.truncate(MAX_RESOURCES);
        Ok(Payload::new(links.into()))
    }

    /// The content of one of them.
    pub(super) async fn resource(self: &Arc<Self>, uri: &str) -> Result<Payload, ToolFailure> {
        let live = self.live().await?;
        let params = ReadResourceRequestParams::new(uri);
        match live.peer.read_resource(params).await {
            Ok(result) => {
                self.answered();
                Ok(content::resource(result))
            }
            Err(e) => Err(self.failed(&live, e).await),
        }
    }

    /// The connection, made anew where it has ended.
    async fn live(self: &Arc<Self>) -> Result<Arc<Live>, ToolFailure> {
        let mut line = self.line.lock().await;
        if let Some(live) = line.as_ref().filter(|live| live.is_alive()) {
            return Ok(live.clone());
        }
        let one_more = |again| (again < MAX_AGAIN).then_some(again + 1);
        let again = (self.again).fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        match again {
            Ok(_) => {}
            Err(CLOSED) => return Err(self.gone("it is no longer wanted")),
            Err(_) => {
                let why = format!("it ended again after each of {MAX_AGAIN} new starts");
                return Err(self.gone(&why));
            }
        }
        *line = None;
        // Aborted, and with it what it has started, when the call is dropped.
        let mut tries = JoinSet::new();
        let server = self.clone();
        let again = async move {
            let (link, list) = attempt(&server.spec, server.options.connect).await?;
            Ok(server.adopt(link, list).await)
        };
        tries.spawn_on(again, &self.runtime);
        match tries.join_next().await {
            Some(Ok(Ok(live))) => Ok(line.insert(live).clone()),
            Some(Ok(Err(gone))) => {
                let gone: Gone = gone;
                self.went(&gone);
                Err(self.gone(&gone.told))
            }
            // Its runtime is no more.
            _ => Err(self.gone("nobody runs it any more")),
        }
    }

    fn answered(&self) {
        let reset = |again| (again != CLOSED).then_some(0);
        let _ = (self.again).fetch_update(Ordering::Relaxed, Ordering::Relaxed, reset);
    }

    fn failure(&self, why: &str) -> ToolFailure {
        ToolFailure::new(format!("{}: {why}", self.namespace()))
    }

    fn gone(&self, why: &str) -> ToolFailure {
        ToolFailure::new(format!(
            "the MCP server {} is gone: {why}",
            self.namespace()
        ))
    }

    async fn failed(&self, live: &Live, error: ServiceError) -> ToolFailure {
        match error {
            ServiceError::McpError(e) => {
                self.answered();
                self.failure(&content::message(&e.message))
            }
            ServiceError::UnexpectedResponse => {
                self.answered();
                self.failure("its answer is not as MCP wants it")
            }
            ServiceError::TransportSend(e) if self.spec.is_http() => {
                // The next call may well get through.
                match e
                    .error
                    .downcast_ref::<StreamableHttpError<reqwest::Error>>()
                {
                    Some(StreamableHttpError::HttpStatus(e)) => {
                        self.failure(&format!("it answered with HTTP status {}", e.status))
                    }
                    Some(StreamableHttpError::ResponseBodyTooLarge { .. }) => {
                        self.failure("its answer is too large")
                    }
                    Some(StreamableHttpError::Client(_)) => self.gone("it cannot be reached"),
                    _ => self.gone("it gave no answer"),
                }
            }
            _ => {
                let why = live.why().await;
                // Whatever it still is, it is of no use.
                live.end();
                self.gone(why.as_deref().unwrap_or("it gave no answer"))
            }
        }
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        // Nothing panics while holding it.
        change(&mut self.now.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn look<T>(&self, look: impl FnOnce(&Now) -> T) -> T {
        look(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, state: ServerState, reason: Option<String>) {
        let (name, tools) = self.look(|now| (now.namespace.clone(), now.tools.len()));
        self.events.emit(Event::Server {
            name,
            state,
            tools,
            reason,
        });
    }

    fn refuse(&self, refusals: Vec<String>) {
        for reason in refusals {
            self.tell(ServerState::Refused, Some(reason));
        }
    }
}

fn placed(namespace: &str, tools: Named) -> Named {
    let below = |tool: Arc<Tool>| Arc::unwrap_or_clone(tool).below(namespace);
    let tools = tools.into_values().map(below);
    tools
        .map(|tool| (tool.name.clone(), Arc::new(tool)))
        .collect()
}

fn same(one: &Named, other: &Named) -> bool {
    one.len() == other.len()
        && (one.iter().zip(other)).all(|((name, tool), (other_name, other))| {
            name == other_name
                && tool.description() == other.description()
                && tool.args_schema() == other.args_schema()
                && tool.result_schema() == other.result_schema()
        })
}
