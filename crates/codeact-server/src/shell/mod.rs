//! A shell over the files of a session.
//!
//! The shell itself (bash's language and about 150 tools) is the crate `bashkit`. Here it runs over the files of a
//! session instead of its own:
//!
//! | module | subject |
//! |---|---|
//! | `command` | a command, its output and its errors |
//! | `run`, `client_stdin` | runs one command, with its limits and its stdin |
//! | `files` | the trait of bashkit's files, over a working copy |
//! | `working_copy` | a fork of the session that a command works on, and its changes |
//! | `python`, `launch` | `python`: a fresh interpreter over the session's files |
//! | `pip` | `pip install`: packages of the session |
//! | `places`, `work`, `limits` | what a command can take from its tenant: places, turns, time and fuel |
//! | `seq` | `seq`, without the limit that bashkit's has |
//! | `unknown` | commands that do not exist here |
//!
//! A command works on a fork, so it does not hold the session. Its changes reach the session as one change at its end,
//! and before each `python`, which has to see them.

mod client_stdin;
mod command;
mod files;
mod launch;
mod limits;
mod pip;
mod places;
mod python;
mod run;
mod seq;
mod unknown;
mod work;
mod working_copy;

pub(crate) use command::{ShellCommand, ShellError, ShellStream};
pub(crate) use run::{RunningCommand, run_command};
