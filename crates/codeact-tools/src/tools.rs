//! The tools of a sandbox.

use std::collections::BTreeMap;
#[cfg(feature = "mcp")]
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::approval::ApprovalRule;
use super::error::ToolsError;
use super::names::{MAX_TOOLS, RESERVED, ToolMap};
use super::python;
use super::source::{NetworkAccess, ToolSource};
use super::tool::Tool;

/// Functions that code in a sandbox can call, and their approval rules. Cheap to clone; clones share MCP servers.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use codeact_sandbox::Sandbox;
/// use codeact_tools::{Tool, Tools};
///
/// let answer = Tool::with_schema("answer", "The answer", serde_json::json!({}), None, |_| async {
///     Ok(42.into())
/// })?;
/// let tools = Tools::new().tool(answer)?.approvals(["ask:shop.*".parse()?]);
/// let sandbox = Sandbox::builder().tools(tools.clone()).build().await?;
/// sandbox.run("tools.answer()").await?;
/// tools.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Tools {
    own: Arc<ToolMap>,
    sources: Vec<Arc<dyn ToolSource>>,
    pub(crate) approvals: Arc<[ApprovalRule]>,
    pub(crate) network: Option<Arc<dyn NetworkAccess>>,
}

impl fmt::Debug for Tools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tools({} of the host)", self.own.len())
    }
}

impl Tools {
    /// Returns an empty set of tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tool.
    ///
    /// # Errors
    ///
    /// Returns [`ToolsError`] if its name is reserved, or clashes with another tool or namespace.
    pub fn tool(mut self, tool: Tool) -> Result<Self, ToolsError> {
        let name = tool.name.clone();
        let top = name.split('.').next().unwrap_or_default();
        if RESERVED.contains(&top) {
            let why = "the name is reserved by `tools` itself".to_owned();
            return Err(ToolsError::Tool { name, why });
        }
        let below = format!("{name}.");
        let mut inside = self.own.range(below.clone()..).map(|(other, _)| other);
        let mut outside = below.match_indices('.').map(|(at, _)| &below[..at]);
        if inside.next().is_some_and(|other| other.starts_with(&below))
            || outside.any(|other| self.own.contains_key(other))
            || self.sources.iter().any(|source| source.namespace() == top)
        {
            return Err(ToolsError::Clash { name });
        }
        if self.own.len() >= MAX_TOOLS {
            let why = format!("there are already {MAX_TOOLS} tools");
            return Err(ToolsError::Tool { name, why });
        }
        Arc::make_mut(&mut self.own).insert(name, Arc::new(tool));
        Ok(self)
    }

    /// Sets the network access.
    #[cfg(feature = "http")]
    pub(crate) fn set_network(&mut self, network: Arc<dyn NetworkAccess>) {
        self.network = Some(network);
    }

    /// Adds a source of tools. Its namespace must not be in use; see [`Tools::namespaces`].
    #[cfg(feature = "mcp")]
    pub(crate) fn add_source(&mut self, source: Arc<dyn ToolSource>) {
        self.sources.push(source);
    }

    /// Returns the first part of every name.
    #[cfg(feature = "mcp")]
    pub(crate) fn namespaces(&self) -> HashSet<String> {
        let first = |name: &String| name.split('.').next().unwrap_or_default().to_owned();
        let mut taken: HashSet<_> = self.own.keys().map(first).collect();
        taken.extend(self.sources.iter().map(|source| source.namespace()));
        taken
    }

    /// Ends the MCP servers, also those of clones, and waits for their exit: a few seconds at most. Without this call,
    /// servers end after the last user of them is dropped, but may be killed first if the runtime shuts down.
    pub async fn close(&self) {
        let mut closing = tokio::task::JoinSet::new();
        for source in &self.sources {
            closing.spawn(source.clone().close());
        }
        closing.join_all().await;
    }

    /// Adds approval rules. If several rules match a call, the last one applies; if none matches, the call is allowed.
    #[must_use]
    pub fn approvals(mut self, rules: impl IntoIterator<Item = ApprovalRule>) -> Self {
        self.approvals = self.approvals.iter().cloned().chain(rules).collect();
        self
    }

    /// Returns environment variables for the code: the name and the placeholder of each secret.
    pub fn env(&self) -> Vec<(String, String)> {
        (self.network.as_ref()).map_or_else(Vec::new, |network| network.env())
    }

    /// True if it has no tools, no servers and no network access.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.sources.is_empty() && self.network.is_none()
    }

    /// Returns the present tools, ordered by name. The tools of MCP servers can change.
    pub fn list(&self) -> Vec<Arc<Tool>> {
        let mut all: BTreeMap<&String, &Arc<Tool>> = self.own.iter().collect();
        let others: Vec<_> = self.sources.iter().map(|source| source.tools()).collect();
        for (name, tool) in others.iter().flat_map(|tools| tools.iter()) {
            all.entry(name).or_insert(tool);
        }
        all.into_values().take(MAX_TOOLS).cloned().collect()
    }

    /// Returns the tool `name`.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Tool>> {
        let own = self.own.get(name).cloned();
        own.or_else(|| (self.sources.iter()).find_map(|source| source.tools().get(name).cloned()))
    }
}

/// Returns the list for the guest: the tools, and the namespaces without tools, each with the reason.
pub(crate) fn listing(tools: &Tools) -> Value {
    let line = |tool: &Arc<Tool>| json!([tool.name(), python::summary(tool.description())]);
    let list: Vec<_> = tools.list().iter().map(line).collect();
    let absent = (tools.sources.iter())
        .filter_map(|source| Some(json!([source.namespace(), source.unavailable()?])))
        .collect::<Vec<_>>();
    match absent.is_empty() {
        true => json!({ "tools": list }),
        false => json!({ "tools": list, "absent": absent }),
    }
}
