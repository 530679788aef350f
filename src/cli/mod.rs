//! The command line: parse, then resolve, then act.
//!
//! `args` is clap and nothing else; `settings` turns what was typed and the environment into the
//! library's types; each command has its file. The answer, or the code's own stdout, goes to
//! stdout; everything else to stderr.

mod args;
mod artifacts;
mod demo;
mod exec;
mod exit;
mod input;
mod live;
mod mounts;
mod pack;
mod people;
mod repl;
mod replay;
mod resume;
mod run;
mod secrets;
mod session;
mod settings;
mod tools;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};

/// Runs the command line `args`, the program's name first, and tells the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(e) => {
            // `--help` and `--version` arrive here too, with status 0.
            let _ = e.print();
            return exit::code(e.exit_code());
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(e) => return exit::fail(&e.into()),
    };
    let code = runtime.block_on(async {
        match args.command {
            Command::Run(run) => run::run(run, &args.global).await,
            Command::Demo(demo) => demo::run(demo, &args.global).await,
            Command::Exec(exec) => exec::run(exec, &args.global).await,
            Command::Repl(repl) => repl::run(repl, &args.global).await,
            Command::Replay(replay) => replay::run(replay, &args.global).await,
            Command::Session(command) => session::run(command, &args.global).await,
            Command::Tools(command) => tools::run(command, &args.global).await,
            Command::Pack(pack) => pack::run(pack, &args.global).await,
        }
    });
    // A thread may still be waiting for stdin: nothing needs it any more.
    runtime.shutdown_background();
    code.unwrap_or_else(|e| exit::fail(&e))
}
