//! What people read on stderr.

use std::io::Write;
use std::path::PathBuf;

use crate::event::{Event, EventSink, ServerState};
use crate::text::one_line;
pub(crate) use crate::text::shown;

use crate::sandbox::{Captured, Change, ChangeKind, Changes, Display, Execution, Outcome};

/// So many changes are named one by one, unless somebody has to agree to them.
const MAX_LISTED: usize = 1000;

/// A sink that shows an agent's steps: its code, what the code prints, and with `verbose` the
/// replies and observations in full.
pub(crate) fn steps(verbose: bool) -> EventSink {
    EventSink::new(move |event| {
        let mut err = anstream::stderr().lock();
        // Nothing to do about a stderr that cannot be written to.
        let _ = draw(&mut err, &event, verbose).and_then(|()| err.flush());
    })
}

/// A sink for what happens where no agent works.
pub(crate) fn events(quiet: bool) -> EventSink {
    match quiet {
        true => EventSink::none(),
        false => steps(false),
    }
}

fn draw(err: &mut impl Write, event: &Event, verbose: bool) -> std::io::Result<()> {
    match event {
        Event::StepStarted { step } => writeln!(err, "{BOLD}step {step}{RESET}"),
        Event::ReplyDelta { text } if verbose => write!(err, "{DIM}{}{RESET}", shown(text)),
        Event::Reply { .. } if verbose => writeln!(err),
        Event::ModelRetry {
            attempt,
            wait_ms,
            reason,
        } => writeln!(
            err,
            "try {attempt} failed: {reason}; next in {:.1} s",
            *wait_ms as f64 / 1e3
        ),
        Event::Server {
            name,
            state,
            tools,
            reason,
        } => {
            let state = match state {
                ServerState::Ready => "ready",
                ServerState::Changed => "changed",
                ServerState::Refused => "refused",
                ServerState::Gone => "gone",
            };
            let reason = (reason.as_ref()).map_or(String::new(), |why| format!(": {why}"));
            let line = format!("mcp {name} {state}, {tools} tools{reason}");
            writeln!(err, "{DIM}{}{RESET}", one_line(&line))
        }
        Event::CodeStarted { code, .. } if !verbose => {
            for line in shown(code).lines() {
                writeln!(err, "{DIM}  | {line}{RESET}")?;
            }
            Ok(())
        }
        Event::Tool {
            tool,
            arguments,
            error,
            wall_ms,
            ..
        } => {
            let ended = match error {
                None => format!("{wall_ms} ms"),
                Some(why) => format!("{wall_ms} ms: {}", one_line(why)),
            };
            let call = one_line(&format!("{tool} {arguments}"));
            writeln!(err, "{DIM}  > {call} ({ended}){RESET}")
        }
        Event::Output { text, .. } => write!(err, "{}", shown(text)),
        Event::Observation { text, .. } if verbose => writeln!(err, "{}", shown(text)),
        Event::Observation {
            note: Some(note), ..
        } => writeln!(err, "{}", shown(note)),
        _ => Ok(()),
    }
}

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// How a turn ended, where its own output does not say so.
pub(crate) fn ending(execution: &Execution, quiet: bool) {
    if !quiet {
        dropped_notices(execution);
    }
    match &execution.outcome {
        Outcome::Raised(e) => anstream::eprint!("{}", shown(&e.traceback)),
        // What for, whoever puts it away tells.
        Outcome::Waiting => {}
        outcome => {
            if let Some(traceback) = &execution.interrupted {
                anstream::eprint!("{}", shown(&traceback.to_string()));
            }
            if let Some(text) = sentence(outcome) {
                anstream::eprintln!("codeact: {text}");
            }
        }
    }
}

/// Says what was cut off the streams, if anything was.
pub(crate) fn dropped_notices(execution: &Execution) {
    for (name, captured) in [("stdout", &execution.stdout), ("stderr", &execution.stderr)] {
        if let Some(note) = dropped(name, captured) {
            anstream::eprintln!("codeact: {note}; --max-output raises the limit");
        }
    }
}

/// Says where artifacts were saved.
pub(crate) fn saved(paths: &[PathBuf], quiet: bool) {
    if !quiet {
        for path in paths {
            anstream::eprintln!("codeact: saved {}", one_line(&path.display().to_string()));
        }
    }
}

/// Names what a run changed in its mounts; with `all`, every single one.
pub(crate) fn changes(changes: &Changes, all: bool) {
    let mounted: Vec<_> = (changes.list().iter())
        .filter(|c| c.host.is_some())
        .collect();
    list(&mounted, if all { usize::MAX } else { MAX_LISTED });
}

/// Shows what a run changed, files that it left in its home folder too, with a diff of each small
/// text file.
pub(crate) fn diff(changes: &Changes) {
    list(&changes.list().iter().collect::<Vec<_>>(), MAX_LISTED);
    for change in changes.list() {
        match change.diff() {
            Ok(Some(diff)) => anstream::eprint!("{}", shown(&diff)),
            Ok(None) => {}
            Err(e) => anstream::eprintln!("codeact: no diff of {}: {e}", one_line(&change.guest)),
        }
    }
}

fn list(changes: &[&Change], most: usize) {
    for change in changes.iter().take(most) {
        let verb = match change.kind {
            ChangeKind::Added => "added",
            ChangeKind::Changed => "changed",
            ChangeKind::Removed => "removed",
        };
        let path = match &change.host {
            Some(host) => host.display().to_string(),
            None => change.guest.clone(),
        };
        let detail = match (change.before, change.after, change.target()) {
            (_, _, Some(target)) => format!("a link to {target}"),
            (Some(before), Some(after), _) => format!("{before} -> {after} bytes"),
            (Some(size), None, _) | (None, Some(size), _) => format!("{size} bytes"),
            (None, None, _) => format!("a {}", change.what()),
        };
        let kept = match (change.to_commit, &change.host) {
            (false, Some(_)) => ", in the overlay only",
            _ => "",
        };
        anstream::eprintln!(
            "codeact: {verb} {} ({}{kept})",
            one_line(&path),
            one_line(&detail)
        );
    }
    if let Some(more) = changes.len().checked_sub(most).filter(|n| *n > 0) {
        anstream::eprintln!("codeact: and {more} more changes");
    }
}

/// Says that pictures were made and not saved.
pub(crate) fn unsaved<'a>(pictures: impl Iterator<Item = &'a Display>) {
    for picture in pictures {
        anstream::eprintln!(
            "codeact: {} ({} bytes) was shown; --out DIR saves it",
            picture.name,
            picture.bytes.len()
        );
    }
}

/// What was cut off a stream, if anything was.
pub(crate) fn dropped(name: &str, captured: &Captured) -> Option<String> {
    (captured.dropped_bytes > 0).then(|| {
        format!(
            "{name} was cut: {} bytes kept, {} dropped",
            captured.text.len(),
            captured.dropped_bytes
        )
    })
}

/// What stopped a turn that did not end by itself.
pub(crate) fn sentence(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::TimedOut { limit } => {
            format!(
                "stopped: the wall time of {} s is used up",
                limit.as_secs_f64()
            )
        }
        Outcome::OutOfFuel { budget } => {
            format!("stopped: the fuel budget of {budget} is used up")
        }
        Outcome::Cancelled => "stopped".into(),
        Outcome::Waiting => "stopped: the code waits for an answer".into(),
        Outcome::Trapped { reason } => format!("the interpreter failed: {reason}"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_dim_line() {
        let mut drawn = Vec::new();
        let event = Event::Server {
            name: "github".into(),
            state: ServerState::Gone,
            tools: 2,
            reason: Some("it has ended\n\x1b[2J".into()),
        };
        draw(&mut drawn, &event, false).unwrap();
        assert_eq!(
            String::from_utf8(drawn).unwrap(),
            "\x1b[2mmcp github gone, 2 tools: it has ended\\n\\u{1b}[2J\x1b[0m\n"
        );
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(
            (&json["type"], &json["state"]),
            (&"server".into(), &"gone".into())
        );
    }
}
