//! What can be typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::secrets::SecretArg;
use super::settings::{Bytes, Time};
use crate::pack::Requirement;
use crate::sandbox::Mount;
use crate::tools::Approval;
use crate::tools::mcp::ServerSpec;
use crate::tools::net::HostRule;
use crate::tools::script::Script;

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
    /// Let a model solve a task by writing Python
    Run(Run),
    /// Run Python without a model
    Exec(Exec),
    /// Type Python, block by block, in a sandbox that can be undone and forked
    Repl(Repl),
    /// See the whole of it at work, without a model or a key
    Demo(Demo),
    /// Run a recording again, and check that everything is as it was
    Replay(Replay),
    /// See, undo, copy or move sessions
    #[command(subcommand)]
    Session(Session),
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
    2  the command line is wrong
   75  the code waits for an answer: `codeact session resume`
  124  the wall time or the fuel was used up
  125  the runner itself failed
  130  stopped by Ctrl-C
  134  the interpreter trapped (os.abort, a C stack overflow)
  137  a MemoryError was not caught
  141  whoever read stdout has gone away";

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
    /// Go on with this session, or begin it: variables and files stay from run to run
    #[arg(long, value_name = "NAME", conflicts_with = "seed")]
    pub(super) session: Option<String>,
    /// Write all that the code is told of the world outside to FILE, for `codeact replay`
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// Take everything back when the code ends with an exception, too
    #[arg(long)]
    pub(super) transactional: bool,
    /// Show what the run changed, with a diff of small text files, and write nothing back
    #[arg(long)]
    pub(super) diff: bool,
    /// Print one JSON object: status, stdout, stderr, result, error, changes, usage
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

const REPL_HELP: &str = "\
Ctrl-C stops what runs, and the session is as before it; Ctrl-D ends. Lines that begin with `:` are
commands; `:help` lists them.

From a pipe: no prompts, values on stdout, tracebacks on stderr. A blank line, or a line that begins
another statement, ends a block. The exit code is that of the last block that failed, as `exec`
gives it, or 0.";

/// Type Python, block by block, in a sandbox that can be undone and forked.
#[derive(Debug, clap::Args)]
#[command(after_help = REPL_HELP)]
pub(super) struct Repl {
    /// Go on with this session, or begin it: every block that has run is on disk
    #[arg(long, value_name = "NAME", conflicts_with = "seed")]
    pub(super) session: Option<String>,
    /// All randomness follows from this number
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    #[command(flatten)]
    pub(super) files: FileArgs,
    #[command(flatten)]
    pub(super) tools: ToolArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

const REPLAY_HELP: &str = "\
The code gets the time, randomness, input, files and replies that it got then, and nothing else: no
model, network or mounted folder is needed, and nothing is written back. The same pack and the same
version of codeact are.

Exit codes:
    N  without --check, what the recorded command gave
    1  the replay does something else than was recorded; the first difference is told
    2  the command line is wrong
  125  the runner itself failed, e.g. the file is no recording";

/// Run what `exec --record` or `run --record` has written again, and check that its output and its
/// memory are the same.
#[derive(Debug, clap::Args)]
#[command(after_help = REPLAY_HELP)]
pub(super) struct Replay {
    /// The recordings
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Only tell whether each file's replay is the same
    #[arg(long)]
    pub(super) check: bool,
    /// Stop after this turn, and go on by hand there, as in `codeact repl`
    #[arg(long, value_name = "TURN", conflicts_with = "check")]
    pub(super) until: Option<usize>,
    /// Show the model's replies and observations in full
    #[arg(short, long)]
    pub(super) verbose: bool,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

const RUN_HELP: &str = "\
The model is named by --model or CODEACT_MODEL: NAME, PRESET/NAME (e.g. ollama/qwen3,
openrouter/…) or recorded:FILE. Without a name, the usual variables (OPENAI_API_KEY,
OPENAI_BASE_URL, OLLAMA_HOST and others') and then servers on this machine decide.

Input piped to stdin is given to the code as `stdin_text`.

Exit codes:
    0  there is an answer, on stdout
    1  there is none: the steps were used up, or with --once the program failed
    2  the command line is wrong
   75  the code waits for an answer: `codeact session resume`
  125  the runner itself failed, e.g. no model was found
  130  stopped by Ctrl-C";

/// Let a model solve a task by writing Python, which runs in the sandbox. The answer goes to
/// stdout, everything else to stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub(super) struct Run {
    /// What to do; `-` reads it from stdin
    #[arg(value_name = "TASK")]
    pub(super) task: String,
    /// Work in this session, or begin it: the code finds the variables and files of earlier runs
    #[arg(long, value_name = "NAME", conflicts_with_all = ["seed", "once"])]
    pub(super) session: Option<String>,
    /// Write the model's replies and all that the code is told of the world outside to FILE, for
    /// `codeact replay`
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// One reply, which must be only Python, and its stdout is the answer
    #[arg(long)]
    pub(super) once: bool,
    /// The most replies asked of the model
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) max_steps: u32,
    /// Print events as JSON lines on stdout
    #[arg(long)]
    pub(super) json: bool,
    /// With --json: read answers to the code's questions from stdin, a line of JSON each; stdin is then
    /// no input
    #[arg(long, requires = "json")]
    pub(super) interactive: bool,
    /// Show the model's replies and observations in full
    #[arg(short, long)]
    pub(super) verbose: bool,
    /// All randomness of the code follows from this number; also asked of the model
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

/// What the code sees beside the pack, and what becomes of its files.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Files")]
pub(super) struct FileArgs {
    /// Let the code see a folder or file of yours, at /mnt/NAME or GUEST: `ro` (the default) to read
    /// it, `overlay` to change it without any effect on yours, `commit` to have the changes written
    /// back when the run has succeeded (repeatable)
    #[arg(long = "mount", value_name = "HOST[:GUEST][:ro|overlay|commit]", value_parser = Mount::parse)]
    pub(super) mounts: Vec<Mount>,
    /// Add a pure-Python package, and what it depends on, to those of the pack (repeatable)
    #[arg(long = "with", value_name = "NAME[==VERSION]")]
    pub(super) packages: Vec<Requirement>,
    /// Write the changes of `commit` mounts back without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Save the pictures that were shown, and the files left in the current folder, to this folder
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Let --out overwrite files that are there
    #[arg(long, requires = "out")]
    pub(super) force: bool,
}

/// What of the world outside the code can reach.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Tools")]
pub(super) struct ToolArgs {
    /// Let the code call a program, as tools.NAME(...): it gets JSON on stdin and answers on stdout, and
    /// tells what it takes with --describe or in a .json file beside it (repeatable)
    #[arg(long = "tool", value_name = "NAME=PROGRAM")]
    pub(super) tools: Vec<Script>,
    /// Let the code call the tools of an MCP server, as tools.SERVER.NAME(...): a command that speaks MCP on
    /// its stdin and stdout, or a URL (repeatable)
    #[arg(long = "mcp", value_name = "[NAME=]COMMAND|URL")]
    pub(super) servers: Vec<ServerSpec>,
    /// Use the MCP servers of this file, which has them under `mcpServers` (repeatable). `run` and `repl`
    /// also use your own mcp.json, but never that of the current folder by themselves
    #[arg(long, value_name = "FILE")]
    pub(super) mcp_config: Vec<PathBuf>,
    /// Do not use your own mcp.json
    #[arg(long)]
    pub(super) no_mcp_config: bool,
    /// Whether calls whose name fits PATTERN (with `*`) may be made: always, never, or after asking you
    /// (repeatable; the last that fits decides) [default: always]
    #[arg(long, value_name = "always|never|ask[:PATTERN]")]
    pub(super) approve: Vec<Approval>,
    /// Let the code make HTTP and HTTPS requests to these hosts: HOST, *.HOST or an address, with :PORT
    /// where it is not 80 or 443; addresses of your own networks only when named (repeatable)
    #[arg(long = "allow-net", value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub(super) hosts: Vec<HostRule>,
    /// Let the code use the variable NAME of your environment, or what FILE holds, in requests to HOST,
    /// without seeing it: os.environ["NAME"] is a stand-in (repeatable; allows HOST too)
    #[arg(long = "secret", value_name = "NAME[=FILE][@HOST[:PORT]]")]
    pub(super) secrets: Vec<SecretArg>,
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

/// Which model.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArgs {
    /// The model: NAME, PRESET/NAME, or recorded:FILE
    #[arg(long, value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// The base URL of an OpenAI-style server, e.g. http://127.0.0.1:8080/v1
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
}

/// Run the laptop task with a recorded reply: everything after the reply is real.
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

/// Limits of a turn.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Wall time, e.g. 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(super) timeout: Time,
    /// Fuel, in passes of loops by their size; metered but endless without this
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
    /// Bytes in the files that the code makes
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub(super) max_file_bytes: Bytes,
    /// Files, folders and links that the code makes
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) max_files: u64,
    /// Files that are open at once
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(super) max_open_files: u64,
}

/// Named sessions: `exec --session NAME` and `run --session NAME` make them and go on with them.
#[derive(Debug, Subcommand)]
pub(super) enum Session {
    /// Show all sessions
    List,
    /// Show a session's turns, its files and its variables
    Show {
        /// The session's name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a session's turns in a line each
    Log {
        /// The session's name
        name: String,
    },
    /// Go back some turns, variables and files
    Undo {
        /// The session's name
        name: String,
        /// How many turns
        #[arg(default_value_t = 1)]
        turns: u32,
    },
    /// Make a new session that is as another one is, or was
    Fork {
        /// NAME, or NAME@TURN
        from: String,
        /// The new session's name
        new: String,
    },
    /// Answer the question that a session's turn waits with, and go on from there
    ///
    /// Grant again what was granted to the command that asked: tools, mounts, packages.
    Resume(Box<Resume>),
    /// Write a session to a file, to move it to another machine
    Export {
        /// The session's name
        name: String,
        /// The file
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a session from such a file
    Import {
        /// The file
        file: PathBuf,
        /// The session's name; that of the file without it
        name: Option<String>,
    },
    /// Remove sessions
    Rm {
        /// Their names
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Free space: what killed processes left, and the states of all but the newest turns
    Gc {
        /// So many turns of each session can still be gone back to
        #[arg(long, value_name = "N", default_value_t = 20)]
        keep: usize,
    },
}

/// Take a turn up that waits.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The session's name
    pub(super) name: String,
    /// The answer; of a call that needs approval `yes`, or why not. Without it you are asked
    #[arg(long, value_name = "TEXT")]
    pub(super) answer: Option<String>,
    /// Of an agent: the most replies asked of the model from here on
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
