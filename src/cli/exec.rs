//! `codeact exec`: Python without a model.

use std::future::{Future, poll_fn};
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;

use anyhow::{Context, bail};

use super::args::{Exec, Global};
use super::live::Live;
use super::mounts::Written;
use super::people::Asked;
use super::tools::{Granted, OwnConfig};
use super::{artifacts, exit, input, mounts, people, replay, session, settings, tools};
use crate::report;
use crate::sandbox::{Cancel, Turn};

pub(super) async fn run(exec: Exec, global: &Global) -> anyhow::Result<ExitCode> {
    let from_stdin = exec.file.as_deref() == Some(Path::new("-"));
    let (name, code) = match (&exec.code, &exec.file) {
        (Some(code), _) => ("<string>".to_owned(), code.clone()),
        (None, Some(_)) if from_stdin => (
            "<stdin>".to_owned(),
            input::text("stdin", std::io::stdin())?,
        ),
        (None, Some(file)) => {
            let name = file.display().to_string();
            let open = std::fs::File::open(file).with_context(|| format!("cannot open {name}"))?;
            let code = input::text(&name, open)?;
            (name, code)
        }
        (None, None) => bail!("expected a FILE, `-`, or `-c CODE`"),
    };
    let progress = report::progress(global.quiet);
    let sandbox = settings::sandbox(global, progress, &exec.files.packages)
        .limits(exec.limits.limits())
        .build()
        .await?;
    let sandbox = match mounts::grant(sandbox, &exec.files, exec.diff) {
        Ok(sandbox) => sandbox,
        Err(e) => return Ok(exit::wrong(&e)),
    };
    let events = report::human::events(global.quiet);
    let granted = tools::grant(
        sandbox,
        &exec.tools,
        OwnConfig::Unused,
        events,
        global.quiet,
    );
    let Granted {
        sandbox,
        env,
        offered,
    } = granted.await?;
    let asked = Asked::new(exec.session.is_some(), false);
    tools::warn_without_people(&exec.tools, &asked, global);
    // Only now: until here Ctrl-C ends the process, and the next start goes on from there.
    let cancel = Cancel::new();
    cancel_on_ctrl_c(&cancel).await;
    let argv0 = if exec.code.is_some() {
        "-c".to_owned()
    } else {
        name.clone()
    };
    let argv = std::iter::once(argv0).chain(exec.args).chain(exec.rest);
    let mut turn = Turn::new(code.clone())
        .name(name)
        .argv(argv)
        .cancel(cancel.clone());
    for (key, value) in env.into_iter().chain(exec.env) {
        turn = turn.env(key, value);
    }
    if !from_stdin && !std::io::stdin().is_terminal() {
        turn = turn.stdin(input::stdin_on_demand());
    }
    if exec.transactional {
        turn = turn.transactional();
    }
    if exec.files.out.is_some() {
        turn = turn.keep_files();
    }
    let mut live = None;
    if !exec.json {
        // Whoever will be asked must see what about: the code cannot hide it.
        let tame = (mounts::will_ask(&exec.files) && !exec.diff) || exec.tools.may_ask();
        let live = live.insert(Live::new(cancel, tame));
        turn = turn.events(live.events());
    }
    if let Some(answers) = asked.answers(live.as_ref()) {
        turn = turn.answers(answers);
    }
    let mut kept = match &exec.session {
        Some(name) => Some(session::open(name, &sandbox)?),
        None => None,
    };
    let mut fresh = None;
    let session = match &mut kept {
        Some(kept) => &mut kept.session,
        None => fresh.insert(sandbox.session_seeded(exec.seed)?),
    };
    let recorder = match &exec.record {
        Some(file) => Some(replay::record_exec(file, session)?),
        None => None,
    };
    let execution = match exec.session {
        Some(_) => session.run(turn.variables()).await?,
        None => session.run_last(turn).await?,
    };
    // The turn, and with it its sink, is gone.
    if let Some(live) = live
        && !live.end()?
    {
        return Ok(exit::unread());
    }
    if !exec.json {
        report::human::ending(&execution, global.quiet);
    }
    let status = exit::of(&execution);
    let changes = session.changes();
    let written = if exec.diff {
        if !exec.json {
            report::human::diff(&changes);
        }
        Ok(Written::No)
    } else {
        mounts::write_back(&changes, &exec.files, status == 0, global.quiet, exec.json).await
    };
    if let Some(kept) = &mut kept {
        kept.commit(&code, &execution)?;
        if let Some(waiting) = &execution.waiting {
            kept.put_away(waiting)?;
            people::say_it_waits(&kept.name(), waiting);
        }
    }
    if exec.json {
        let mut object = report::json::execution(&execution);
        object["changes"] = report::json::changes(&changes, exec.diff);
        object["written_back"] = matches!(written, Ok(Written::Yes)).into();
        writeln!(std::io::stdout(), "{object}")?;
    }
    if let Some(dir) = &exec.files.out {
        let saved = artifacts::save(dir, exec.files.force, &[&execution])?;
        report::human::saved(&saved, global.quiet);
    } else if !exec.json && !global.quiet {
        report::human::unsaved(artifacts::pictures(&execution));
    }
    if let Some(recorder) = recorder {
        recorder.finish()?;
    }
    offered.close().await;
    // The process ends here: unmapping gigabytes of reserved addresses first helps nobody.
    std::mem::forget((sandbox, kept, fresh));
    written?;
    Ok(ExitCode::from(status))
}

/// The first Ctrl-C stops the turn and lets it tell what it did; the second ends the process.
/// Returns when that holds.
pub(super) async fn cancel_on_ctrl_c(cancel: &Cancel) {
    let cancel = cancel.clone();
    let (installed, is_installed) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut pressed = pin!(tokio::signal::ctrl_c());
        // The first look installs the handler.
        let first = poll_fn(|cx| Poll::Ready(pressed.as_mut().poll(cx))).await;
        let _ = installed.send(());
        let first = match first {
            Poll::Ready(pressed) => pressed,
            Poll::Pending => pressed.await,
        };
        if first.is_ok() {
            cancel.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    let _ = is_installed.await;
}
