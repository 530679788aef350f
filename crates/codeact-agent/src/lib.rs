//! The CodeAct loop: a language model solves a task by writing Python that runs in a sandbox.
//!
//! An [`Agent`] has a model and a sandbox. [`Agent::run`] sends the task to the model, parses the reply into an
//! [`Action`], runs its code as a turn, and sends the observation back, until there is an answer or the steps are used
//! up. The result is a [`Run`] with all [`Step`]s. All code of a run shares a session, which can be a named one on disk.
//! If the code waits for user input, the run is suspended, and [`Agent::resume`] continues it, perhaps in another process.
//!
//! Files, in the order of the data: `prompt` makes the first messages; `ask` requests a reply, `own_text` ends it at an
//! invented observation, and `repetition` stops one that repeats itself; `action` parses it; `act` runs its code in the session of `context`; `observation` describes
//! the execution; `history` is the conversation; `run` is the loop; `suspended` suspends and resumes it; `tools`
//! describes the tools for the model.

mod act;
mod action;
mod ask;
mod context;
mod error;
mod history;
mod observation;
mod own_text;
mod prompt;
mod repetition;
mod run;
mod suspended;
mod tools;

pub use action::{Action, MAX_REPLY_BYTES, Mode, parse};
pub use context::SessionRef;
pub use error::AgentError;
pub use history::Step;
pub use run::{Agent, Ending, Run};
pub use tools::tools_text;
