//! An execution as one JSON object: a stable format of its own, not the library's types.

use serde_json::{Value, json};

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::human::{dropped, sentence};
use crate::event::EventSink;
use crate::sandbox::{Change, ChangeKind, Changes, Execution, Outcome};

/// A sink that writes each event as one JSON line to stdout.
pub(crate) fn lines() -> EventSink {
    EventSink::new(|event| {
        if let Ok(line) = serde_json::to_string(&event) {
            let mut out = std::io::stdout().lock();
            // A reader that has gone away has seen enough.
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    })
}

/// `status` is one of `ok`, `error`, `exit`, `timeout`, `out_of_fuel`, `cancelled`, `trap`.
pub(crate) fn execution(e: &Execution) -> Value {
    let (status, exit_code, error) = match &e.outcome {
        Outcome::Completed => ("ok", None, None),
        Outcome::Raised(error) => (
            "error",
            None,
            Some(json!({
                "type": error.kind,
                "message": error.message,
                "frames": error.frames,
                "traceback": error.traceback,
            })),
        ),
        Outcome::Exited { code } => ("exit", Some(*code), None),
        Outcome::TimedOut { .. } => ("timeout", None, None),
        Outcome::OutOfFuel { .. } => ("out_of_fuel", None, None),
        Outcome::Cancelled => ("cancelled", None, None),
        Outcome::Waiting => ("waiting", None, None),
        Outcome::Trapped { .. } => ("trap", None, None),
    };
    let error = error.or_else(|| {
        sentence(&e.outcome).map(|message| json!({ "type": null, "message": message }))
    });
    let notes: Vec<_> = [("stdout", &e.stdout), ("stderr", &e.stderr)]
        .into_iter()
        .filter_map(|(name, captured)| dropped(name, captured))
        .collect();
    let displays: Vec<_> = (e.displays.iter())
        .map(|d| json!({ "mime": d.mime, "name": d.name, "base64": STANDARD.encode(&d.bytes) }))
        .collect();
    json!({
        "status": status,
        "exit_code": exit_code,
        "stdout": e.stdout.text,
        "stderr": e.stderr.text,
        "stdout_dropped_bytes": e.stdout.dropped_bytes,
        "stderr_dropped_bytes": e.stderr.dropped_bytes,
        "notes": notes,
        "result": e.result,
        "displays": displays,
        "error": error,
        "interrupted": e.interrupted.as_ref().map(|traceback| json!({
            "frames": traceback.frames,
            "frames_left_out": traceback.left_out,
            "traceback": traceback.to_string(),
        })),
        "usage": {
            "wall_ms": (e.usage.wall.as_secs_f64() * 1e6).round() / 1e3,
            "fuel": e.usage.fuel,
            "peak_memory_bytes": e.usage.peak_memory_bytes,
            "door_calls": e.usage.door_calls,
            "door_bytes": e.usage.door_bytes,
        },
    })
}

/// What was changed, one object a name; with `diff`, that of small text files.
pub(crate) fn changes(changes: &Changes, diff: bool) -> Value {
    let object = |change: &Change| {
        json!({
            "change": match change.kind {
                ChangeKind::Added => "added",
                ChangeKind::Changed => "changed",
                ChangeKind::Removed => "removed",
            },
            "what": change.what(),
            "path": change.guest,
            "host": change.host.as_ref().map(|host| host.display().to_string()),
            "before_bytes": change.before,
            "after_bytes": change.after,
            "to_commit": change.to_commit,
            "diff": if diff { change.diff().ok().flatten() } else { None },
        })
    };
    changes.list().iter().map(object).collect()
}
