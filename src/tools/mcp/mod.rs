//! Tools of MCP servers: programs that speak the Model Context Protocol on their stdin and stdout, and
//! services that speak it over streamable HTTP.
//!
//! A [`ServerSpec`] says how to reach one ([`load`] reads those of an `mcp.json`), [`Servers::connect`]
//! connects to all of them, and [`Tools::servers`](super::Tools::servers) offers what they have: each has a
//! namespace in `tools`, `tools.github.search_issues(…)`, with two functions more for its resources.
//!
//! `link` is one connection and its end, over `process` and `bounded`, which keep a server from outliving
//! its host or filling its memory; `catalog` makes tools of a server's list, and `content` Python's values
//! of its answers; `server` makes the calls, and connects once more when the server has died; `keeper` stays
//! with a connection meanwhile and fetches a list that has changed.
//!
//! Nothing that a server does is an error of the host's. One that cannot be reached is a namespace without
//! tools, whose absence Python explains; a tool that cannot be offered is left out; either is an
//! [event](crate::event::Event::Server).

mod bounded;
mod catalog;
mod config;
mod content;
mod file;
mod keeper;
mod link;
mod process;
mod server;

pub use config::ServerSpec;
pub use file::{ServersError, load};

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::{RESERVED, ToolLimits, python};
use crate::event::EventSink;
use link::Gone;
pub(super) use server::Server;

/// How servers are used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// How long a server may take until it is connected to and has told its tools. Default 30 s.
    pub connect: Duration,
    /// What a call of any of its tools may use. Default: [`ToolLimits::default`].
    pub limits: ToolLimits,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            limits: ToolLimits::default(),
        }
    }
}

/// MCP servers that have been connected to, or tried to. They live in the runtime that connected to
/// them, and end when nothing uses them any more: a program sees the end of its stdin, and is killed with
/// all that it has started when it does not end soon after.
pub struct Servers(pub(super) Vec<Arc<Server>>);

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|server| server.namespace()))
            .finish()
    }
}

impl Servers {
    /// Connects to all at the same time, with the default [`ServerOptions`]. What each has led to is an
    /// [event](crate::event::Event::Server). Must be called in a tokio runtime with time and I/O.
    pub async fn connect(specs: impl IntoIterator<Item = ServerSpec>, events: EventSink) -> Self {
        Self::connect_with(specs, events, ServerOptions::default()).await
    }

    /// As [`Servers::connect`], with other options.
    pub async fn connect_with(
        specs: impl IntoIterator<Item = ServerSpec>,
        events: EventSink,
        options: ServerOptions,
    ) -> Self {
        let specs: Vec<_> = specs.into_iter().collect();
        let mut tries = JoinSet::new();
        let mut attempts: Vec<_> = specs
            .iter()
            .map(|_| Err(Gone::new("it cannot be connected to")))
            .collect();
        for (number, spec) in specs.iter().cloned().enumerate() {
            let within = options.connect;
            tries.spawn(async move { (number, keeper::attempt(&spec, within).await) });
        }
        while let Some(done) = tries.join_next().await {
            if let Ok((number, attempt)) = done {
                attempts[number] = attempt;
            }
        }
        // In the order of the specs, whoever was first: names that clash are the same each time.
        let mut taken = HashSet::new();
        let mut servers = Vec::new();
        for (spec, attempt) in specs.into_iter().zip(attempts) {
            let own = attempt.as_ref().ok().and_then(|(link, _)| link.name());
            let name = spec.name.clone().or(own).unwrap_or_else(|| spec.guess());
            let namespace = free_namespace(&python::identifier(&name), &taken);
            taken.insert(namespace.clone());
            let server = Server::new(spec, namespace, options.clone(), events.clone());
            let server = Arc::new(server);
            server.begin(attempt).await;
            servers.push(server);
        }
        Self(servers)
    }

    /// The namespaces, in the order of the specs.
    pub fn namespaces(&self) -> Vec<String> {
        self.0.iter().map(|server| server.namespace()).collect()
    }
}

/// `name`, or the first like it that is not taken and is not one of `tools` itself.
fn free_namespace(name: &str, taken: &HashSet<String>) -> String {
    let mut free = name.to_owned();
    while taken.contains(&free) || RESERVED.contains(&&*free) {
        free.push('_');
    }
    free
}
