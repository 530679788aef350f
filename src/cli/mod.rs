//! The command line.
//!
//! `args` is the syntax, `settings` and `values` turn it into the library's types, and each command has a file of its
//! own. `exec`, `run` and `session resume` share `turn_runner`: it grants mounts and tools, runs, shows the result and
//! writes changes back. `store` opens named sessions, `recording` writes recordings, `user_input` asks the user,
//! `hints` renders advice of library errors as flags.
//!
//! The answer, or the code's own stdout, goes to stdout; everything else goes to stderr.

mod args;
mod artifacts;
mod demo;
mod exec;
mod exit_code;
mod hints;
mod input;
mod mounts;
mod output_pump;
mod pack;
mod packages;
mod recording;
mod repl;
mod replay;
mod resume;
mod run;
mod secrets;
mod serve;
mod session;
mod settings;
mod signals;
mod store;
mod terminal;
mod tools;
mod turn_runner;
mod user_input;
mod values;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Runs the command line `args`, which begins with the program's name, and returns the exit code.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = args.into_iter().collect();
    let args = match Args::try_parse_from(&arguments) {
        Ok(args) => args,
        Err(e) => {
            // `--help` and `--version` are errors as well, with status 0.
            let _ = e.print();
            return exit_code::from_i32(e.exit_code());
        }
    };
    let mut runtime = match &args.command {
        Command::Serve(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return exit_code::fail(&e.into()),
    };
    let code = runtime.block_on(async {
        match args.command {
            Command::Run(run) => run::run(run, &args.global).await,
            Command::Demo(demo) => demo::run(demo, &args.global).await,
            Command::Exec(exec) => exec::run(exec, &args.global).await,
            Command::Repl(repl) => repl::run(repl, &args.global).await,
            Command::Replay(replay) => replay::run(replay, &args.global).await,
            Command::Session(command) => session::run(command, &args.global).await,
            Command::Serve(serve) => serve::run(&serve, &args.global, &arguments).await,
            Command::Tools(command) => tools::run(command, &args.global).await,
            Command::Pack(pack) => pack::run(pack, &args.global).await,
        }
    });
    // A thread may be blocked in a read of stdin. Do not wait for it.
    runtime.shutdown_background();
    code.unwrap_or_else(|e| exit_code::fail(&e))
}
