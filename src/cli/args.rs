//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::settings::{Bytes, Time};

/// Run Python that nobody has read, in CPython on WebAssembly with numpy, pandas, scipy and
/// matplotlib, within limits and with nothing of this machine in reach.
#[derive(Debug, Parser)]
#[command(name = "codeact", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
pub(super) struct Global {
    /// Never download: a missing pack is an error
    #[arg(long, global = true)]
    pub(super) offline: bool,
    /// Say less: no progress, no notices
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run Python without a model
    Exec(Exec),
    /// Install, list or remove packs (builds of CPython)
    #[command(subcommand)]
    Pack(Pack),
}

const EXIT_CODES: &str = "\
Exit codes:
    0  the code ran to its end
    1  an exception was not caught
    N  the code called sys.exit(N)
    2  the command line is wrong
  124  the wall time or the fuel was used up
  125  the runner itself failed
  130  stopped by Ctrl-C
  134  the interpreter trapped (os.abort, a C stack overflow)
  137  a MemoryError was not caught";

/// Run Python without a model. The code's stdout goes to stdout and its stderr to stderr, live.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Exec {
    /// The file to run; `-` for stdin
    #[arg(required_unless_present = "code", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Run this code instead of a file
    #[arg(short, long, value_name = "CODE", conflicts_with = "file")]
    pub(super) code: Option<String>,
    /// An argument for the code, in sys.argv (repeatable)
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub(super) args: Vec<String>,
    /// Arguments for the code, in sys.argv, after `--`
    #[arg(last = true, value_name = "ARGS")]
    pub(super) rest: Vec<String>,
    /// A variable of the code's environment, which is otherwise empty of this machine's (repeatable)
    #[arg(long, value_name = "K=V", value_parser = super::settings::key_value)]
    pub(super) env: Vec<(String, String)>,
    /// All randomness follows from this number
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Print one JSON object: status, stdout, stderr, result, error, usage
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

/// Limits of a turn.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Wall time, e.g. 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(super) timeout: Time,
    /// Fuel, in wasm instructions; metered but endless without this
    #[arg(long, value_name = "N")]
    pub(super) fuel: Option<u64>,
    /// Memory of the interpreter and the code, e.g. 256M, 1G
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub(super) max_memory: Bytes,
    /// Captured output of each stream; the rest is dropped, and said so
    #[arg(long, value_name = "SIZE", default_value = "1M")]
    pub(super) max_output: Bytes,
    /// Calls from the code to the host
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) max_door_calls: u64,
    /// Bytes those calls may carry
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    pub(super) max_door_bytes: Bytes,
}

#[derive(Debug, Subcommand)]
pub(super) enum Pack {
    /// Install a pack and prepare it for this machine; without a name, the default one
    Install {
        /// The pack's name
        name: Option<String>,
        /// Take it from this wheel file instead of downloading it
        #[arg(long, value_name = "WHEEL")]
        from: Option<PathBuf>,
    },
    /// Show the known packs: versions, sizes, Python version, packages
    List,
    /// Print the folder of an installed pack
    Path {
        /// The pack's name
        name: Option<String>,
    },
    /// Remove a pack and what was compiled from it
    Remove {
        /// The pack's name
        name: Option<String>,
    },
}
