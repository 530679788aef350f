//! Run Python that nobody has read.
//!
//! A CodeAct agent acts by writing code: a model gets a task and answers with Python, the Python
//! runs, and what it printed or raised goes back, until there is an answer. This crate is the two
//! halves of that: a [`Sandbox`], which runs Python in CPython compiled to WebAssembly, within
//! limits and with nothing of the host in reach; and an [`Agent`], which lets a [`Model`] use it.
//!
//! ```
//! # #[tokio::main]
//! # async fn main() -> Result<(), codeact::Error> {
//! let sandbox = codeact::Sandbox::new().await?;
//! let execution = sandbox.run("import statistics; print('hello'); statistics.mean([5, 7])").await?;
//! assert_eq!(execution.stdout.text, "hello\n");
//! assert_eq!(execution.result.as_deref(), Some("6"));
//! # Ok(())
//! # }
//! ```
//!
//! What the code does is data, never an error: an exception, a time-out and a full memory are
//! each an [`Execution`](sandbox::Execution). A [`Session`](sandbox::Session) keeps variables and
//! files from turn to turn, and a turn that is stopped leaves no trace in it:
//!
//! ```no_run
//! # use codeact::sandbox::{Limits, Outcome, Turn};
//! # use std::time::Duration;
//! # async fn example(sandbox: codeact::Sandbox) -> Result<(), codeact::Error> {
//! let mut session = sandbox.session()?;
//! session.run("x = 1").await?;
//! let mut limits = Limits::default();
//! limits.wall = Duration::from_secs(1);
//! let stopped = session.run(Turn::new("x = 2\nwhile True: pass").limits(limits)).await?;
//! assert!(matches!(stopped.outcome, Outcome::TimedOut { .. }));
//! assert_eq!(session.run("x").await?.result.as_deref(), Some("1"));
//! # Ok(())
//! # }
//! ```
//!
//! An agent is a model and a sandbox:
//!
//! ```no_run
//! # async fn example() -> Result<(), codeact::Error> {
//! use codeact::{Agent, Sandbox, llm};
//!
//! let options = llm::ModelOptions { model: Some("ollama/qwen3".into()), ..Default::default() };
//! let model = llm::resolve(options, &|name| std::env::var(name).ok()).await?.model;
//! let run = Agent::new(model, Sandbox::new().await?).run("What is the 1000th prime?").await?;
//! println!("{:?}", run.answer());
//! # Ok(())
//! # }
//! ```
//!
//! The first use on a machine installs a pack (see [`pack`]) and compiles it, which takes a
//! minute or two; [`event`] tells how far it is. The library keeps no global state, prints
//! nothing and ends no process (the command, which does, is a hidden module of it).

#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod agent;
#[doc(hidden)]
pub mod cli;
mod error;
pub mod event;
pub mod llm;
pub mod pack;
mod report;
pub mod sandbox;
pub mod sessions;
mod text;
pub mod tools;

pub use agent::Agent;
pub use error::Error;
pub use llm::Model;
pub use sandbox::Sandbox;
