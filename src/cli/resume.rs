//! `codeact session resume`: a turn that waits gets its answer.

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::bail;

use super::args::{Global, Resume};
use super::exec::cancel_on_ctrl_c;
use super::live::Live;
use super::people::{self, Asked, Question};
use super::tools::OwnConfig;
use super::{artifacts, exit, mounts, run, settings, tools};
use crate::agent::{Agent, Ending};
use crate::event::EventSink;
use crate::report;
use crate::sandbox::{Cancel, Reply, Sandbox, Waiting};
use crate::sessions::{NamedSession, SessionStore};

pub(super) async fn run(
    resume: Resume,
    store: &SessionStore,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let progress = report::progress(global.quiet);
    // One that is not there is not made.
    store.turns(&resume.name)?;
    let sandbox = settings::sandbox(global, progress, &resume.files.packages)
        .limits(resume.limits.limits())
        .build()
        .await?;
    let sandbox = match mounts::grant(sandbox, &resume.files, false) {
        Ok(sandbox) => sandbox,
        Err(e) => return Ok(exit::wrong(&e)),
    };
    let events = report::human::events(global.quiet);
    // As `run` has it, which may have begun this.
    let (own, quiet) = (OwnConfig::Used, global.quiet);
    let granted = tools::grant(sandbox, &resume.tools, own, events.clone(), quiet).await?;
    let done = go_on(&resume, store, granted.sandbox, events, global).await;
    granted.offered.close().await;
    done
}

async fn go_on(
    resume: &Resume,
    store: &SessionStore,
    sandbox: Sandbox,
    events: EventSink,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let mut kept = store.open(&resume.name, &sandbox)?;
    let Some(waiting) = kept.waiting()? else {
        bail!("the session {} waits for nothing", resume.name);
    };
    let cancel = Cancel::new();
    cancel_on_ctrl_c(&cancel).await;
    let asked = Asked::new(true, false);
    let answer = answer(resume, &waiting, asked).await?;
    if answer == Reply::Later {
        people::say_it_waits(&resume.name, &waiting);
        return Ok(ExitCode::from(exit::WAITING));
    }
    if !Agent::is_own(&waiting) {
        kept.session = waiting.session(&sandbox, answer)?;
        return code(resume, &mut kept, &waiting, asked, cancel, global).await;
    }
    let model = run::model(&resume.model).await?;
    let mut agent = Agent::new(model.model, sandbox)
        .max_steps(resume.max_steps)
        .events(events)
        .cancel(cancel)
        .keep_files(resume.files.out.is_some());
    if let Some(answers) = asked.answers(None) {
        agent = agent.answers(answers);
    }
    let done = agent.resume_in(&mut kept, &waiting, answer).await?;
    if done.ending == Ending::Waiting
        && let Some(waiting) = kept.waiting()?
    {
        people::say_it_waits(&resume.name, &waiting);
    }
    let executions: Vec<_> = (done.steps.iter())
        .filter_map(|step| step.execution.as_ref())
        .collect();
    if let Some(dir) = &resume.files.out {
        let saved = artifacts::save(dir, resume.files.force, &executions)?;
        report::human::saved(&saved, global.quiet);
    }
    let answered = matches!(done.ending, Ending::Answered(_));
    let written =
        mounts::write_back(&done.changes, &resume.files, answered, global.quiet, false).await;
    let code = run::conclude(&done, false)?;
    written?;
    Ok(code)
}

/// The answer: that of the command line, or what is typed.
async fn answer(resume: &Resume, waiting: &Waiting, asked: Asked) -> anyhow::Result<Reply> {
    if let Some(text) = &resume.answer {
        return Ok(Question::read(waiting.request()).answer(text));
    }
    match asked {
        Asked::Terminal { .. } => Ok(people::ask(waiting.request().clone()).await),
        _ => {
            people::say_it_waits(&resume.name, waiting);
            bail!("there is no terminal to ask on; give --answer TEXT")
        }
    }
}

/// Goes on with code that no model wrote.
async fn code(
    resume: &Resume,
    kept: &mut NamedSession,
    waiting: &Waiting,
    asked: Asked,
    cancel: Cancel,
    global: &Global,
) -> anyhow::Result<ExitCode> {
    let live = Live::new(cancel.clone(), std::io::stdout().is_terminal());
    let mut turn = waiting
        .turn()
        .limits(resume.limits.limits())
        .variables()
        .cancel(cancel)
        .events(live.events());
    if let Some(answers) = asked.answers(Some(&live)) {
        turn = turn.answers(answers);
    }
    if resume.files.out.is_some() {
        turn = turn.keep_files();
    }
    let execution = kept.session.run(turn).await?;
    if !live.end()? {
        return Ok(exit::unread());
    }
    report::human::ending(&execution, global.quiet);
    let status = exit::of(&execution);
    let changes = kept.session.changes();
    let written =
        mounts::write_back(&changes, &resume.files, status == 0, global.quiet, false).await;
    kept.commit(waiting.code(), &execution)?;
    if let Some(waiting) = &execution.waiting {
        kept.put_away(waiting)?;
        people::say_it_waits(&resume.name, waiting);
    }
    if let Some(dir) = &resume.files.out {
        let saved = artifacts::save(dir, resume.files.force, &[&execution])?;
        report::human::saved(&saved, global.quiet);
    }
    written?;
    Ok(ExitCode::from(status))
}
