//! What code in the sandbox can reach: functions of the host, MCP servers, the network.
//!
//! A [`Tool`] is a name, a description, schemas and an async function; in Python it is a real function,
//! `tools.NAME`. [`Tools`] is what a sandbox is given: tools of the host's own, of programs
//! ([`script`]), of MCP servers ([`mcp`]), and the hosts that HTTP requests may go to ([`net`]), with
//! rules of who approves what ([`Approval`]). `python` tells a tool in Python's terms, `turn` is what one
//! turn has of all of it: there every bound is held, and every answer loses the secrets it may have.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use codeact::tools::{Tool, Tools};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Query { item: String }
//!
//! let price = Tool::new("price", "The price of an item", |query: Query| async move {
//!     Ok(query.item.len())
//! })?;
//! let sandbox = codeact::Sandbox::new().await?.tools(Tools::new().tool(price)?);
//! sandbox.run("tools.price(item='pear') + 1").await?;
//! # Ok(())
//! # }
//! ```

mod approval;
pub mod mcp;
pub mod net;
mod python;
pub mod script;
#[cfg(test)]
mod tests;
mod tool;
mod turn;
mod web;

pub use approval::Approval;
pub use tool::{Bytes, Tool, ToolFailure, ToolLimits};

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::sandbox::{OpenToolbox, Toolbox};
use net::Network;

/// Names in `tools` that are its own.
const RESERVED: [&str; 5] = [
    "search",
    "describe",
    "ToolError",
    "ToolArgumentError",
    "ToolDenied",
];

/// The most tools of one place, and so the longest list that is told.
const MAX_TOOLS: usize = 10_000;

/// Why tools cannot be offered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ToolsError {
    /// A tool is not one that Python could call.
    #[error("the tool `{name}` cannot be offered: {why}")]
    Tool {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two tools have the same name in Python.
    #[error("there are two tools named `{name}`; rename one of them")]
    Clash {
        /// The name in Python.
        name: String,
    },
}

/// Tools by their names in Python.
type Named = BTreeMap<String, Arc<Tool>>;

/// All that code in a sandbox can call. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tools {
    own: Arc<Named>,
    servers: Vec<Arc<mcp::Server>>,
    approvals: Arc<[Approval]>,
    network: Option<Network>,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tools({} of the host's own)", self.own.len())
    }
}

impl Tools {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool.
    ///
    /// # Errors
    ///
    /// [`ToolsError`] when Python could not tell it from another one.
    pub fn tool(mut self, tool: Tool) -> Result<Self, ToolsError> {
        let name = tool.name.clone();
        let top = name.split('.').next().unwrap_or_default();
        if RESERVED.contains(&top) {
            let why = "that name is one of `tools` itself".to_owned();
            return Err(ToolsError::Tool { name, why });
        }
        let below = format!("{name}.");
        let mut inside = self.own.range(below.clone()..).map(|(other, _)| other);
        let mut outside = below.match_indices('.').map(|(at, _)| &below[..at]);
        if inside.next().is_some_and(|other| other.starts_with(&below))
            || outside.any(|other| self.own.contains_key(other))
            || self.servers.iter().any(|server| server.namespace() == top)
        {
            return Err(ToolsError::Clash { name });
        }
        if self.own.len() >= MAX_TOOLS {
            let why = format!("there are {MAX_TOOLS} tools already");
            return Err(ToolsError::Tool { name, why });
        }
        Arc::make_mut(&mut self.own).insert(name, Arc::new(tool));
        Ok(self)
    }

    /// Lets the code make HTTP(S) requests, with `urllib`, `http.client` and what stands on them, to the
    /// hosts that `network` names. Default: none.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = Some(network);
        self
    }

    /// Adds the tools of MCP servers, each server's in a namespace of its own. One whose namespace is
    /// taken gets another, with an underscore at its end.
    #[must_use]
    pub fn servers(mut self, servers: mcp::Servers) -> Self {
        let top = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        let mut taken: HashSet<_> = self.own.keys().map(top).collect();
        taken.extend(self.servers.iter().map(|server| server.namespace()));
        for server in servers.0 {
            server.settle(&taken);
            taken.insert(server.namespace());
            self.servers.push(server);
        }
        self
    }

    /// Ends the MCP servers, also for whoever has a clone, and waits until they have ended: a few
    /// seconds at most. Without it they end by themselves once nothing uses them, but may not have the
    /// time to when the runtime ends too.
    pub async fn close(&self) {
        let mut closing = tokio::task::JoinSet::new();
        for server in &self.servers {
            let server = server.clone();
            closing.spawn(async move { server.close().await });
        }
        closing.join_all().await;
    }

    /// Who says whether a call may be made. Of several rules whose pattern fits, the last decides; a
    /// call that none fits may be made.
    #[must_use]
    pub fn approvals(mut self, rules: impl IntoIterator<Item = Approval>) -> Self {
        self.approvals = self.approvals.iter().cloned().chain(rules).collect();
        self
    }

    /// Variables of the environment that code gets: of each secret its name, and what stands for it.
    pub fn env(&self) -> Vec<(String, String)> {
        let secrets = self.network.iter().flat_map(|network| network.secrets());
        secrets
            .map(|secret| (secret.name().to_owned(), secret.placeholder()))
            .collect()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.servers.is_empty() && self.network.is_none()
    }

    /// All that there are now, by name.
    pub fn list(&self) -> Vec<Arc<Tool>> {
        let mut all: BTreeMap<&String, &Arc<Tool>> = self.own.iter().collect();
        let others: Vec<_> = self.servers.iter().map(|server| server.tools()).collect();
        for (name, tool) in others.iter().flat_map(|tools| tools.iter()) {
            all.entry(name).or_insert(tool);
        }
        all.into_values().take(MAX_TOOLS).cloned().collect()
    }

    fn find(&self, name: &str) -> Option<Arc<Tool>> {
        let own = self.own.get(name).cloned();
        own.or_else(|| (self.servers.iter()).find_map(|server| server.tools().get(name).cloned()))
    }
}

impl Toolbox for Tools {
    fn open(&self) -> Arc<dyn OpenToolbox> {
        Arc::new(turn::OpenTools::new(self.clone()))
    }

    fn about(&self) -> Option<String> {
        let network = self.network.as_ref()?;
        let names = |rules: &[net::HostRule]| {
            let names: Vec<_> = rules.iter().map(ToString::to_string).collect();
            names.join(", ")
        };
        let mut text = format!(
            "The code may make HTTP and HTTPS requests, with urllib.request, to these hosts only: {}.",
            names(network.rules())
        );
        for secret in network.secrets() {
            text += &format!(
                " os.environ[{:?}] stands for a secret: put it where the secret belongs in requests to \
                 {}; elsewhere it means nothing.",
                secret.name(),
                names(secret.hosts())
            );
        }
        Some(text)
    }
}

/// Whether `inner` is `outer` or something in it.
fn inside(outer: &str, inner: &str) -> bool {
    (inner.strip_prefix(outer)).is_some_and(|rest| rest.starts_with('.') || rest.is_empty())
}

/// The list as the guest gets it: the tools, and the namespaces that have none, each with the reason.
fn listing(tools: &Tools) -> Value {
    let line = |tool: &Arc<Tool>| json!([tool.name(), python::summary(tool.description())]);
    let list: Vec<_> = tools.list().iter().map(line).collect();
    let absent = (tools.servers.iter())
        .filter_map(|server| Some(json!([server.namespace(), server.absent()?])))
        .collect::<Vec<_>>();
    match absent.is_empty() {
        true => json!({ "tools": list }),
        false => json!({ "tools": list, "absent": absent }),
    }
}
