//! The `codeact` command. All of it is in `codeact::cli`, so that `main` only ends the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    codeact::cli::main(std::env::args_os())
}
