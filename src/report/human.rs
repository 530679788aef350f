//! Text for the user, on stderr.

use std::io::Write;
use std::path::PathBuf;

use super::{notice, print_text};
use codeact::event::{Event, EventSink, ServerState};
use codeact::sandbox::{Change, ChangeKind, Changes, Display, Execution, Outcome};
use codeact::wire::{stop_message, truncation_notice};
use codeact_base::text::{one_line, shown};

/// Limit of the changes that are listed, unless the user is asked to approve them.
const MAX_LISTED: usize = 1000;

/// Returns a sink that shows an agent's steps: the code and its output, and, if `verbose` is true, the replies and
/// observations in full.
pub(crate) fn steps(verbose: bool) -> EventSink {
    EventSink::new(move |event| {
        let mut err = anstream::stderr().lock();
        // If stderr cannot be written, the run continues.
        let _ = draw(&mut err, &event, verbose).and_then(|()| err.flush());
    })
}

/// Returns a sink for events outside an agent's run; none if `quiet` is true.
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
            "attempt {attempt} failed: {}; next in {:.1} s",
            one_line(reason),
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
                ServerState::Disconnected => "disconnected",
                _ => return Ok(()),
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

/// Prints how a turn ended, unless its own output shows it.
pub(crate) fn ending(execution: &Execution) {
    truncation_notices(execution);
    match &execution.outcome {
        Outcome::Raised(e) => print_text(&e.traceback),
        // The caller prints the question.
        Outcome::Suspended => {}
        outcome => {
            if let Some(traceback) = &execution.interrupted {
                print_text(&traceback.to_string());
            }
            if let Some(text) = stop_message(outcome) {
                notice!("codeact: {text}");
            }
        }
    }
}

/// Prints a notice for each stream whose captured output was truncated. `--quiet` does not hide it, because output is
/// lost.
pub(crate) fn truncation_notices(execution: &Execution) {
    for (name, captured) in [("stdout", &execution.stdout), ("stderr", &execution.stderr)] {
        if let Some(note) = truncation_notice(name, captured) {
            notice!("codeact: {note}; --max-output raises the limit");
        }
    }
}

/// Prints the paths of saved artifacts.
pub(crate) fn saved(paths: &[PathBuf], quiet: bool) {
    if !quiet {
        for path in paths {
            notice!("codeact: saved {}", one_line(&path.display().to_string()));
        }
    }
}

/// Lists the changes of a run in its mounts; if `all` is true, without a limit.
pub(crate) fn changes(changes: &Changes, all: bool) {
    let mounted: Vec<_> = (changes.list().iter())
        .filter(|c| c.host.is_some())
        .collect();
    list(&mounted, if all { usize::MAX } else { MAX_LISTED });
}

/// Lists the changes of a run in its mounts and in its home folder, with a diff of each small text file.
pub(crate) fn diff(changes: &Changes) {
    list(&changes.list().iter().collect::<Vec<_>>(), MAX_LISTED);
    for change in changes.list() {
        match change.diff() {
            Ok(Some(diff)) => print_text(&diff),
            Ok(None) => {}
            Err(e) => notice!("codeact: no diff of {}: {e}", one_line(&change.guest)),
        }
    }
}

fn list(changes: &[&Change], max: usize) {
    for change in changes.iter().take(max) {
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
            (None, None, _) => format!("a {}", change.file_type()),
        };
        let overlay = match (change.to_commit, &change.host) {
            (false, Some(_)) => ", in the overlay only",
            _ => "",
        };
        notice!(
            "codeact: {verb} {} ({}{overlay})",
            one_line(&path),
            one_line(&detail)
        );
    }
    if let Some(more) = changes.len().checked_sub(max).filter(|n| *n > 0) {
        notice!("codeact: and {more} more changes");
    }
}

/// Names pictures that are not saved.
pub(crate) fn unsaved<'a>(pictures: impl Iterator<Item = &'a Display>) {
    for picture in pictures {
        notice!(
            "codeact: {} ({} bytes) was shown; --out DIR saves it",
            one_line(&picture.name),
            picture.bytes.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_one_dim_line() {
        let mut drawn = Vec::new();
        let event = Event::Server {
            name: "github".into(),
            state: ServerState::Disconnected,
            tools: 2,
            reason: Some("it has exited\n\x1b[2J".into()),
        };
        draw(&mut drawn, &event, false).unwrap();
        assert_eq!(
            String::from_utf8(drawn).unwrap(),
            "\x1b[2mmcp github disconnected, 2 tools: it has exited\\n\\u{1b}[2J\x1b[0m\n"
        );
    }
}
