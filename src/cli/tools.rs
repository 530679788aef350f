//! Grants of tools and network access, and `codeact tools`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use codeact::agent::tools_text;
use codeact::event::EventSink;
use codeact::tools::Tools;
use codeact::tools::mcp::{self, ServerSpec, Servers};
use codeact::tools::net::Network;
use codeact::wire::ToolJson;
use codeact_base::text::shown;

use super::args::{Global, ToolArgs, ToolsCommand};
use super::settings;
use crate::report::{self, notice};

/// Whether the user's own `mcp.json` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnConfig {
    Used,
    Unused,
}

/// Returns the tools, servers and network access that `args` grant. MCP servers are started; the caller ends them with
/// [`Tools::close`].
pub(super) async fn grant(
    args: &ToolArgs,
    own: OwnConfig,
    events: EventSink,
    quiet: bool,
) -> anyhow::Result<Tools> {
    let tools = grant_local(args, own, events, quiet).await?;
    Ok(match network(args)? {
        Some(network) => tools.network(network),
        None => tools,
    })
}

/// As [`grant`], without network access.
pub(super) async fn grant_local(
    args: &ToolArgs,
    own: OwnConfig,
    events: EventSink,
    quiet: bool,
) -> anyhow::Result<Tools> {
    let mut tools = Tools::new();
    for program in &args.tools {
        tools = tools.tool(program.clone().tool().await?)?;
    }
    let servers = servers(args, own, quiet)?;
    if !servers.is_empty() {
        tools = tools.servers(Servers::connect(servers, events).await);
    }
    Ok(tools.approvals(args.approve.iter().cloned()))
}

/// Returns the network access that `args` grant, if they do.
pub(super) fn network(args: &ToolArgs) -> anyhow::Result<Option<Network>> {
    let named = args.secrets.iter().flat_map(|secret| secret.hosts());
    let allowed: Vec<_> = args.hosts.iter().chain(named).cloned().collect();
    if allowed.is_empty() && args.secrets.is_empty() {
        return Ok(None);
    }
    let secrets: anyhow::Result<_> = (args.secrets.iter())
        .map(|secret| secret.read(&args.hosts))
        .collect();
    Ok(Some(Network::new(allowed, secrets?)))
}

/// Returns the servers of the command line, of its configuration files, and of the user's own.
fn servers(args: &ToolArgs, own: OwnConfig, quiet: bool) -> anyhow::Result<Vec<ServerSpec>> {
    let lookup = |name: &str| std::env::var(name).ok();
    let mut servers = args.servers.clone();
    for file in &args.mcp_config {
        servers.extend(mcp::load(file, &lookup)?);
    }
    if own == OwnConfig::Unused || args.no_mcp_config {
        return Ok(servers);
    }
    if let Some(file) = settings::config_dir().map(|dir| dir.join("mcp.json"))
        && file.is_file()
    {
        servers.extend(mcp::load(&file, &lookup)?);
    }
    // The files of the current folder are not trusted: their programs start only if the user names the file.
    let here = ["mcp.json", ".mcp.json"].into_iter();
    for file in here.filter(|file| Path::new(file).is_file()) {
        if !quiet && !args.mcp_config.iter().any(|given| given == Path::new(file)) {
            notice!(
                "codeact: the servers of {file} in this folder are not used; --mcp-config {file} \
                 starts them"
            );
        }
    }
    Ok(servers)
}

impl ToolArgs {
    /// Returns true if a tool call may need the user's approval.
    pub(super) fn may_ask(&self) -> bool {
        self.approve.iter().any(|rule| rule.asks())
    }
}

pub(super) async fn run(command: ToolsCommand, global: &Global) -> anyhow::Result<ExitCode> {
    let events = report::human::events(global.quiet);
    let tools = grant(&command.tools, OwnConfig::Used, events, global.quiet).await?;
    let list = tools.list();
    let text = tools_text(&tools);
    tools.close().await;
    let mut out = std::io::stdout().lock();
    if command.json {
        let list: Vec<ToolJson> = list.iter().map(|tool| (&**tool).into()).collect();
        drop(out);
        report::json::print_pretty(&list)?;
    } else if text.is_empty() {
        notice!("codeact: there are no tools; --tool, --mcp and mcp.json add some");
    } else if out.is_terminal() {
        // The descriptions are chosen by servers.
        writeln!(out, "{}", shown(&text))?;
    } else {
        writeln!(out, "{text}")?;
    }
    Ok(ExitCode::SUCCESS)
}
