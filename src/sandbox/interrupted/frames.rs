//! The walk from the runtime to the frames, and what is shown of them.

use std::collections::HashSet;

use super::lines::{self, Place};
use super::objects::Code;
use super::own;
use super::reader::Reader;
use super::traceback::Traceback;
use crate::sandbox::Frame;

/// Deeper recursions get no traceback; in a forged memory the walk could go in circles.
const DEEPEST: usize = 500_000;
/// An interpreter in the sandbox is one of few.
const MOST_INTERPRETERS: usize = 1000;
/// `FRAME_OWNED_BY_INTERPRETER`: this and above is no Python code, but the C that calls it.
const OWNED_BY_INTERPRETER: u8 = 3;
/// The longest source line shown, in characters.
const LONGEST_LINE: usize = 500;

/// The runner's files, and the function of it that runs the turn's code.
const RUNNER: &str = "<codeact>/";
const RUNNER_TURN: (&str, &str) = ("<codeact>/turn.py", "_execute");
/// Functions of the runner that do its own work, before the turn's code and after it.
const RUNNER_ASIDE: [&str; 2] = ["reseed", "_report"];
/// What Python hides of an import: its machinery, down to the call of the module's code.
const IMPORTLIB: &str = "<frozen importlib._bootstrap";
const IMPORTLIB_CALLS: &str = "_call_with_frames_removed";

pub(super) fn traceback(reader: &Reader, source: &str) -> Option<Traceback> {
    let mut visible = visible(reader)?;
    let own = own_code(reader, &visible);
    visible.shown.reverse();
    let shown = visible.shown;
    let frames = Traceback::kept(shown.len())
        .map(|i| {
            let (code, line) = shown.get(i)?.place(reader)?;
            let text = || line_of(source, line);
            Some(Frame {
                file: reader.filename(code)?,
                line,
                function: reader.name(code)?,
                source: own.contains(&code.0).then(text).flatten(),
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let left_out = shown.len() - frames.len();
    (!frames.is_empty()).then_some(Traceback { frames, left_out })
}

/// One frame of Python code.
#[derive(Clone, Copy)]
struct At {
    frame: u32,
    code: Code,
    /// The instruction begun last, in units from the first.
    unit: u32,
}

impl At {
    fn place(self, reader: &Reader) -> Option<(Code, u32)> {
        let first = reader.u32(self.code.0, reader.offsets.code.firstlineno)?;
        match lines::place(reader.linetable(self.code, None)?, first, self.unit)? {
            Place::Line(line) => Some((self.code, line)),
            // No line is right, and without this frame the others would tell another story.
            Place::None => None,
        }
    }

    /// Whether it has got to no line yet, as the frames by which CPython calls `__init__` never do.
    /// Python shows no such frames either.
    fn is_prologue(self, reader: &Reader) -> bool {
        // A prologue is one byte of the table for each variable that inner functions share.
        const LONGEST: usize = 1000;
        let first = reader.u32(self.code.0, reader.offsets.code.firstlineno);
        let table = reader.linetable(self.code, Some(LONGEST));
        let is = (table.zip(first)).and_then(|(t, first)| lines::is_prologue(t, first, self.unit));
        is.unwrap_or(false)
    }
}

struct Visible {
    /// Innermost first.
    shown: Vec<At>,
    /// The runner's frame that called the turn's code.
    caller: Option<At>,
}

/// The frames within the runner's, innermost first, without the runner's own and the import
/// system's.
fn visible(reader: &Reader) -> Option<Visible> {
    let mut shown = Vec::new();
    // How many are within the outermost frame of the runner: behind it comes what calls the runner.
    let mut within = None;
    let mut caller = None;
    let mut trimmed = false;
    let mut next = current_frame(reader)?;
    for _ in 0..DEEPEST {
        if next == 0 {
            shown.truncate(within?);
            return Some(Visible { shown, caller });
        }
        let frame = next;
        let layout = &reader.offsets.frame;
        next = reader.u32(frame, layout.previous)?;
        if reader.u8(frame, layout.owner)? >= OWNED_BY_INTERPRETER {
            continue;
        }
        let at = frame_at(reader, frame)?;
        if at.is_prologue(reader) {
            continue;
        }
        if reader.filename_begins(at.code, RUNNER)? {
            let name = reader.name(at.code)?;
            if RUNNER_ASIDE.contains(&name.as_str()) {
                shown.clear();
            } else if (reader.filename(at.code)?.as_str(), name.as_str()) == RUNNER_TURN {
                caller = Some(at);
            }
            within = Some(shown.len());
            trimmed = false;
        } else if reader.filename_begins(at.code, IMPORTLIB)? {
            trimmed = trimmed || reader.name(at.code)? == IMPORTLIB_CALLS;
            if !trimmed {
                shown.push(at);
            }
        } else {
            trimmed = false;
            shown.push(at);
        }
    }
    None
}

/// The innermost frame of the main interpreter's only thread.
fn current_frame(reader: &Reader) -> Option<u32> {
    let offsets = reader.offsets;
    let mut interpreter = reader.pointer(offsets.runtime, offsets.interpreters_head)?;
    for _ in 0..MOST_INTERPRETERS {
        if reader.u64(interpreter, offsets.interpreter.id)? == 0 {
            let thread = reader.pointer(interpreter, offsets.interpreter.threads_head)?;
            let only = reader.u32(thread, offsets.thread.next)? == 0;
            return only.then(|| reader.u32(thread, offsets.thread.current_frame))?;
        }
        interpreter = reader.pointer(interpreter, offsets.interpreter.next)?;
    }
    None
}

fn frame_at(reader: &Reader, frame: u32) -> Option<At> {
    let code = reader.code(frame, reader.offsets.frame.executable)?;
    let instruction = reader.u32(frame, reader.offsets.frame.instr_ptr)?;
    let first = code.0.checked_add(reader.offsets.code.instructions)?;
    let bytes = instruction.checked_sub(first)?;
    let unit = bytes / 2;
    let fits = bytes % 2 == 0 && unit < reader.u32(code.0, reader.offsets.code.units)?;
    fits.then_some(At { frame, code, unit })
}

/// The code that the turn's source was compiled to: what the runner holds in its variables.
fn own_code(reader: &Reader, visible: &Visible) -> HashSet<u32> {
    let roots = (visible.caller).and_then(|at| own::locals(reader, at.frame, at.code));
    own::within(reader, &roots.unwrap_or_default())
}

/// A line of the turn's source, as tracebacks show it. Lines end where Python's tokenizer ends them.
fn line_of(source: &str, number: u32) -> Option<String> {
    let mut rest = source;
    for _ in 1..number {
        let end = rest.find(['\n', '\r'])?;
        rest = &rest[end..];
        rest = (rest.strip_prefix("\r\n"))
            .or_else(|| rest.get(1..))
            .unwrap_or_default();
    }
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    let line: String = line.trim().chars().take(LONGEST_LINE).collect();
    (!line.is_empty()).then_some(line)
}
