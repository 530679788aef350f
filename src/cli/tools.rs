//! What was granted of the world outside, and `codeact tools`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::args::{Global, ToolArgs, ToolsCommand};
use super::people::Asked;
use super::settings;
use crate::agent::tools_text;
use crate::event::EventSink;
use crate::report;
use crate::report::human::shown;
use crate::sandbox::Sandbox;
use crate::tools::Tools;
use crate::tools::mcp::{self, ServerSpec, Servers};
use crate::tools::net::Network;

/// Whether the user's own `mcp.json` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnConfig {
    Used,
    Unused,
}

/// All that `args` grant.
async fn tools(
    args: &ToolArgs,
    own: OwnConfig,
    events: EventSink,
    quiet: bool,
) -> anyhow::Result<Tools> {
    let mut tools = Tools::new();
    for script in &args.tools {
        tools = tools.tool(script.clone().tool().await?)?;
    }
    let servers = servers(args, own, quiet)?;
    if !servers.is_empty() {
        tools = tools.servers(Servers::connect(servers, events).await);
    }
    let named = args.secrets.iter().flat_map(|secret| secret.hosts());
    let allowed: Vec<_> = args.hosts.iter().chain(named).cloned().collect();
    if !allowed.is_empty() || !args.secrets.is_empty() {
        let secrets: anyhow::Result<_> = (args.secrets.iter())
            .map(|secret| secret.read(&args.hosts))
            .collect();
        tools = tools.network(Network::new(allowed, secrets?));
    }
    Ok(tools.approvals(args.approve.iter().cloned()))
}

/// A sandbox with what was granted to it.
pub(super) struct Granted {
    pub(super) sandbox: Sandbox,
    /// Variables of the code's environment: the stand-ins of secrets.
    pub(super) env: Vec<(String, String)>,
    /// To be [closed](Tools::close) at the end: servers are processes.
    pub(super) offered: Tools,
}

/// Those of the command line, of the files it names, and of the user's own.
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
    // Whoever wrote the files of this folder may be anybody: their programs are not started unasked.
    let here = ["mcp.json", ".mcp.json"].into_iter();
    for file in here.filter(|file| Path::new(file).is_file()) {
        if !quiet && !args.mcp_config.iter().any(|given| given == Path::new(file)) {
            anstream::eprintln!(
                "codeact: the servers of {file} in this folder are not used; --mcp-config {file} \
                 starts them"
            );
        }
    }
    Ok(servers)
}

/// Grants it.
pub(super) async fn grant(
    sandbox: Sandbox,
    args: &ToolArgs,
    own: OwnConfig,
    events: EventSink,
    quiet: bool,
) -> anyhow::Result<Granted> {
    let tools = tools(args, own, events, quiet).await?;
    let env = tools.env();
    let sandbox = match tools.is_empty() {
        true => sandbox,
        false => sandbox.tools(tools.clone()),
    };
    Ok(Granted {
        sandbox,
        env,
        offered: tools,
    })
}

impl ToolArgs {
    /// Whether a person may be asked before a call.
    pub(super) fn may_ask(&self) -> bool {
        self.approve.iter().any(|rule| rule.asks())
    }
}

/// Says early that nobody will be there to approve calls.
pub(super) fn warn_without_people(args: &ToolArgs, asked: &Asked, global: &Global) {
    if args.may_ask() && matches!(asked, Asked::Nobody) && !global.quiet {
        anstream::eprintln!(
            "codeact: nobody can be asked here, so calls that need approval will be denied"
        );
    }
}

pub(super) async fn run(command: ToolsCommand, global: &Global) -> anyhow::Result<ExitCode> {
    let events = report::human::events(global.quiet);
    let tools: Tools = tools(&command.tools, OwnConfig::Used, events, global.quiet).await?;
    let list = tools.list();
    tools.close().await;
    let mut out = std::io::stdout().lock();
    if command.json {
        let object = |tool: &std::sync::Arc<crate::tools::Tool>| {
            json!({
                "name": tool.name(),
                "signature": tool.signature(),
                "description": tool.description(),
                "input_schema": tool.args_schema(),
                "output_schema": tool.result_schema(),
            })
        };
        let list: Vec<_> = list.iter().map(object).collect();
        writeln!(out, "{:#}", json!(list))?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = tools_text(&tools);
    // Servers choose these texts.
    let text = if out.is_terminal() {
        shown(&text)
    } else {
        text
    };
    match text.is_empty() {
        true => anstream::eprintln!("codeact: there are none; --tool, --mcp and mcp.json add some"),
        false => writeln!(out, "{text}")?,
    }
    Ok(ExitCode::SUCCESS)
}
