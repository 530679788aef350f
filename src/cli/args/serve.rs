//! Options of `codeact serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use codeact::pack::Requirement;
use codeact::sandbox::Mount;

use super::{LimitArgs, ToolArgs};
use crate::cli::values::{Bytes, Time, TokenHash, listen};

const SERVE_HELP: &str = "\
Clients of E2B, Jupyter, SandboxFusion and LibreChat work unchanged; the lines to set them up are printed at the
start. The own API is described at /docs.

Without --token-file there is one tenant, `local`. Its token is the variable CODEACT_TOKEN, or a new one that is
printed at every start.

Exit codes:
    0  stopped by SIGTERM or Ctrl-C, with all sessions written out
    2  the command line or a configuration file is not valid
  125  the server failed, e.g. the address is in use";

/// Serve the sandbox over HTTP, for the clients of E2B, Jupyter and others, and with an API of its own.
#[derive(Debug, clap::Args)]
#[command(after_help = SERVE_HELP)]
pub(in crate::cli) struct Serve {
    /// Address to listen on; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8642", value_parser = listen)]
    pub(in crate::cli) listen: SocketAddr,
    /// Read options from this TOML file: `listen = "…"` is --listen. Options of the command line win
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) config: Option<PathBuf>,
    /// Print all options as such a file, and exit
    #[arg(long)]
    pub(in crate::cli) print_config: bool,
    #[command(flatten)]
    pub(in crate::cli) access: AccessArgs,
    #[command(flatten)]
    pub(in crate::cli) sessions: SessionArgs,
    #[command(flatten)]
    pub(in crate::cli) operation: OperationArgs,
    #[command(flatten)]
    pub(in crate::cli) model: ServedModels,
    #[command(flatten)]
    pub(in crate::cli) tenant: TenantArgs,
}

/// Who may use the server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Access")]
pub(in crate::cli) struct AccessArgs {
    /// Read tenants from this TOML file: [[tenant]] with `name`, `token-sha256`, and options under Tenants, Tools and
    /// Limits, for which those of the command line are defaults
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: Option<PathBuf>,
    /// Serve requests without a token; only on a loopback address
    #[arg(long, conflicts_with = "token_file")]
    pub(in crate::cli) no_token: bool,
    /// Print a new random token and the lines for the token file, and exit
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) new_token: Option<String>,
    /// Serve requests of web pages from this origin, e.g. https://app.example; `*`: from all (repeatable)
    #[arg(long = "allow-origin", value_name = "ORIGIN", value_delimiter = ',')]
    pub(in crate::cli) origins: Vec<String>,
    /// Serve requests for this name in addition to addresses and localhost, and for PORT-SANDBOX.NAME; `*`: for all
    /// (repeatable)
    #[arg(long = "allow-host", value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli) served_hosts: Vec<String>,
    /// Serve E2B's clients in debug mode too (E2B_DEBUG=true), on the ports 49983, 49999 and 3000 of 127.0.0.1. They
    /// have no token: every program of this machine can run code
    #[arg(long)]
    pub(in crate::cli) e2b_debug: bool,
}

/// Where sessions are, and when they are in memory.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Sessions")]
pub(in crate::cli) struct SessionArgs {
    /// Folder of the sessions; a later server continues them [default: serve in the data folder of codeact]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state: Option<PathBuf>,
    /// When sessions are written to disk: before the answer of every `turn`, when they are `idle` and at the end, or
    /// `none`: only to free memory, and without --state to a temporary folder
    #[arg(long, value_name = "turn|idle|none", default_value = "turn")]
    pub(in crate::cli) durability: DurabilityArg,
    /// Memory of all live sessions between turns; the least recently used are written out first
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub(in crate::cli) memory: Bytes,
    /// Number of live sessions between turns
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(in crate::cli) live: usize,
    /// Write out a session that was not used for this time
    #[arg(long, value_name = "TIME", default_value = "5m")]
    pub(in crate::cli) idle: Time,
    /// Remove a session that was not used for this time [default: never]
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) ttl: Option<Time>,
    /// Requests that may wait for one session
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(in crate::cli) queue: usize,
}

/// Operation of the server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Operation")]
pub(in crate::cli) struct OperationArgs {
    /// Size of a request's body
    #[arg(long, value_name = "SIZE", default_value = "64M")]
    pub(in crate::cli) max_body: Bytes,
    /// Open connections
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub(in crate::cli) max_connections: usize,
    /// Time in which running turns may end when the server is stopped; then they are stopped
    #[arg(long, value_name = "TIME", default_value = "10s")]
    pub(in crate::cli) grace: Time,
    /// Form of the log, which goes to stderr
    #[arg(long, value_name = "text|json", default_value = "text")]
    pub(in crate::cli) log_format: LogFormatArg,
    /// Least level of the log. `info` has one line for each request; code, tokens and secrets are never logged
    #[arg(long, value_name = "error|warn|info|debug", default_value = "warn")]
    pub(in crate::cli) log_level: LogLevelArg,
    /// Export traces to this OTLP collector over HTTP, e.g. http://localhost:4318
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) otlp_endpoint: Option<String>,
}

/// Models of agent runs.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Model")]
pub(in crate::cli) struct ServedModels {
    /// A model of agent runs (/v1/runs): NAME, PRESET/NAME, or recorded:FILE; the first one is the default
    /// (repeatable) [default: CODEACT_MODEL, or none]
    #[arg(long = "model", value_name = "MODEL")]
    pub(in crate::cli) models: Vec<String>,
    /// The base URL of an OpenAI-compatible server, e.g. http://127.0.0.1:8080/v1
    #[arg(long, value_name = "URL", requires = "models")]
    pub(in crate::cli) base_url: Option<String>,
}

/// Grants and quotas of a tenant. Requests can narrow them, and not widen them.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Tenants")]
// Clients of E2B expect five minutes.
#[command(mut_arg("timeout", |arg| arg.default_value("5m")))]
pub(in crate::cli) struct TenantArgs {
    /// Grant the code a folder or file of yours, at /mnt/NAME or GUEST: `ro` (the default) to read it, `overlay` to
    /// change it in the sandbox only (repeatable)
    #[arg(long = "mount", value_name = "HOST[:GUEST][:ro|overlay]", value_parser = Mount::parse)]
    pub(in crate::cli) mounts: Vec<Mount>,
    /// Add a pure-Python package, and its dependencies, to those of the pack (repeatable)
    #[arg(long = "with", value_name = "NAME[==VERSION]")]
    pub(in crate::cli) packages: Vec<Requirement>,
    /// Add the packages of a requirements.txt: names, versions and markers, without options (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) with_requirements: Vec<PathBuf>,
    /// Add fonts to matplotlib for the scripts that its own fonts lack (Noto; 23 MB are downloaded once)
    #[arg(long)]
    pub(in crate::cli) fonts: bool,
    /// Let requests and code (`pip install`) add pure-Python packages from the package index
    #[arg(long)]
    pub(in crate::cli) allow_install: bool,
    /// Sessions, live and idle
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(in crate::cli) max_sessions: usize,
    /// Turns that run or wait at the same time
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(in crate::cli) max_turns: usize,
    /// Memory of live sessions between turns
    #[arg(long, value_name = "SIZE", default_value = "4G")]
    pub(in crate::cli) max_live_memory: Bytes,
    /// Disk space of sessions
    #[arg(long, value_name = "SIZE", default_value = "16G")]
    pub(in crate::cli) max_disk: Bytes,
    /// Fuel of all turns in one minute [default: unlimited]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) fuel_per_minute: Option<u64>,
    #[command(flatten)]
    pub(in crate::cli) tools: ToolArgs,
    #[command(flatten)]
    pub(in crate::cli) limits: LimitArgs,
}

/// A `[[tenant]]` of the token file. Its keys are these options.
#[derive(Debug, clap::Parser)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true
)]
pub(in crate::cli) struct TenantEntry {
    /// Name: letters, digits, `-` and `_`, at most 64
    #[arg(long, required = true)]
    pub(in crate::cli) name: String,
    /// SHA-256 of a token, as 64 hexadecimal digits (repeatable)
    #[arg(long, required = true, value_name = "HEX")]
    pub(in crate::cli) token_sha256: Vec<TokenHash>,
    /// Let its requests read the metrics of the whole server
    #[arg(long)]
    pub(in crate::cli) operator: bool,
    #[command(flatten)]
    pub(in crate::cli) tenant: TenantArgs,
}

/// See [`codeact::sessions::manager::Durability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum DurabilityArg {
    Turn,
    Idle,
    None,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum LogFormatArg {
    Text,
    Json,
}

/// Least level of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum LogLevelArg {
    Error,
    Warn,
    Info,
    Debug,
}
