//! Traits between [`Tools`](super::Tools) and the optional sources of tools, so that neither names the other.

use std::pin::Pin;
use std::sync::Arc;

use codeact_sandbox::{ToolCall, ToolReply};

use super::names::ToolMap;

/// A boxed future.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A source of tools that may change while it is in use, such as an MCP server.
pub(crate) trait ToolSource: Send + Sync {
    /// Returns its namespace: its tools are `tools.NAMESPACE.…`.
    fn namespace(&self) -> String;
    /// Returns its present tools.
    fn tools(&self) -> Arc<ToolMap>;
    /// Returns why it has no tools at present; `None` if it has.
    fn unavailable(&self) -> Option<String>;
    /// Ends the source, and waits until it has ended.
    fn close(self: Arc<Self>) -> BoxFuture<()>;
}

/// Granted access to the network.
pub(crate) trait NetworkAccess: Send + Sync {
    /// Returns environment variables for the code: the name and the placeholder of each secret.
    fn env(&self) -> Vec<(String, String)>;
    /// Describes the access for the author of the code.
    fn about(&self) -> String;
    /// Returns the access of one turn.
    fn open(&self) -> Arc<dyn OpenNetwork>;
}

/// Access to the network of one turn.
pub(crate) trait OpenNetwork: Send + Sync {
    /// Makes a call whose name begins with `$`. Secrets are removed from its reply.
    fn call(self: Arc<Self>, call: ToolCall) -> BoxFuture<ToolReply>;
    /// Removes the values of secrets from the reply of any other call.
    fn redact(&self, reply: ToolReply) -> ToolReply;
}
