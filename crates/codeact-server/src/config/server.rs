//! Settings of the whole server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use codeact::llm::Model;
use codeact_sessions::manager::Durability;

use super::TenantConfig;

/// Configuration of the server, with all defaults resolved.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServerConfig {
    /// Address to listen on. Default: 127.0.0.1:8642.
    pub listen: SocketAddr,
    /// Folder of the sessions; `None`: a temporary one that is removed at the end. Default: `None`.
    pub state: Option<PathBuf>,
    /// When turns are written to the store. Default: before their results are returned.
    pub durability: Durability,
    /// Memory of all live sessions between turns, in bytes. Default: 4 GiB.
    pub memory: u64,
    /// Number of live sessions between turns. Default: 1,000.
    pub live: usize,
    /// Time after which an unused session is written out. Default: 5 minutes.
    pub idle: Duration,
    /// Time after which an unused session is removed; `None`: never. Default: `None`.
    pub ttl: Option<Duration>,
    /// Number of requests that may wait for one session. Default: 32.
    pub queue: usize,
    /// Origins of web pages whose requests are served, such as `https://app.example`; `*`: all. Default: none.
    pub origins: Vec<String>,
    /// Names in the `Host` header that are served, in addition to addresses and `localhost`; `*`: all. Default: none.
    pub hosts: Vec<String>,
    /// Limit of a request's body, in bytes. Default: 64 MiB.
    pub body: usize,
    /// Limit of the open connections. Default: 1,024.
    pub connections: usize,
    /// Time in which running turns may end at a shutdown. Default: 10 s.
    pub grace: Duration,
    /// The tenants. At least one.
    pub tenants: Vec<TenantConfig>,
    /// The tenant of requests without a token, by its position in `tenants`. Only on a loopback address.
    pub anonymous: Option<usize>,
    /// True if clients of E2B in debug mode (`E2B_DEBUG=true`) are served too: on the ports 49983, 49999 and 3000 of
    /// 127.0.0.1, and without a token, so every program of this machine can run code. Default: false.
    pub e2b_debug: bool,
    /// Models of agent runs. The first one is used if a request names none. Default: none; agent runs are refused.
    pub models: Vec<ModelConfig>,
}

/// A model of agent runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct ModelConfig {
    /// Name by which requests choose it.
    pub name: String,
    /// The model.
    pub model: Arc<dyn Model>,
}

impl ModelConfig {
    /// Returns `model` under `name`.
    pub fn new(name: impl Into<String>, model: Arc<dyn Model>) -> Self {
        Self {
            name: name.into(),
            model,
        }
    }
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8642)),
            state: None,
            durability: Durability::Turn,
            memory: 4 << 30,
            live: 1000,
            idle: Duration::from_secs(300),
            ttl: None,
            queue: 32,
            origins: Vec::new(),
            hosts: Vec::new(),
            body: 64 << 20,
            connections: 1024,
            grace: Duration::from_secs(10),
            tenants: Vec::new(),
            anonymous: None,
            e2b_debug: false,
            models: Vec::new(),
        }
    }
}
