//! The CodeAct loop: a model acts by writing Python, and is shown what it did.
//!
//! One type and one file per step of the data's way: a task becomes messages (`prompt`), the
//! model's reply (`ask`) an [`Action`] (`action`), its code an `Execution` (the sandbox), that an
//! observation (`observation`), and all of it a [`Step`] of the history (`history`), until there
//! is an answer. [`Agent`] drives it (`run`). `tools` tells the model what its code can call.

mod act;
mod action;
mod ask;
mod desk;
mod history;
mod observation;
mod paused;
mod prompt;
mod repetition;
mod run;
mod tools;

pub use action::{Action, MAX_REPLY_BYTES, Mode, parse};
pub use history::Step;
pub use run::{Agent, Ending, Run};
pub use tools::tools_text;
