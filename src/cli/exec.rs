//! `codeact exec`: runs Python without a model.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use codeact::sandbox::Turn;

use super::args::{Exec, Global};
use super::output_pump::LiveOutput;
use super::recording::{self, CommandNote};
use super::store::ActiveSession;
use super::tools::OwnConfig;
use super::turn_runner::{GrantArgs, Grants, OutputMode, TurnRunner};
use super::user_input::PromptMode;
use super::{input, mounts};
use crate::report;

pub(super) async fn run(mut exec: Exec, global: &Global) -> anyhow::Result<ExitCode> {
    let may_ask = (mounts::will_ask(&exec.files) && !exec.diff) || exec.tools.may_ask();
    let live = LiveOutput::new(may_ask, exec.raw)?;
    let source = Source::read(exec.code.take(), exec.file.take())?;
    let grants = GrantArgs {
        files: &exec.files,
        // Only a file of the user: other code can be from anywhere.
        script: source.is_file.then(|| source.turn.code()),
        tools: &exec.tools,
        limits: &exec.limits,
        own_config: OwnConfig::Unused,
        prompt: PromptMode::new(exec.session.is_some(), false),
        diff: exec.diff,
        progress: report::progress(global.quiet),
        events: report::human::events(global.quiet),
    };
    let grants = Grants::open(grants, global).await?;
    let tools = grants.tools.clone();
    let mode = OutputMode {
        json: exec.json,
        quiet: global.quiet,
        diff: exec.diff,
        live,
    };
    let runner = TurnRunner::new(grants, &exec.files, mode).await;
    let result = run_source(source, &exec, runner).await;
    if result.is_err() {
        tools.close().await;
    }
    result
}

async fn run_source(
    source: Source,
    exec: &Exec,
    runner: TurnRunner<'_>,
) -> anyhow::Result<ExitCode> {
    let argv = std::iter::once(&source.argv0)
        .chain(&exec.args)
        .chain(&exec.rest);
    let mut turn = source.turn.argv(argv).transactional(exec.transactional);
    // In a session, code without a file keeps the name of its turn: later turns can call its functions.
    if source.is_file || exec.session.is_none() {
        turn = turn.name(source.name);
    }
    for (key, value) in runner.env().iter().chain(&exec.env) {
        turn = turn.env(key, value);
    }
    if !source.is_stdin && !std::io::stdin().is_terminal() {
        turn = turn.stdin(input::stdin_on_demand());
    }
    let mut session = ActiveSession::open(exec.session.as_deref(), exec.seed, runner.sandbox())?;
    let recorder = match &exec.record {
        Some(file) => Some(recording::record(file, &mut session, &CommandNote::Exec)?),
        None => None,
    };
    runner.run_turn(session, turn, recorder).await
}

/// The code to run.
struct Source {
    turn: Turn,
    /// Its file name in tracebacks.
    name: String,
    argv0: String,
    is_file: bool,
    is_stdin: bool,
}

impl Source {
    /// Returns `code`, or reads it from `file`; `-` is stdin.
    fn read(code: Option<String>, file: Option<PathBuf>) -> anyhow::Result<Self> {
        match (code, file) {
            (Some(code), _) => Ok(Self {
                turn: Turn::new(code),
                name: "<string>".to_owned(),
                argv0: "-c".to_owned(),
                is_file: false,
                is_stdin: false,
            }),
            (None, Some(file)) if file == Path::new("-") => Ok(Self {
                turn: input::source("stdin", std::io::stdin())?,
                name: "<stdin>".into(),
                argv0: "<stdin>".into(),
                is_file: false,
                is_stdin: true,
            }),
            (None, Some(file)) => {
                let name = file.display().to_string();
                let open =
                    std::fs::File::open(&file).with_context(|| format!("cannot open {name}"))?;
                Ok(Self {
                    turn: input::source(&name, open)?,
                    argv0: name.clone(),
                    name,
                    is_file: true,
                    is_stdin: false,
                })
            }
            (None, None) => bail!("expected a FILE, `-`, or `-c CODE`"),
        }
    }
}
