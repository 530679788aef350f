//! Behaviour held through the real binary and the public library.
//!
//! `support` is the builder all modules use. `cases` runs the files of `tests/cases`; `exec*` hold
//! what the command promises; `limits*` each bound; `attacks` what hostile code tries; `library*`
//! the crate as an embedder uses it.

mod support;

mod attacks;
mod cases;
mod exec;
mod exec_errors;
mod exec_json;
mod exec_live;
mod library;
mod library_isolation;
mod library_rollback;
mod limits;
mod limits_files;
