//! Functions of the host that code in a sandbox can call.
//!
//! A [`Tool`] is a name, a description, schemas and an async function. In Python it is a real function, `tools.NAME`.
//! [`Tools`] is granted to a sandbox. It contains tools of the host itself, of programs (feature `programs`) and of MCP
//! servers (feature `mcp`), the hosts that HTTP requests may reach (feature `http`), and approval rules
//! ([`ApprovalRule`]).
//!
//! Inside, `python` derives Python signatures from schemas, `bytes` moves binary data past JSON, `turn` enforces the
//! limits of one turn, and `source` separates the optional parts from the rest.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use codeact_sandbox::Sandbox;
//! use codeact_tools::{Tool, Tools};
//!
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! struct Query { item: String }
//!
//! let price = Tool::new("price", "The price of an item", |query: Query| async move {
//!     Ok(query.item.len())
//! })?;
//! let sandbox = Sandbox::builder().tools(Tools::new().tool(price)?).build().await?;
//! sandbox.run("tools.price(item='pear') + 1").await?;
//! # Ok(())
//! # }
//! ```

mod approval;
mod bytes;
mod error;
#[cfg(any(feature = "mcp", feature = "programs"))]
mod long_integers;
#[cfg(feature = "mcp")]
pub mod mcp;
mod names;
#[cfg(feature = "http")]
pub mod net;
#[cfg(feature = "programs")]
pub mod program;
#[cfg(feature = "programs")]
mod program_stderr;
mod python;
mod schema_memo;
mod schema_steps;
mod source;
mod tool;
mod tools;
mod turn;

pub use approval::ApprovalRule;
pub use bytes::Bytes;
pub use error::ToolsError;
pub use schemars;
pub use tool::{Tool, ToolFailure, ToolLimits};
pub use tools::Tools;
