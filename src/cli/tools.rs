//! What was granted of the world outside, and `codeact tools`.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::json;

use super::args::{Global, ToolArgs, ToolsCommand};
use super::people::Asked;
use crate::agent::tools_text;
use crate::event::EventSink;
use crate::report::human::shown;
use crate::sandbox::Sandbox;
use crate::tools::Tools;
use crate::tools::net::Network;

/// All that `args` grant.
pub(super) async fn tools(args: &ToolArgs, _events: EventSink) -> anyhow::Result<Tools> {
    let mut tools = Tools::new();
    for script in &args.tools {
        tools = tools.tool(script.clone().tool().await?)?;
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
}

/// Grants it.
pub(super) async fn grant(
    sandbox: Sandbox,
    args: &ToolArgs,
    events: EventSink,
) -> anyhow::Result<Granted> {
    if args.is_empty() {
        let env = Vec::new();
        return Ok(Granted { sandbox, env });
    }
    let tools = tools(args, events).await?;
    let env = tools.env();
    let sandbox = sandbox.tools(tools);
    Ok(Granted { sandbox, env })
}

impl ToolArgs {
    fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.hosts.is_empty() && self.secrets.is_empty()
    }

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
    let tools: Tools = tools(&command.tools, crate::report::progress(global.quiet)).await?;
    let list = tools.list();
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
