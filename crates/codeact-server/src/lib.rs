//! One HTTP server in front of the sandbox, for clients that exist.
//!
//! [`Server::start`] opens the tenants of a [`ServerConfig`] and returns a [`Server`], whose [`Server::serve`] answers
//! requests on a listener until it is stopped.
//!
//! Every way in is a thin protocol over the session manager of `codeact-sessions`:
//!
//! | folder | protocol |
//! |---|---|
//! | `v1` | the own API, with its OpenAPI document |
//! | `e2b` | control plane and data plane of E2B's SDKs |
//! | `jupyter` | Jupyter Server's REST and WebSocket API |
//! | `compat` | SandboxFusion and LibreChat |
//!
//! They share `app` (the state), `auth` (tokens and tenants), `guard` (which requests are let in), `turns` (running code
//! and streaming its output), `error` (what went wrong, and its status).

mod activity;
mod app;
mod auth;
mod body_budget;
mod config;
mod connections;
mod error;
mod grants;
mod guard;
mod guesses;
mod health;
mod metrics;
mod observe;
mod peers;
mod router;
mod server;
mod shell;
mod socket;
mod stream_limits;
mod telemetry;
mod turn_records;
mod turns;

mod compat;
mod e2b;
mod jupyter;
mod v1;

pub use config::{ConfigError, ModelConfig, ServerConfig, TenantConfig};
pub use server::{Server, ServerError};
pub use telemetry::{BadEndpoint, Telemetry, TelemetryError, TelemetryOptions};
