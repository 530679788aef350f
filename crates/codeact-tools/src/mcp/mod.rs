//! Tools of MCP servers: programs that speak the Model Context Protocol on stdin and stdout, and services that speak it
//! over streamable HTTP.
//!
//! A [`ServerSpec`] is the address of a server ([`load`] reads the servers of an `mcp.json`), [`Servers::connect`]
//! connects to them, and [`Tools::servers`](crate::Tools::servers) adds their tools. Each server has a namespace in
//! `tools`, as in `tools.github.search_issues(…)`, with two more functions for its resources.
//!
//! `link` is one connection, over `process` and `bounded`, which prevent a server from outliving its host or exhausting
//! its memory, and `messages`, which replaces responses that cannot be read. `catalog` makes tools of a server's list, and `content` converts results. `server` makes the calls, and
//! reconnects if the server has exited. `supervisor` watches a connection and refreshes a changed list.
//!
//! The behaviour of a server is never an error of the host. An unreachable server is a namespace without tools, with a
//! reason that Python shows. A tool that cannot be offered is omitted. Both are
//! [events](codeact_base::event::Event::Server).

mod bounded;
mod catalog;
mod config;
mod content;
mod file;
mod http;
mod link;
mod messages;
mod options;
mod process;
mod server;
mod supervisor;

pub use config::ServerSpec;
pub use file::{ServersError, load};
pub use options::ServerOptions;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::names::free_namespace;
use crate::python;
use crate::tools::Tools;
use codeact_base::event::EventSink;
use link::Disconnected;
use server::Server;

/// MCP servers, connected or unreachable.
///
/// They belong to the runtime that connected to them, and end after their last user is dropped: the stdin of a program
/// is closed, and after a grace period its process group is killed.
///
/// ```no_run
/// # async fn example(events: codeact_base::event::EventSink) -> Result<(), Box<dyn std::error::Error>> {
/// use codeact_tools::Tools;
/// use codeact_tools::mcp::{ServerSpec, Servers};
///
/// let files: ServerSpec = "files=npx -y @modelcontextprotocol/server-filesystem .".parse()?;
/// let servers = Servers::connect([files], events).await;
/// assert_eq!(servers.namespaces(), ["files"]);
/// let tools = Tools::new().servers(servers);
/// # Ok(())
/// # }
/// ```
pub struct Servers(Vec<Arc<Server>>);

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|server| server.namespace()))
            .finish()
    }
}

impl Servers {
    /// Connects to all servers concurrently, with the default [`ServerOptions`]. Emits an
    /// [event](codeact_base::event::Event::Server) for each server. Must be called in a tokio runtime with time and I/O.
    pub async fn connect(specs: impl IntoIterator<Item = ServerSpec>, events: EventSink) -> Self {
        Self::connect_with(specs, events, ServerOptions::default()).await
    }

    /// As [`Servers::connect`], with `options`.
    pub async fn connect_with(
        specs: impl IntoIterator<Item = ServerSpec>,
        events: EventSink,
        options: ServerOptions,
    ) -> Self {
        let specs: Vec<_> = specs.into_iter().collect();
        let mut pending = JoinSet::new();
        let mut attempts: Vec<_> = specs
            .iter()
            .map(|_| Err(Disconnected::new("cannot connect to it")))
            .collect();
        for (number, spec) in specs.iter().cloned().enumerate() {
            let within = options.connect;
            pending.spawn(async move { (number, supervisor::attempt(&spec, within).await) });
        }
        while let Some(result) = pending.join_next().await {
            if let Ok((number, attempt)) = result {
                attempts[number] = attempt;
            }
        }
        // In the order of the specs, so that clashing names are resolved in the same way each time.
        let mut taken = HashSet::new();
        let mut servers = Vec::new();
        for (spec, attempt) in specs.into_iter().zip(attempts) {
            let own = attempt.as_ref().ok().and_then(|(link, _)| link.name());
            let name = spec
                .name
                .clone()
                .or(own)
                .unwrap_or_else(|| spec.default_name());
            let namespace = free_namespace(&python::identifier(&name), &taken);
            taken.insert(namespace.clone());
            let server = Server::new(spec, namespace, options.clone(), events.clone());
            let server = Arc::new(server);
            server.begin(attempt).await;
            servers.push(server);
        }
        Self(servers)
    }

    /// Returns the namespaces, in the order of the specs.
    pub fn namespaces(&self) -> Vec<String> {
        self.0.iter().map(|server| server.namespace()).collect()
    }
}

impl Tools {
    /// Adds the tools of MCP servers, each server in its own namespace. If a namespace is in use, it gets an underscore
    /// at its end.
    #[must_use]
    pub fn servers(mut self, servers: Servers) -> Self {
        for server in servers.0 {
            server.rename_namespace(&self.namespaces());
            self.add_source(server);
        }
        self
    }
}
