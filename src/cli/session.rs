//! `codeact session`: lists, shows, copies and removes named sessions, without running code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::bail;

use codeact::sessions::{SessionError, SessionInfo, SessionStore, TurnRecord};
use codeact_base::text::{one_line, shown};

use super::args::{Global, Session};
use super::store;
use crate::report::{json, notice};

pub(super) async fn run(command: Session, global: &Global) -> anyhow::Result<ExitCode> {
    let store = store::store()?;
    let say = |text: String| {
        if !global.quiet {
            notice!("codeact: {text}");
        }
    };
    if let Session::Resume(resume) = command {
        return super::resume::run(*resume, &store, global).await;
    }
    let mut out = io::stdout().lock();
    match command {
        Session::Resume(_) => {}
        Session::List => {
            for info in store.list()? {
                writeln!(out, "{}", line(&info))?;
            }
        }
        Session::Show { name, json: true } => {
            drop(out);
            json::print(&store.turns(&name)?)?;
        }
        Session::Show { name, json: false } => show(&mut out, &store.turns(&name)?)?,
        Session::Log { name } => {
            for turn in store.turns(&name)? {
                let first = turn.code.lines().find(|line| !line.trim().is_empty());
                let first: String = first.unwrap_or_default().chars().take(60).collect();
                let (number, status) = (turn.turn, turn.status.as_str());
                writeln!(out, "{number:>5}  {status:<11}  {}", one_line(&first))?;
            }
        }
        Session::Undo { name, turns } => match undo(&store, &name, turns)? {
            0 => say(format!("{name} is as before its first turn")),
            last => say(format!("{name} is as after turn {last}")),
        },
        Session::Fork { from, new } => {
            let (name, turn) = match from.split_once('@') {
                None => (&*from, None),
                Some((name, turn)) => match turn.parse() {
                    Ok(turn) => (name, Some(turn)),
                    Err(_) => {
                        bail!("{turn:?} is not a turn number; expected NAME@TURN, as in work@3")
                    }
                },
            };
            store.fork(name, turn, &new)?;
            say(format!("created {new}"));
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
            say(format!("created {name}"));
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

/// Goes back `count` turns. Returns the number of the last turn then; 0 for none.
fn undo(store: &SessionStore, name: &str, count: u32) -> anyhow::Result<u32> {
    let error = match store.undo(name, count) {
        Ok(last) => return Ok(last),
        Err(error) => error,
    };
    // The state before the first turn always exists: there are fewer turns than requested.
    if matches!(error, SessionError::NoTurn { turn: 0, .. }) {
        let infos = store.list()?;
        let info = infos.iter().find(|info| info.name == name);
        let turns = turns(info.map_or(0, |info| info.turns));
        bail!(
            "the session {name} has only {turns}, so it cannot go back {count}\n\
             `codeact session log {name}` shows its turns"
        );
    }
    Err(error.into())
}

fn turns(count: u32) -> String {
    match count {
        1 => "1 turn".into(),
        count => format!("{count} turns"),
    }
}

fn line(info: &SessionInfo) -> String {
    let age = info.modified.map_or_else(String::new, age);
    let turns = turns(info.turns);
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
        let ended = UNIX_EPOCH.checked_add(Duration::from_millis(turn.ended_ms));
        let age = ended.map_or_else(String::new, age);
        writeln!(out, "turn {} ({}, {age})", turn.turn, turn.status)?;
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
            writeln!(out, "  rolled back: the session is as before this turn")?;
        }
    }
    // A turn that was rolled back lists no variables: those of the last other turn are current.
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
