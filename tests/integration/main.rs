//! Tests of the command and the library through their public interfaces.
//!
//! `support` has the builder that all modules use. `exec*` test the command without a model, `limits*` each limit,
//! `attacks` hostile code, `library*` the library API, `agent*` the agent loop with a fake model, `run*` and `demo` the
//! commands with a model, against the scripted `model_server`, `artifacts` displays and files, `mcp*` MCP servers, `mounts*`
//! mounts of the folders that `host_folder` makes, `session_files*` and `rich_results*` what servers use of the library, `odd_tools` tools with unusual schemas and results, `secrets` what code can learn of a secret, `thread*` and `processes` the guest's threads, and `texts*` every text of
//! the command, by snapshots. The files of `tests/cases` are tests of the target `cases`.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]

mod host_folder;
mod mcp_support;
mod model_server;
mod rich_results_support;
mod session_files_support;
mod support;

mod agent;
mod agent_history;
mod answers;
mod artifacts;
mod attacks;
mod base_image;
mod cases;
mod deep_values;
mod demo;
mod exec;
mod exec_errors;
mod exec_json;
mod exec_streaming;
mod files_features;
mod fonts;
mod host_work;
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
mod notebook_code;
mod numpy;
#[cfg(unix)]
mod odd_tools;
mod packages;
mod processes;
mod random_ranges;
mod repl;
mod replay;
mod replay_limits;
mod rich_results;
mod rich_results_charts;
mod rich_results_hostile;
mod run_command;
mod run_failures;
mod run_input;
mod run_once;
mod run_replies;
mod run_stop;
#[cfg(unix)]
mod secrets;
mod session_archives;
mod session_files;
mod session_files_adopted;
mod session_files_packages;
mod session_files_refused;
mod sessions;
mod sessions_survive;
mod snapshots;
mod source_lines;
mod suspended_turns;
#[cfg(unix)]
mod terminal;
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
mod thread_pools;
mod threads;
mod tools;
mod tools_command;
mod unix_functions;
