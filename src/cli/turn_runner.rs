//! Runs turns for `exec`, `run` and `session resume`, with every side effect around them.
//!
//! [`Grants`] is the sandbox with the mounts and tools of a command. [`TurnRunner`] adds cancellation, live output and
//! user input. After a turn or an agent's run it shows the result, writes changes back, saves artifacts, closes the
//! recording and the tools, and returns the exit code.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use codeact::agent::{self, Agent, Ending};
use codeact::event::EventSink;
use codeact::llm::Model;
use codeact::sandbox::Cancel;
use codeact::sandbox::{Changes, Execution, Recorder, Sandbox, Turn, TurnOptions};
use codeact::tools::Tools;
use codeact::wire::{ChangeJson, EventJson};
use codeact_base::text::shown;

use super::args::{FileArgs, Global, LimitArgs, ToolArgs};
use super::exit_code::{self, exit_fast};
use super::mounts::{self, WriteBack};
use super::output_pump::{LiveOutput, OutputPump};
use super::store::{ActiveSession, Ran};
use super::tools::{self, OwnConfig};
use super::user_input::{self, PromptMode};
use super::{artifacts, packages, recording, settings, signals};
use crate::report::{self, notice};

/// Grants of a command, and how it asks the user.
pub(super) struct GrantArgs<'a> {
    pub(super) files: &'a FileArgs,
    /// A script whose metadata can name packages.
    pub(super) script: Option<&'a str>,
    pub(super) tools: &'a ToolArgs,
    pub(super) limits: &'a LimitArgs,
    pub(super) own_config: OwnConfig,
    pub(super) prompt: PromptMode,
    /// True if nothing will be written back.
    pub(super) diff: bool,
    /// Sink of the progress of a first start.
    pub(super) progress: EventSink,
    /// Sink of the events of MCP servers.
    pub(super) events: EventSink,
}

/// A sandbox with the mounts and tools of a command.
pub(super) struct Grants {
    pub(super) sandbox: Sandbox,
    /// Must be closed at the end, because MCP servers are processes.
    pub(super) tools: Tools,
    pub(super) prompt: PromptMode,
}

impl Grants {
    /// Makes the sandbox. An invalid mount is a usage error.
    pub(super) async fn open(args: GrantArgs<'_>, global: &Global) -> anyhow::Result<Self> {
        let wanted = packages::requested(args.files, args.script)?;
        let sandbox = settings::sandbox(global, args.progress, &wanted)
            .limits(args.limits.limits())
            .build()
            .await?;
        let mut sandbox =
            mounts::grant(&sandbox, args.files, args.diff).map_err(exit_code::usage_error)?;
        let tools = tools::grant(args.tools, args.own_config, args.events, global.quiet).await?;
        if !tools.is_empty() {
            sandbox = sandbox.derive().tools(tools.clone()).build()?;
        }
        if args.tools.may_ask() && args.prompt == PromptMode::Unavailable && !global.quiet {
            notice!(
                "codeact: there is no terminal to ask on, so tool calls that need approval will be denied"
            );
        }
        Ok(Self {
            sandbox,
            tools,
            prompt: args.prompt,
        })
    }
}

/// How a command shows its results.
#[derive(Debug, Clone, Copy)]
pub(super) struct OutputMode {
    /// JSON on stdout, in place of text.
    pub(super) json: bool,
    pub(super) quiet: bool,
    /// Show all changes, and write none back.
    pub(super) diff: bool,
    pub(super) live: LiveOutput,
}

/// Runs the turns of one command.
pub(super) struct TurnRunner<'a> {
    grants: Grants,
    files: &'a FileArgs,
    mode: OutputMode,
    cancel: Cancel,
}

impl<'a> TurnRunner<'a> {
    /// Begins to handle Ctrl-C. Until now it ended the process, and the next start continued an interrupted setup.
    pub(super) async fn new(grants: Grants, files: &'a FileArgs, mode: OutputMode) -> Self {
        let cancel = Cancel::new();
        signals::cancel_on_ctrl_c(&cancel).await;
        Self {
            grants,
            files,
            mode,
            cancel,
        }
    }

    pub(super) fn sandbox(&self) -> &Sandbox {
        &self.grants.sandbox
    }

    /// Returns the variables that the tools add to the environment of the code: placeholders of secrets.
    pub(super) fn env(&self) -> Vec<(String, String)> {
        self.grants.tools.env()
    }

    /// Returns an agent with the grants and handlers of the command.
    pub(super) fn agent(&self, model: Arc<dyn Model>, events: EventSink) -> Agent {
        let mut agent = Agent::new(model, self.grants.sandbox.clone())
            .events(events)
            .cancel(self.cancel.clone())
            .keep_files(self.files.out.is_some());
        for (key, value) in self.env() {
            agent = agent.env(key, value);
        }
        match self.grants.prompt.input_handler(None) {
            Some(handler) => agent.input_handler(handler),
            None => agent,
        }
    }

    /// Runs `turn` in `session`, the last work of the command, and concludes: see the module. The exit code is that of
    /// the execution.
    ///
    /// A turn that could not be committed is shown like any other; then its error is returned.
    pub(super) async fn run_turn(
        self,
        mut session: ActiveSession,
        turn: Turn,
        recorder: Option<Recorder>,
    ) -> anyhow::Result<ExitCode> {
        let Some(ran) = self.run_live(&mut session, turn).await? else {
            return Ok(exit_code::broken_pipe());
        };
        let Ran {
            execution,
            not_committed,
        } = ran;
        if !self.mode.json {
            report::human::ending(&execution);
            if !self.mode.quiet
                && let Some(hint) = packages::hint(&execution)
            {
                notice!("codeact: {hint}");
            }
        }
        let status = exit_code::of(&execution);
        let changes = session.changes();
        let succeeded = status == 0 && not_committed.is_none();
        let written = self.write_back(&changes, succeeded).await;
        if let (Some(suspended), Some(named), None) =
            (&execution.suspended, session.named(), &not_committed)
        {
            user_input::report_suspended(&named.name(), suspended);
        }
        if self.mode.json {
            report::json::print(&report::json::ExecJson {
                execution: (&execution).into(),
                changes: ChangeJson::list(&changes, self.mode.diff),
                written_back: matches!(written, Ok(WriteBack::Written)),
            })?;
        }
        self.save_artifacts(&[&execution])?;
        let recorded = recorder.map_or(Ok(()), |recorder| recorder.finish());
        self.grants.tools.close().await;
        exit_fast((self.grants.sandbox, session));
        if let Some(error) = not_committed {
            return Err(error);
        }
        written?;
        match (recorded, status) {
            // The exit code says how the turn ended.
            (Err(error), 1..) => {
                exit_code::fail(&error.into());
            }
            (recorded, _) => recorded?,
        }
        Ok(ExitCode::from(status))
    }

    /// Runs `turn` and passes its output through. Returns `None` if the reader has closed the pipe.
    async fn run_live(
        &self,
        session: &mut ActiveSession,
        turn: Turn,
    ) -> anyhow::Result<Option<Ran>> {
        let pump = (!self.mode.json).then(|| OutputPump::new(self.cancel.clone(), self.mode.live));
        let mut options = TurnOptions::new()
            .cancel(self.cancel.clone())
            .keep_files(self.files.out.is_some());
        if let Some(pump) = &pump {
            options = options.events(pump.events());
        }
        if let Some(handler) = self.grants.prompt.input_handler(pump.as_ref()) {
            options = options.input_handler(handler);
        }
        let ran = session.run(turn.options(options)).await;
        // The turn, and with it the event sink, was dropped.
        let is_read = pump.map_or(Ok(true), OutputPump::finish);
        let ran = ran?;
        Ok(is_read?.then_some(ran))
    }

    /// Concludes a command after `run`, an agent's run in `session`: see the module. The answer goes to stdout; the
    /// exit code is that of the ending.
    pub(super) async fn conclude_run(
        self,
        session: ActiveSession,
        run: agent::Run,
        recorder: Option<Recorder>,
        once: bool,
    ) -> anyhow::Result<ExitCode> {
        let OutputMode { json, quiet, .. } = self.mode;
        self.grants.tools.close().await;
        if let (Some(named), Ending::Suspended) = (session.named(), &run.ending)
            && let Some(suspended) = named.suspended()?
        {
            user_input::report_suspended(&named.name(), &suspended);
        }
        if let Some(recorder) = recorder {
            recording::finish_run(&recorder, &run.ending)?;
        }
        let executions: Vec<_> = (run.steps.iter())
            .filter_map(|step| step.execution.as_ref())
            .collect();
        self.save_artifacts(&executions)?;
        if once
            && !quiet
            && let Some(execution) = executions.last()
        {
            report::human::truncation_notices(execution);
        }
        let answered = matches!(run.ending, Ending::Answered(_));
        let written = self.write_back(&run.changes, answered).await;
        if json && !run.changes.is_empty() {
            report::json::print(&EventJson::Changes {
                written_back: matches!(written, Ok(WriteBack::Written)),
                changes: ChangeJson::list(&run.changes, false),
            })?;
        }
        let code = print_ending(&run, json)?;
        exit_fast((self.grants.sandbox, session));
        // The answer was printed, even if the changes could not be written.
        written?;
        Ok(code)
    }

    /// Shows the changes, and writes those of `commit` mounts back if the run succeeded and the user agrees.
    async fn write_back(&self, changes: &Changes, succeeded: bool) -> anyhow::Result<WriteBack> {
        let OutputMode {
            json, quiet, diff, ..
        } = self.mode;
        if !diff {
            return mounts::write_back(changes, self.files, succeeded, quiet, json).await;
        }
        if !json {
            report::human::diff(changes);
        }
        Ok(WriteBack::Declined)
    }

    /// Saves the pictures, and the files of the last execution, to the folder of `--out`. Without it, names the
    /// pictures that are not saved.
    fn save_artifacts(&self, executions: &[&Execution]) -> anyhow::Result<()> {
        let OutputMode { json, quiet, .. } = self.mode;
        if let Some(dir) = &self.files.out {
            let saved = artifacts::save(dir, self.files.force, executions)?;
            report::human::saved(&saved, quiet);
        } else if !json && !quiet {
            let pictures = executions.iter().flat_map(|e| artifacts::pictures(e));
            report::human::unsaved(pictures);
        }
        Ok(())
    }
}

/// Prints how an agent's run ended: an answer to stdout, anything else to stderr. Returns the exit code.
pub(super) fn print_ending(run: &agent::Run, json: bool) -> anyhow::Result<ExitCode> {
    let failed = |why: &str| {
        notice!("codeact: {why}");
        ExitCode::from(1)
    };
    Ok(match &run.ending {
        Ending::Answered(value) => {
            if !json {
                print_answer(value)?;
            }
            ExitCode::SUCCESS
        }
        Ending::OutOfSteps => failed(&format!(
            "no answer after {} steps; --max-steps allows more",
            run.steps.len()
        )),
        Ending::Suspended => ExitCode::from(exit_code::SUSPENDED),
        Ending::Cancelled => {
            notice!("codeact: stopped");
            ExitCode::from(exit_code::CANCELLED)
        }
        Ending::Failed(why) => failed(why),
        _ => failed("no answer"),
    })
}

/// Prints a string as it is, and any other value as JSON. On a terminal, control characters are escaped.
fn print_answer(value: &serde_json::Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let is_terminal = out.is_terminal();
    match value {
        serde_json::Value::String(text) if is_terminal => {
            writeln!(out, "{}", shown(text.trim_end_matches('\n')))
        }
        serde_json::Value::String(text) if text.ends_with('\n') => out.write_all(text.as_bytes()),
        serde_json::Value::String(text) => writeln!(out, "{text}"),
        value => {
            drop(out);
            report::json::print_pretty(value)
        }
    }
}
