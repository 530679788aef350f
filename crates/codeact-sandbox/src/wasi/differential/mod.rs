//! Differential test: the same calls on this implementation and on that of `wasmtime-wasi`.
//!
//! For Linux only, because error numbers of `wasmtime-wasi` are those of the host's file system.
//!
//! A small WebAssembly module (`hosts`) forwards each call of preview 1. It runs on both implementations, each with its
//! own folder of the same content as the preopened `/`. `ops` are the operations on files, and the observations of them:
//! error number, results, and bytes in guest memory, without inode and device numbers, times and rights. `side` runs them.
//! `programs` are fixed sequences of operations, `random` are random ones, and `calls` are the calls that are not about
//! files. `differences` lists the permitted differences, each with its reason; all others fail the test.

mod calls;
mod differences;
mod hosts;
mod ops;
mod programs;
mod random;
mod side;
