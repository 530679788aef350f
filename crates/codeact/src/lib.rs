//! Run Python that nobody has read, inside your own process.
//!
//! A CodeAct agent acts by writing code: a model gets a task and answers with Python, the Python runs, and its output
//! or error goes back, until there is an answer. This crate has both halves: a [`Sandbox`], which runs Python in
//! CPython compiled to WebAssembly, within limits and with nothing of the host in reach; and, with the feature `agent`,
//! an `Agent`, which lets a `Model` use it.
//!
//! ```no_run
//! # #[tokio::main]
//! # async fn main() -> Result<(), codeact::SandboxError> {
//! let sandbox = codeact::Sandbox::new().await?;
//! let execution = sandbox.run("import statistics; print('hello'); statistics.mean([5, 7])").await?;
//! assert_eq!(execution.stdout.text, "hello\n");
//! assert_eq!(execution.result.as_deref(), Some("6"));
//! # Ok(())
//! # }
//! ```
//!
//! What the code does is data and never an error: an exception, a time-out and a full memory are each an
//! [`Execution`](sandbox::Execution). A [`Session`](sandbox::Session) keeps variables and files from turn to turn, and a
//! turn that is stopped leaves no trace in it:
//!
//! ```no_run
//! # use codeact::sandbox::{Limits, Outcome, Turn};
//! # use std::time::Duration;
//! # async fn example(sandbox: codeact::Sandbox) -> Result<(), codeact::SandboxError> {
//! let mut session = sandbox.session()?;
//! session.run("x = 1").await?;
//! let second = Limits::new().with_wall(Duration::from_secs(1));
//! let stopped = session.run(Turn::new("x = 2\nwhile True: pass").limits(second)).await?;
//! assert!(matches!(stopped.outcome, Outcome::TimedOut { .. }));
//! assert_eq!(session.run("x").await?.result.as_deref(), Some("1"));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tools` (default) | [`tools`]: functions of the host that the code can call |
//! | `tools-programs` | programs as tools |
//! | `tools-mcp` | tools of MCP servers |
//! | `tools-http` | HTTP for the code, with secrets that it never sees |
//! | `sessions` | `sessions`: named sessions on disk |
//! | `agent` | `agent` and `llm`: the loop, and language models; includes `sessions` |
//!
//! The first use on a machine installs a pack (see [`pack`]) and compiles it, which takes a minute or two; [`event`]
//! reports the progress. The libraries print nothing and end no process. Their only process-wide state is the number of
//! running guests, which decides how often each yields, and the file that large parts of snapshots share.

pub mod wire;

pub use codeact_base::{Hint, LimitName, event};
pub use codeact_pack as pack;
pub use codeact_sandbox as sandbox;

#[cfg(feature = "agent")]
pub use codeact_agent as agent;
#[cfg(feature = "agent")]
pub use codeact_llm as llm;
#[cfg(feature = "sessions")]
pub use codeact_sessions as sessions;
#[cfg(feature = "tools")]
pub use codeact_tools as tools;

#[cfg(feature = "agent")]
pub use codeact_agent::Agent;
#[cfg(feature = "agent")]
pub use codeact_llm::Model;
pub use codeact_sandbox::{Sandbox, SandboxError};

/// Examples of the README and the book, compiled as doctests.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../README.md")]
    struct Readme;
    #[cfg(feature = "agent")]
    #[doc = include_str!("../../../docs/src/library.md")]
    struct Library;
}
