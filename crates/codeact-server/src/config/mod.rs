//! Configuration of the server, with all defaults resolved.
//!
//! `server` is the whole, `tenant` one tenant, `check` the rules between them, `web_names` the form of origins and hosts.
//! The command reads flags and files into these types.

mod check;
mod server;
mod tenant;
pub(crate) mod web_names;

pub use check::ConfigError;
pub use server::{ModelConfig, ServerConfig};
pub use tenant::TenantConfig;
