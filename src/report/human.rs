//! What people read on stderr.

use std::io::Write;
use std::path::PathBuf;

use crate::event::{Event, EventSink};
use crate::sandbox::{Captured, Display, Execution, Outcome};

/// A sink that shows an agent's steps: its code, what the code prints, and with `verbose` the
/// replies and observations in full.
pub(crate) fn steps(verbose: bool) -> EventSink {
    EventSink::new(move |event| {
        let mut err = anstream::stderr().lock();
        // Nothing to do about a stderr that cannot be written to.
        let _ = draw(&mut err, &event, verbose).and_then(|()| err.flush());
    })
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
        Event::CodeStarted { code, .. } if !verbose => {
            for line in shown(code).lines() {
                writeln!(err, "{DIM}  | {line}{RESET}")?;
            }
            Ok(())
        }
        Event::Output { text, .. } => write!(err, "{}", shown(text)),
        Event::Observation { text, .. } if verbose => writeln!(err, "{}", shown(text)),
        Event::Observation {
            note: Some(note), ..
        } => writeln!(err, "{}", shown(note)),
        _ => Ok(()),
    }
}

/// `text` without the power to steer a terminal: what a model wrote, or made its code print, could
/// else change the window's title, the clipboard or what has been shown before.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
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
        outcome => {
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
            anstream::eprintln!("codeact: saved {}", shown(&path.display().to_string()));
        }
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
        Outcome::Trapped { reason } => format!("the interpreter failed: {reason}"),
        _ => return None,
    })
}
