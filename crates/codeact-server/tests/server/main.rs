//! Integration tests of the server, against the library in this process and against the command.

#![allow(clippy::unwrap_used, reason = "a panic is how a test helper fails")]

mod api;
mod support;

mod auth;
mod clients;
mod connections;
mod e2b;
mod e2b_protocol;
mod envd;
mod envd_protocol;
mod envd_support;
mod fusion;
mod guard;
mod idempotency;
mod jupyter;
mod jupyter_attacks;
mod jupyter_clients;
mod jupyter_resources;
mod jupyter_support;
mod librechat;
mod librechat_clients;
mod operation;
mod runs;
mod shell;
mod streams;
mod v1;
mod v1_archives;
mod v1_attacks;
mod v1_document;
mod v1_files;
mod v1_page;
