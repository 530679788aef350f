//! The syntax of the command line.

mod groups;
mod serve;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::values::key_value;
pub(super) use groups::{FileArgs, LimitArgs, ModelArgs, ToolArgs};
pub(super) use serve::{
    DurabilityArg, LogFormatArg, LogLevelArg, OperationArgs, Serve, ServedModels, TenantArgs,
    TenantEntry,
};

/// Run untrusted Python in CPython on WebAssembly, with numpy, pandas, scipy and matplotlib, within
/// limits and without access to this machine.
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
    /// Print no progress and no notices, except that output was cut
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Let a model solve a task by writing Python
    Run(Run),
    /// Run Python without a model
    Exec(Exec),
    /// Type Python, block by block, in a session that can be undone and forked
    Repl(Repl),
    /// Show a complete run, without a model or an API key
    Demo(Demo),
    /// Run a recording again, and check that it does the same
    Replay(Replay),
    /// Show, undo, fork, resume or move sessions
    #[command(subcommand)]
    Session(Session),
    /// Serve the sandbox over HTTP, for the clients of E2B, Jupyter and others
    Serve(Box<Serve>),
    /// Show the tools that a run would offer, as the model will see them
    Tools(ToolsCommand),
    /// Install, list or remove packs (builds of CPython)
    #[command(subcommand)]
    Pack(Pack),
}

const EXIT_CODES: &str = "\
Exit codes:
    0  the code ran to its end
    1  an exception was not caught
    N  the code called sys.exit(N)
    2  the command line is not valid
   75  the turn is suspended: `codeact session resume` answers its question
  124  the wall time or the fuel was used up
  125  the runner itself failed
  130  stopped by Ctrl-C
  134  the interpreter trapped (os.abort, a C stack overflow)
  137  a MemoryError was not caught
  141  broken pipe: the reader of stdout has closed it";

/// Run Python without a model. The code's stdout and stderr are passed through while it runs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Exec {
    /// The file to run, with the packages of its `# /// script` metadata; `-` for stdin
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
    /// A variable for the code's environment, which has none of this machine's variables (repeatable)
    #[arg(long, value_name = "K=V", value_parser = key_value)]
    pub(super) env: Vec<(String, String)>,
    /// Seed of all randomness in the sandbox
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Continue this session, or create it: variables and files last from run to run
    #[arg(long, value_name = "NAME", conflicts_with = "seed")]
    pub(super) session: Option<String>,
    /// Record all input of the code (time, randomness, stdin, files, results of tools) in FILE, for
    /// `codeact replay`
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Roll back on an uncaught exception, too
    #[arg(long)]
    pub(super) transactional: bool,
    /// Show the changes of the run, with a diff of small text files, and write nothing back
    #[arg(long)]
    pub(super) diff: bool,
    /// Print one JSON object: status, stdout, stderr, result, error, changes, usage
    #[arg(long)]
    pub(super) json: bool,
    /// On a terminal, pass the code's output on with all its control sequences. Without this, only
    /// colours pass, and what moves within a line
    #[arg(long)]
    pub(super) raw: bool,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

const REPL_HELP: &str = "\
Ctrl-C stops the running block and rolls it back; Ctrl-D ends. Lines that begin with `:` are commands;
`:help` lists them.

From a pipe: no prompts, values on stdout, tracebacks on stderr. A blank line, or a line that begins
another statement, ends a block. The exit code is that of the last block that failed, as `exec`
returns it, or 0.";

/// Type Python, block by block, in a session that can be undone and forked.
#[derive(Debug, clap::Args)]
#[command(after_help = REPL_HELP)]
pub(super) struct Repl {
    /// Continue this session, or create it: every block is on disk when it has run
    #[arg(long, value_name = "NAME", conflicts_with = "seed")]
    pub(super) session: Option<String>,
    /// Seed of all randomness in the sandbox
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// On a terminal, pass the code's output on with all its control sequences. Without this, only
    /// colours pass, and what moves within a line
    #[arg(long)]
    pub(super) raw: bool,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

const REPLAY_HELP: &str = "\
The code gets the recorded time, randomness, input, files and model replies, and nothing else: no
model, network or mounted folder is needed, and nothing is written back. The same pack and the same
version of codeact are needed.

The limits below hold whatever the recording says. A turn with a larger recorded limit is refused.

Exit codes:
    N  without --check, the exit code of the recorded command
    1  the replay diverges from the recording; the first difference is shown
    2  the command line is not valid
  124  a turn did not end within --timeout
  125  the runner itself failed, e.g. the file is not a recording";

/// Run a recording of `exec --record` or `run --record` again, and check that its output and its
/// memory are the same.
#[derive(Debug, clap::Args)]
#[command(after_help = REPLAY_HELP)]
pub(super) struct Replay {
    /// The recordings
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Show only whether the replay of each file is the same
    #[arg(long)]
    pub(super) check: bool,
    /// Stop after this turn, and continue interactively, as in `codeact repl`
    #[arg(long, value_name = "TURN", conflicts_with = "check")]
    pub(super) until: Option<usize>,
    /// Show the model's replies and observations in full
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// On a terminal, pass the code's output on with all its control sequences. Without this, only
    /// colours pass, and what moves within a line
    #[arg(long)]
    pub(super) raw: bool,
    /// Download the packages that the recording names and that are not in the cache
    #[arg(long)]
    pub(super) fetch: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

const RUN_HELP: &str = "\
The model is chosen by --model or CODEACT_MODEL: NAME, PRESET/NAME (e.g. ollama/qwen3,
openrouter/…) or recorded:FILE. Without a name, the usual variables (OPENAI_API_KEY,
OPENAI_BASE_URL, OLLAMA_HOST and those of other providers) and then servers on this machine are
tried.

Input piped to stdin is bound to `stdin_text` in the code.

Exit codes:
    0  there is an answer, on stdout
    1  there is none: the steps were used up, or with --once the program failed
    2  the command line is not valid
   75  the run is suspended: `codeact session resume` answers its question
  125  the runner itself failed, e.g. no model was found
  130  stopped by Ctrl-C";

/// Let a model solve a task by writing Python, which runs in the sandbox. The answer goes to
/// stdout, everything else to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(super) struct Run {
    /// The task; `-` reads it from stdin
    #[arg(value_name = "TASK")]
    pub(super) task: String,
    /// Continue this session, or create it: the code finds the variables and files of earlier runs
    #[arg(long, value_name = "NAME", conflicts_with_all = ["seed", "once"])]
    pub(super) session: Option<String>,
    /// Record the model's replies and all input of the code (time, randomness, files, results of
    /// tools) in FILE, for `codeact replay`
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Ask for one reply, which must be only Python; its stdout is the answer
    #[arg(long)]
    pub(super) once: bool,
    /// Limit of the replies that the model is asked for
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_steps: u32,
    /// Print events as JSON lines on stdout
    #[arg(long)]
    pub(super) json: bool,
    /// With --json: read answers to the code's questions from stdin, one line of JSON each; stdin is
    /// then not input of the code
    #[arg(long, requires = "json")]
    pub(super) interactive: bool,
    /// Show the model's replies and observations in full
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// Seed of all randomness in the sandbox; also sent to the model
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

/// Show the tools that a run with these options would offer, as the model will see them.
#[derive(Debug, clap::Args)]
pub(super) struct ToolsCommand {
    /// Print a JSON list, with schemas
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
}

/// Run the laptop task with a recorded reply of a model: everything after the reply is real.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Print events as JSON lines on stdout
    #[arg(long)]
    pub(super) json: bool,
    /// Show the model's reply in full
    #[arg(short, long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

/// Named sessions: `exec --session NAME` and `run --session NAME` create and continue them.
#[derive(Debug, Subcommand)]
pub(super) enum Session {
    /// List all sessions
    List,
    /// Show a session's turns, files and variables
    Show {
        /// The session's name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List a session's turns, one line each
    Log {
        /// The session's name
        name: String,
    },
    /// Go back some turns, variables and files
    Undo {
        /// The session's name
        name: String,
        /// Number of turns
        #[arg(default_value_t = 1)]
        turns: u32,
    },
    /// Create a session from the state of another one, now or after an earlier turn
    Fork {
        /// NAME, or NAME@TURN
        from: String,
        /// The new session's name
        new: String,
    },
    /// Answer the question of a suspended turn, and resume the turn
    ///
    /// Grant the same tools, mounts and packages as the command that was suspended.
    Resume(Box<Resume>),
    /// Write a session to a file, to move it to another machine
    Export {
        /// The session's name
        name: String,
        /// The file
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Create a session from such a file
    Import {
        /// The file
        file: PathBuf,
        /// The session's name; default: the name of the file
        name: Option<String>,
    },
    /// Remove sessions
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Free space: remove files of killed processes, and the states of all but the newest turns
    Gc {
        /// Number of turns of each session that can still be undone
        #[arg(long, value_name = "N", default_value_t = 20)]
        keep: usize,
    },
}

/// Answer the question of a suspended turn, and resume the turn.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The session's name
    pub(super) name: String,
    /// The answer; for a call that needs approval, `yes` or the reason for a refusal. Without it you
    /// are asked
    #[arg(long, value_name = "TEXT")]
    pub(super) answer: Option<String>,
    /// For a run of a model: limit of the replies that it is asked for from here on
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_steps: u32,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    #[command(flatten)]
    pub(super) model: ModelArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Pack {
    /// Install a pack and prepare it for this machine; without a name, the default one
    Install {
        /// The pack's name
        name: Option<String>,
        /// Install it from this wheel file instead of downloading it
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
    /// Remove a pack and the code compiled from it
    Remove {
        /// The pack's name
        name: Option<String>,
    },
}
