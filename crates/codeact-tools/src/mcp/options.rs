//! Options of MCP servers.

use std::time::Duration;

use crate::tool::ToolLimits;

/// Options of MCP servers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Time limit to connect and list the tools. Default 30 s.
    pub connect: Duration,
    /// Limits of each tool. Default: [`ToolLimits::default`].
    pub limits: ToolLimits,
}

impl ServerOptions {
    /// Sets [`ServerOptions::connect`].
    #[must_use]
    pub fn with_connect(mut self, connect: Duration) -> Self {
        self.connect = connect;
        self
    }

    /// Sets [`ServerOptions::limits`].
    #[must_use]
    pub fn with_limits(mut self, limits: ToolLimits) -> Self {
        self.limits = limits;
        self
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            limits: ToolLimits::default(),
        }
    }
}
