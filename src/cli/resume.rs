//! `codeact session resume`: answers the question of a suspended turn and continues it.

use std::process::ExitCode;

use anyhow::bail;

use codeact::agent::Agent;
use codeact::event::EventSink;
use codeact::sandbox::{InputResponse, SuspendedTurn};
use codeact::sessions::{SessionError, SessionStore};

use super::args::{Global, Resume};
use super::exit_code;
use super::output_pump::LiveOutput;
use super::run;
use super::store::ActiveSession;
use super::tools::OwnConfig;
use super::turn_runner::{GrantArgs, Grants, OutputMode, TurnRunner};
use super::user_input::{self, PromptMode, Question};
use crate::report;

pub(super) async fn run(
    resume: Resume,
    store: &SessionStore,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    // Opening would create a session that does not exist.
    store.turns(&resume.name)?;
    let events = report::human::events(global.quiet);
    let prompt = PromptMode::new(true, false);
    let grants = GrantArgs {
        files: &resume.files,
        script: None,
        tools: &resume.tools,
        limits: &resume.limits,
        // As `run` does, which may have begun the session.
        own_config: OwnConfig::Used,
        prompt,
        diff: false,
        progress: report::progress(global.quiet),
        events: events.clone(),
    };
    let grants = Grants::open(grants, global).await?;
    let tools = grants.tools.clone();
    let mode = OutputMode {
        json: false,
        quiet: global.quiet,
        diff: false,
        live: LiveOutput::new(true, false)?,
    };
    let runner = TurnRunner::new(grants, &resume.files, mode).await;
    let result = continue_turn(&resume, store, prompt, events, runner).await;
    tools.close().await;
    result
}

async fn continue_turn(
    resume: &Resume,
    store: &SessionStore,
    prompt: PromptMode,
    events: EventSink,
    runner: TurnRunner<'_>,
) -> anyhow::Result<ExitCode> {
    let mut named = Box::new(store.open(&resume.name, runner.sandbox())?);
    let Some(suspended) = named.suspended()? else {
        let name = resume.name.clone();
        return Err(SessionError::NotSuspended { name }.into());
    };
    let response = response(resume, &suspended, prompt).await?;
    if response == InputResponse::Later {
        user_input::report_suspended(&resume.name, &suspended);
        return Ok(ExitCode::from(exit_code::SUSPENDED));
    }
    if Agent::is_own(&suspended) {
        let model = run::model(&resume.model).await?;
        let agent = runner
            .agent(model.model, events)
            .max_steps(resume.max_steps);
        let done = agent.resume(&mut named, &suspended, response).await?;
        let session = ActiveSession::Named(named);
        return runner.conclude_run(session, done, None, false).await;
    }
    let turn = named
        .prepare_resume(&suspended, runner.sandbox(), response)?
        .limits(resume.limits.limits());
    let session = ActiveSession::Named(named);
    runner.run_turn(session, turn, None).await
}

/// Returns the response of the command line, or asks on the terminal.
async fn response(
    resume: &Resume,
    suspended: &SuspendedTurn,
    prompt: PromptMode,
) -> anyhow::Result<InputResponse> {
    if let Some(text) = &resume.answer {
        return Ok(Question::parse(suspended.request()).response(text));
    }
    if matches!(prompt, PromptMode::Terminal { .. }) {
        return Ok(user_input::ask(suspended.request().clone()).await);
    }
    user_input::report_suspended(&resume.name, suspended);
    bail!("there is no terminal to ask on; give --answer TEXT")
}
