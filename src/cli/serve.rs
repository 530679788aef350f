//! `codeact serve`: the HTTP server.

mod banner;
mod descriptors;
mod option_file;
mod signals;
mod tenants;
mod token;

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{ArgMatches, Args as _, CommandFactory, FromArgMatches};
use codeact::llm::{ModelOptions, resolve};
use codeact::pack::Dirs;
use codeact::sessions::manager::Durability;
use codeact_server::{
    ModelConfig, Server, ServerConfig, Telemetry, TelemetryError, TelemetryOptions,
};
use tokio::net::TcpListener;
use tracing::Level;

use super::args::{
    Args, Command, DurabilityArg, Global, LogFormatArg, LogLevelArg, OperationArgs, Serve,
    ServedModels,
};
use super::exit_code::usage_error;
use super::settings;
use crate::report;
use banner::{Access, Banner};
use signals::Signals;

/// Options that a file cannot have.
const NOT_IN_FILES: [&str; 5] = ["config", "print-config", "new-token", "help", "quiet"];

pub(super) async fn run(
    serve: &Serve,
    global: &Global,
    arguments: &[OsString],
) -> anyhow::Result<ExitCode> {
    if let Some(name) = &serve.access.new_token {
        writeln!(
            std::io::stdout(),
            "{}",
            token::entry(name).map_err(usage_error)?
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    let (args, matches) = with_file(arguments, serve.config.as_deref()).map_err(usage_error)?;
    let Command::Serve(serve) = args.command else {
        bail!("the command line is not one of `codeact serve`");
    };
    if serve.print_config {
        let command = options();
        let text = option_file::render(&matches, &command, &NOT_IN_FILES);
        writeln!(std::io::stdout(), "{}", text.trim())?;
        return Ok(ExitCode::SUCCESS);
    }
    start(&serve, &matches, &args.global, global.quiet).await
}

/// Returns the command with all options that a file can have.
fn options() -> clap::Command {
    Global::augment_args(Serve::augment_args(clap::Command::new("serve")))
}

/// Parses `arguments` again, with the options of `file` before those of the command line.
fn with_file(arguments: &[OsString], file: Option<&Path>) -> anyhow::Result<(Args, ArgMatches)> {
    let parse = |arguments: &[OsString]| -> Result<(Args, ArgMatches), clap::Error> {
        let mut matches = Args::command().try_get_matches_from(arguments)?;
        let args = Args::from_arg_matches(&matches)?;
        let (_, own) = matches.remove_subcommand().unwrap_or_default();
        Ok((args, own))
    };
    let (args, matches) = parse(arguments)?;
    let Some(file) = file else {
        return Ok((args, matches));
    };
    let name = file.display();
    let table = option_file::read(file)?;
    if let Some(key) = table
        .keys()
        .find(|key| NOT_IN_FILES.contains(&&*key.replace('_', "-")))
    {
        bail!("{name}: {key} can be given on the command line only");
    }
    let of_file = option_file::arguments(&table, &options(), &option_file::given(&matches))
        .with_context(|| name.to_string())?;
    let position = arguments.iter().position(|argument| argument == "serve");
    let (before, after) = arguments.split_at(position.map_or(arguments.len(), |at| at + 1));
    // Faults of the file are reported as such.
    let alone = [&["codeact".into(), "serve".into()], &*of_file].concat();
    parse(&alone).map_err(|e| anyhow::anyhow!("{name}: {}", tenants::short(&e)))?;
    Ok(parse(&[before, &of_file, after].concat())?)
}

async fn start(
    serve: &Serve,
    matches: &ArgMatches,
    global: &Global,
    quiet: bool,
) -> anyhow::Result<ExitCode> {
    let telemetry = telemetry(&serve.operation).map_err(|e| usage_error(e.into()))?;
    let (mut config, access) = config(serve, matches, quiet).await?;
    config.check().map_err(|e| usage_error(e.into()))?;
    descriptors::fit(&mut config);
    // The address first: it is the fault that is found soonest.
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = listener
        .local_addr()
        .context("cannot read the server's address")?;
    config.listen = address;
    let sandbox = settings::sandbox(global, report::progress(quiet), &[])
        .build()
        .await?;
    let python = format!("Python {}", sandbox.pack().manifest.python);
    let tools: Vec<_> = config
        .tenants
        .iter()
        .map(|tenant| tenant.tools.clone())
        .collect();
    let state = config.state.clone();
    let server = Server::start(config, sandbox).await?;
    // Before the text, after which a signal can be expected.
    let signals = Signals::install().context("cannot install the handlers of signals")?;
    let text = Banner {
        address,
        access: &access,
        state: state.as_deref(),
        python: &python,
    }
    .text();
    let mut out = std::io::stdout();
    // A closed stdout does not stop the server.
    let _ = match quiet {
        true => writeln!(out, "{}", banner::url(address)),
        false => write!(out, "{text}"),
    };
    let _ = out.flush();
    let served = server.serve(listener, signals.stopped()).await;
    for tools in tools {
        tools.close().await;
    }
    telemetry.close().await;
    served?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the configuration that the options describe.
async fn config(
    serve: &Serve,
    matches: &ArgMatches,
    quiet: bool,
) -> anyhow::Result<(ServerConfig, Access)> {
    let (access, sessions, operation) = (&serve.access, &serve.sessions, &serve.operation);
    let mut config = ServerConfig::default();
    config.listen = serve.listen;
    config.durability = match sessions.durability {
        DurabilityArg::Turn => Durability::Turn,
        DurabilityArg::Idle => Durability::Idle,
        DurabilityArg::None => Durability::None,
    };
    config.state = state(sessions.state.as_deref(), config.durability)?;
    config.memory = sessions.memory.0;
    config.live = sessions.live;
    config.idle = sessions.idle.0;
    config.ttl = sessions.ttl.map(|ttl| ttl.0);
    config.queue = sessions.queue;
    config.origins.clone_from(&access.origins);
    config.hosts.clone_from(&access.served_hosts);
    config.e2b_debug = access.e2b_debug;
    config.body = usize::try_from(operation.max_body.0).unwrap_or(usize::MAX);
    config.connections = operation.max_connections;
    config.grace = operation.grace.0;
    config.models = models(&serve.model).await?;
    let events = report::human::events(quiet);
    if let Some(file) = &access.token_file {
        config.tenants = tenants::of_file(file, matches, events).await?;
        let count = config.tenants.len();
        return Ok((config, Access::File(count)));
    }
    let is_public = !serve.listen.ip().is_loopback();
    let access = match (access.no_token, is_public) {
        (true, true) => return Err(usage_error(no_token_in_public(serve))),
        (true, false) => Access::Open,
        (false, _) => match (
            token::of_environment(is_public).map_err(usage_error)?,
            is_public,
        ) {
            (Some(token), _) => Access::Token(token),
            (None, false) => Access::Token(token::random()?),
            (None, true) => return Err(usage_error(no_token_in_public(serve))),
        },
    };
    let mut tenant = tenants::of_args(tenants::LOCAL, &serve.tenant, events).await?;
    tenant.is_operator = true;
    match &access {
        Access::Token(token) => tenant = tenant.with_token(token),
        _ => config.anonymous = Some(0),
    }
    config.tenants = vec![tenant];
    Ok((config, access))
}

fn no_token_in_public(serve: &Serve) -> anyhow::Error {
    anyhow::anyhow!(
        "other machines can reach {}, and no token is configured: anyone could run code; give --token-file FILE \
         (`codeact serve --new-token NAME` prints an entry for it), set CODEACT_TOKEN, or listen on 127.0.0.1",
        serve.listen.ip()
    )
}

/// Returns the folder of the sessions; `None` for a temporary one.
fn state(given: Option<&Path>, durability: Durability) -> anyhow::Result<Option<PathBuf>> {
    if let Some(folder) = given {
        return Ok(Some(folder.to_owned()));
    }
    if durability == Durability::None {
        return Ok(None);
    }
    let dirs = Dirs::from_env(&|name| std::env::var_os(name))?;
    Ok(Some(dirs.data.join("serve")))
}

/// Connects the models of agent runs. Without options, one that the environment names.
async fn models(args: &ServedModels) -> anyhow::Result<Vec<ModelConfig>> {
    let mut names = args.models.clone();
    if names.is_empty() {
        names.extend(
            std::env::var("CODEACT_MODEL")
                .ok()
                .filter(|name| !name.is_empty()),
        );
    }
    let mut models = Vec::new();
    for name in names {
        let mut options = ModelOptions::default();
        options.model = Some(name.clone());
        options.base_url.clone_from(&args.base_url);
        options.base_url_setting = Some("--base-url".to_owned());
        let resolved = resolve(options, &|name| std::env::var(name).ok())
            .await
            .with_context(|| format!("the model {name}"))?;
        models.push(ModelConfig::new(name, resolved.model));
    }
    Ok(models)
}

/// Starts the log and the export of traces.
fn telemetry(args: &OperationArgs) -> Result<Telemetry, TelemetryError> {
    let mut options = TelemetryOptions::default();
    options.level = match args.log_level {
        LogLevelArg::Error => Level::ERROR,
        LogLevelArg::Warn => Level::WARN,
        LogLevelArg::Info => Level::INFO,
        LogLevelArg::Debug => Level::DEBUG,
    };
    options.json = args.log_format == LogFormatArg::Json;
    options.otlp.clone_from(&args.otlp_endpoint);
    Telemetry::start(&options)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Options of several groups are in one command, and clap checks their identifiers in its own debug builds only:
    /// two fields of the same name would share their values.
    #[test]
    fn options_have_identifiers_and_names_of_their_own() {
        for command in [options(), super::super::args::TenantEntry::command()] {
            let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
            for option in command.get_arguments() {
                assert!(ids.insert(option.get_id().to_string()), "{option:?}");
                assert!(names.insert(option.get_long()), "{option:?}");
            }
        }
    }

    #[test]
    fn every_option_of_a_tenant_is_one_of_the_command() {
        let options = options();
        let tenant = super::super::args::TenantEntry::command();
        let own = ["name", "token_sha256", "operator"];
        for option in tenant.get_arguments() {
            let id = option.get_id();
            let is_shared = options.get_arguments().any(|other| other.get_id() == id);
            assert!(is_shared || own.contains(&id.as_str()), "{id}");
        }
    }
}
