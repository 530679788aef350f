//! Behaviour held through the real binary and the public library.
//!
//! `support` is the builder all modules use. `cases` runs the files of `tests/cases`; `exec*` hold
//! what the command promises; `limits*` each bound; `attacks` what hostile code tries; `library*`
//! the crate as an embedder uses it; `agent*` the loop with a model made for the test; `run*` and
//! `demo` the commands with a model, against the scripted `model_server`; `artifacts` the pictures
//! and files that code leaves; `mcp*` tools of MCP servers; `mounts*` folders of the host, which
//! `host_folder` makes; `texts*` every text that the command shows, word by word.

mod host_folder;
mod mcp_support;
mod model_server;
mod support;

mod agent;
mod agent_history;
mod artifacts;
mod attacks;
mod cases;
mod demo;
mod exec;
mod exec_errors;
mod exec_json;
mod exec_live;
mod files_features;
mod interrupted;
mod library;
mod library_fork;
mod library_isolation;
mod library_rollback;
mod limits;
mod limits_files;
mod mcp;
mod mcp_http;
mod mcp_life;
mod mcp_npm;
mod mounts;
mod mounts_commit;
mod mounts_conflict;
mod mounts_session;
mod network;
mod packages;
mod repl;
mod replay;
mod run_command;
mod run_failures;
mod run_input;
mod run_once;
mod run_replies;
mod run_stop;
mod sessions;
mod sessions_survive;
mod snapshots;
#[cfg(unix)]
mod texts;
#[cfg(unix)]
mod texts_errors;
#[cfg(unix)]
mod texts_help;
#[cfg(unix)]
mod texts_mcp;
#[cfg(unix)]
mod texts_model;
#[cfg(unix)]
mod texts_net;
#[cfg(unix)]
mod texts_output;
#[cfg(unix)]
mod texts_prompt;
#[cfg(unix)]
mod texts_python;
#[cfg(unix)]
mod texts_redaction;
#[cfg(unix)]
mod texts_repl;
#[cfg(unix)]
mod texts_replay;
#[cfg(unix)]
mod texts_run;
#[cfg(unix)]
mod texts_sessions;
#[cfg(unix)]
mod texts_tools;
mod tools;
mod tools_command;
mod waiting;
