//! The own API, below `/v1`, with its OpenAPI document at `/openapi.json` and a page that shows it at `/docs`.
//!
//! `routes` is the table of all operations. `execute`, `runs`, `sessions`, `actions`, `archives`, `files` and `pictures`
//! have their handlers by subject. They share `json_body`, `url`, `bounded` and `requests` (reading requests, all of which
//! are untrusted), `accept`, `stream`, `outlet` and `answer` (writing responses), `idempotency` and `recording` (repeated requests), and
//! `state`.

mod accept;
mod actions;
mod answer;
mod archives;
mod bounded;
mod execute;
mod files;
mod globs;
mod idempotency;
mod json_body;
mod openapi;
mod outlet;
mod pictures;
mod plan;
mod recording;
mod requests;
mod routes;
mod runs;
mod sessions;
mod state;
mod stream;
mod transfers;
mod url;

pub(crate) use routes::routes;
