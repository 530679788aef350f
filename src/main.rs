//! The command `codeact`.

mod cli;
mod report;

use std::process::ExitCode;

/// A server frees many single pages when it writes sessions out. This allocator returns them to the system; that of glibc
/// keeps them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main(std::env::args_os())
}
