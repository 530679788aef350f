//! The command `codeact`.

mod cli;
mod report;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main(std::env::args_os())
}
