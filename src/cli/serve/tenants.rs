//! Tenants: that of the command line, or those of a token file.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, bail};
use clap::{ArgMatches, CommandFactory, Parser};
use codeact::event::EventSink;
use codeact::sandbox::MountMode;
use codeact_server::TenantConfig;
use toml::Value;

use super::option_file;
use crate::cli::args::{FileArgs, TenantArgs, TenantEntry};
use crate::cli::tools::OwnConfig;
use crate::cli::{exit_code, packages, tools};

/// Name of the only tenant of a server without a token file.
pub(super) const LOCAL: &str = "local";
/// Limit of the tenants in a file.
const MAX_TENANTS: usize = 10_000;

/// Returns the tenants of the file `path`. The options of the command line in `matches` are their defaults.
pub(super) async fn of_file(
    path: &Path,
    matches: &ArgMatches,
    events: EventSink,
) -> anyhow::Result<Vec<TenantConfig>> {
    let mut tenants = Vec::new();
    for entry in entries(path, matches).map_err(exit_code::usage_error)? {
        let name = entry.name.clone();
        let mut tenant = of_args(&name, &entry.tenant, events.clone())
            .await
            .with_context(|| format!("the tenant {name} of {}", path.display()))?;
        tenant.is_operator = entry.operator;
        tenant.tokens = entry.token_sha256.iter().map(|hash| hash.0).collect();
        tenants.push(tenant);
    }
    Ok(tenants)
}

fn entries(path: &Path, matches: &ArgMatches) -> anyhow::Result<Vec<TenantEntry>> {
    let name = path.display();
    let mut table = option_file::read(path)?;
    let list = table.remove("tenant");
    if let Some(key) = table.keys().next() {
        bail!("{name} has the key {key}; expected [[tenant]] only");
    }
    let Some(Value::Array(list)) = list else {
        bail!("{name} has no [[tenant]]; `codeact serve --new-token NAME` prints one");
    };
    if list.len() > MAX_TENANTS {
        bail!(
            "{name} has {} tenants; expected at most {MAX_TENANTS}",
            list.len()
        );
    }
    let command = TenantEntry::command();
    let mut entries = Vec::new();
    for (position, item) in (1..).zip(&list) {
        let Value::Table(table) = item else {
            bail!("{name} has a tenant that is not a table; expected [[tenant]]");
        };
        let own = option_file::arguments(table, &command, &Default::default())
            .with_context(|| format!("{name}: tenant {position}"))?;
        let is_own = |argument: &OsString| own.iter().any(|own| option(own) == option(argument));
        let mut arguments = option_file::shared_arguments(matches, &command);
        arguments.retain(|argument| !is_own(argument) && !is_unset(argument, table));
        arguments.extend(own);
        let entry = TenantEntry::try_parse_from(arguments)
            .map_err(|e| anyhow::anyhow!("{name}: tenant {position}: {}", short(&e)))?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Returns the option of `--name=value`.
fn option(argument: &OsString) -> String {
    let text = argument.to_string_lossy();
    text.split('=').next().unwrap_or_default().to_owned()
}

/// True if `table` has the option without a value: `false`, or an empty list.
fn is_unset(argument: &OsString, table: &toml::Table) -> bool {
    let name = option(argument);
    let is = |key: &str| format!("--{}", key.replace('_', "-")) == name;
    table.keys().any(|key| is(key))
}

/// Returns the first lines of an error of the parser: those before its usage and its hints on flags.
pub(super) fn short(error: &clap::Error) -> String {
    let text = error.to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let end = text
        .find("\n\nUsage:")
        .or_else(|| text.find("\n\nFor more"));
    end.and_then(|end| text.get(..end))
        .unwrap_or(text)
        .trim()
        .to_owned()
}

/// Returns the tenant `name` with the grants of `args`. MCP servers are started.
pub(super) async fn of_args(
    name: &str,
    args: &TenantArgs,
    events: EventSink,
) -> anyhow::Result<TenantConfig> {
    if args
        .mounts
        .iter()
        .any(|mount| mount.access() == MountMode::Commit)
    {
        return Err(exit_code::usage_error(anyhow::anyhow!(
            "a server writes nothing back to mounts; use `ro` or `overlay` in place of `commit`"
        )));
    }
    if args.tools.may_ask() {
        return Err(exit_code::usage_error(anyhow::anyhow!(
            "a server has no user to ask for approval; use `always` or `never` in place of `ask`"
        )));
    }
    let files = FileArgs {
        packages: args.packages.clone(),
        with_requirements: args.with_requirements.clone(),
        fonts: args.fonts,
        ..FileArgs::default()
    };
    let mut tenant = TenantConfig::new(name);
    tenant.packages = packages::requested(&files, None)?;
    tenant.mounts.clone_from(&args.mounts);
    tenant.limits = args.limits.limits();
    tenant.quota.sessions = args.max_sessions;
    tenant.quota.turns = args.max_turns;
    tenant.quota.memory = args.max_live_memory.0;
    tenant.quota.disk = args.max_disk.0;
    tenant.quota.fuel_per_minute = args.fuel_per_minute;
    tenant.may_install = args.allow_install;
    tenant.network = tools::network(&args.tools)?;
    tenant.tools = tools::grant_local(&args.tools, OwnConfig::Unused, events, true).await?;
    Ok(tenant)
}
