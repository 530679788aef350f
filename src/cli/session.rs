//! `codeact session`: named sessions, without running anything.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;

use super::args::{Global, Session};
use crate::pack::Dirs;
use crate::sandbox::Sandbox;
use crate::sessions::{NamedSession, SessionInfo, SessionStore, TurnRecord};
use crate::text::{one_line, shown};

/// The user's sessions, or those in `CODEACT_SESSIONS`.
pub(super) fn store() -> anyhow::Result<SessionStore> {
    if let Some(root) = std::env::var_os("CODEACT_SESSIONS").filter(|root| !root.is_empty()) {
        return Ok(SessionStore::at(root));
    }
    let dirs = Dirs::from_env(&|name| std::env::var_os(name))?;
    Ok(SessionStore::new(&dirs))
}

/// Opens `name` to go on with it: not one whose last turn waits for an answer.
pub(super) fn open(name: &str, sandbox: &Sandbox) -> anyhow::Result<NamedSession> {
    open_in(&store()?, name, sandbox)
}

pub(super) fn open_in(
    store: &SessionStore,
    name: &str,
    sandbox: &Sandbox,
) -> anyhow::Result<NamedSession> {
    let kept = store.open(name, sandbox)?;
    if let Some(waiting) = kept.waiting()? {
        super::people::say_it_waits(name, &waiting);
        bail!("the session {name} waits for an answer");
    }
    Ok(kept)
}

pub(super) async fn run(command: Session, global: &Global) -> anyhow::Result<ExitCode> {
    let store = store()?;
    let mut out = io::stdout().lock();
    let say = |text: String| {
        if !global.quiet {
            anstream::eprintln!("codeact: {text}");
        }
    };
    match command {
        Session::Resume(resume) => {
            drop(out);
            return super::resume::run(*resume, &store, global).await;
        }
        Session::List => {
            for info in store.list()? {
                writeln!(out, "{}", line(&info))?;
            }
        }
        Session::Show { name, json: true } => {
            serde_json::to_writer(&mut out, &store.turns(&name)?)?;
            writeln!(out)?;
        }
        Session::Show { name, json: false } => show(&mut out, &store.turns(&name)?)?,
        Session::Log { name } => {
            for turn in store.turns(&name)? {
                let first = turn.code.lines().find(|line| !line.trim().is_empty());
                let first: String = first.unwrap_or_default().chars().take(60).collect();
                let (number, status) = (turn.turn, &turn.status);
                writeln!(out, "{number:>5}  {status:<11}  {}", one_line(&first))?;
            }
        }
        Session::Undo { name, turns } => match store.undo(&name, turns)? {
            0 => say(format!("{name} is as if it had never run")),
            last => say(format!("{name} is as after turn {last}")),
        },
        Session::Fork { from, new } => {
            let (name, turn) = match from.split_once('@') {
                None => (&*from, None),
                Some((name, turn)) => match turn.parse() {
                    Ok(turn) => (name, Some(turn)),
                    Err(_) => bail!("{turn:?} is no turn; expected NAME@TURN, as in work@3"),
                },
            };
            store.fork(name, turn, &new)?;
            say(format!("made {new}"));
        }
        Session::Export { name, out } => {
            store.export(&name, &out)?;
            say(format!("wrote {}", out.display()));
        }
        Session::Import { file, name } => {
            let stem = || {
                file.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned())
            };
            let name = name.or_else(stem).unwrap_or_default();
            store.import(&file, &name)?;
            say(format!("made {name}"));
        }
        Session::Rm { names } => {
            for name in names {
                store.remove(&name)?;
                say(format!("removed {name}"));
            }
        }
        Session::Gc { keep } => {
            let freed = store.collect(keep.max(1))?;
            say(format!("{:.1} MiB freed", mib(freed)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(info: &SessionInfo) -> String {
    let age = info.modified.map_or_else(String::new, age);
    let turns = match info.turns {
        1 => "1 turn".to_owned(),
        turns => format!("{turns} turns"),
    };
    let size = mib(info.bytes);
    format!("{:<24}  {turns:>10}  {size:>8.1} MiB  {age}", info.name)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn age(then: SystemTime) -> String {
    let seconds = then.elapsed().unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn show(out: &mut impl Write, turns: &[TurnRecord]) -> io::Result<()> {
    for turn in turns {
        let ended = UNIX_EPOCH + Duration::from_millis(turn.ended_ms);
        writeln!(out, "turn {} ({}, {})", turn.turn, turn.status, age(ended))?;
        for line in shown(&turn.code).lines() {
            writeln!(out, "  | {line}")?;
        }
        for text in [&turn.stdout, &turn.stderr] {
            for line in shown(text).lines() {
                writeln!(out, "  {line}")?;
            }
        }
        if let Some(result) = &turn.result {
            writeln!(out, "  = {}", shown(result).replace('\n', "\n    "))?;
        }
        for line in turn.error.as_deref().map(shown).unwrap_or_default().lines() {
            writeln!(out, "  {line}")?;
        }
        for file in &turn.files {
            let path = one_line(&file.path);
            match (file.bytes, file.added) {
                (None, _) => writeln!(out, "  removed {path}")?,
                (Some(bytes), true) => writeln!(out, "  added {path} ({bytes} bytes)")?,
                (Some(bytes), false) => writeln!(out, "  changed {path} ({bytes} bytes)")?,
            }
        }
        if turn.state != turn.turn {
            writeln!(out, "  taken back: the session is as before it")?;
        }
    }
    // A turn that was taken back had nobody to ask: what counts is the last that was not.
    let last = turns.iter().rev().find(|turn| turn.state == turn.turn);
    let variables = last.map(|turn| &*turn.variables).unwrap_or_default();
    if !variables.is_empty() {
        writeln!(out, "variables")?;
    }
    for variable in variables {
        let (name, kind) = (one_line(&variable.name), one_line(&variable.kind));
        writeln!(out, "  {name}: {kind}  {}", one_line(&variable.short))?;
    }
    Ok(())
}
