//! Groups of options that several commands share.

use std::path::PathBuf;

use codeact::pack::Requirement;
use codeact::sandbox::Mount;
use codeact::tools::ApprovalRule;
use codeact::tools::mcp::ServerSpec;
use codeact::tools::net::HostRule;
use codeact::tools::program::ProgramTool;

use crate::cli::secrets::SecretArg;
use crate::cli::values::{Bytes, Time};

/// Files of the host that the code sees, and files that it leaves.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Files")]
pub(in crate::cli) struct FileArgs {
    /// Grant the code a folder or file of yours, at /mnt/NAME or GUEST: `ro` (the default) to read it,
    /// `overlay` to change it in the sandbox only, `commit` to have the changes written back if the
    /// run succeeds (repeatable)
    #[arg(long = "mount", value_name = "HOST[:GUEST][:ro|overlay|commit]", value_parser = Mount::parse)]
    pub(in crate::cli) mounts: Vec<Mount>,
    /// Add a pure-Python package, and its dependencies, to those of the pack (repeatable)
    #[arg(long = "with", value_name = "NAME[==VERSION]")]
    pub(in crate::cli) packages: Vec<Requirement>,
    /// Add the packages of a requirements.txt: names, versions and markers, without options (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) with_requirements: Vec<PathBuf>,
    /// Add fonts to matplotlib for the scripts that its own fonts lack, such as Chinese, Japanese, Korean, Arabic and
    /// Devanagari, and for emoji (Noto; 23 MB are downloaded once)
    #[arg(long)]
    pub(in crate::cli) fonts: bool,
    /// Write the changes of `commit` mounts back without asking
    #[arg(long)]
    pub(in crate::cli) yes: bool,
    /// Save the pictures that were shown, and the files left in the current folder, to this folder
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Let --out overwrite existing files
    #[arg(long, requires = "out")]
    pub(in crate::cli) force: bool,
}

/// Tools and network access.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Tools")]
pub(in crate::cli) struct ToolArgs {
    /// Let the code call a program, as tools.NAME(...): it gets JSON on stdin and writes its result to
    /// stdout, and describes its arguments with --describe or in a .json file next to it (repeatable)
    #[arg(long = "tool", value_name = "NAME=PROGRAM")]
    pub(in crate::cli) tools: Vec<ProgramTool>,
    /// Let the code call the tools of an MCP server, as tools.SERVER.NAME(...): a command that speaks
    /// MCP on its stdin and stdout, or a URL (repeatable)
    #[arg(long = "mcp", value_name = "[NAME=]COMMAND|URL")]
    pub(in crate::cli) servers: Vec<ServerSpec>,
    /// Use the MCP servers under `mcpServers` in this file (repeatable). `run` and `repl` also use your
    /// own mcp.json, but the one of the current folder only if it is given here
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) mcp_config: Vec<PathBuf>,
    /// Do not use your own mcp.json
    #[arg(long)]
    pub(in crate::cli) no_mcp_config: bool,
    /// Allow calls of tools whose name matches PATTERN (with `*`) always, never, or after asking you
    /// (repeatable; if several match, the last one applies) [default: always]
    #[arg(long, value_name = "always|never|ask[:PATTERN]")]
    pub(in crate::cli) approve: Vec<ApprovalRule>,
    /// Let the code make HTTP and HTTPS requests to these hosts: HOST, *.HOST or an address, with :PORT
    /// if it is not 80 or 443; addresses of private networks only if they are named (repeatable)
    #[arg(long = "allow-net", value_name = "HOST[:PORT]", value_delimiter = ',')]
    pub(in crate::cli) hosts: Vec<HostRule>,
    /// Let the code use the variable NAME of your environment, or the content of FILE, in requests to
    /// HOST, without seeing it: os.environ["NAME"] is a placeholder (repeatable; allows HOST too)
    #[arg(long = "secret", value_name = "NAME[=FILE][@HOST[:PORT]]")]
    pub(in crate::cli) secrets: Vec<SecretArg>,
}

/// The choice of a model.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct ModelArgs {
    /// The model: NAME, PRESET/NAME, or recorded:FILE
    #[arg(long, value_name = "MODEL")]
    pub(in crate::cli) model: Option<String>,
    /// The base URL of an OpenAI-compatible server, e.g. http://127.0.0.1:8080/v1
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) base_url: Option<String>,
}

/// Limits of a turn.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::cli) struct LimitArgs {
    /// Wall time, e.g. 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(in crate::cli) timeout: Time,
    /// Fuel, in instructions of executed loops; metered, but unlimited without this
    #[arg(long, value_name = "N")]
    pub(in crate::cli) fuel: Option<u64>,
    /// Memory of the interpreter and the code, e.g. 256M, 1G
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub(in crate::cli) max_memory: Bytes,
    /// Captured output of each stream; the rest is dropped, with a notice
    #[arg(long, value_name = "SIZE", default_value = "1M")]
    pub(in crate::cli) max_output: Bytes,
    /// Host calls: calls from the code to the host
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(in crate::cli) max_host_calls: u64,
    /// Bytes of the requests and responses of host calls
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    pub(in crate::cli) max_host_call_bytes: Bytes,
    /// Bytes in the files that the code creates
    #[arg(long, value_name = "SIZE", default_value = "256M")]
    pub(in crate::cli) max_file_bytes: Bytes,
    /// Files, folders and links that the code creates
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(in crate::cli) max_files: u64,
    /// Files that are open at the same time
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(in crate::cli) max_open_files: u64,
}
