//! Walk from the runtime to the frames, and selection of the frames to show.

use std::collections::{HashMap, HashSet};

use crate::remote_traceback::lines::Location;
use crate::remote_traceback::objects::CodeObject;
use crate::remote_traceback::reader::Reader;
use crate::remote_traceback::source_texts::SourceTexts;
use crate::remote_traceback::{lines, turn_code};
use crate::types::traceback::{Frame, Traceback};

/// Maximum number of frames. Deeper recursions get no traceback. It also ends the walk if forged frames form a cycle.
const MAX_FRAMES: usize = 500_000;
/// Maximum number of interpreters. It ends the walk if forged interpreters form a cycle.
const MAX_INTERPRETERS: usize = 1000;
/// `FRAME_OWNED_BY_INTERPRETER`. Frames with this value or a higher one are of C code that calls Python.
const OWNED_BY_INTERPRETER: u8 = 3;
/// Maximum length of a source line, in characters.
const MAX_LINE_CHARS: usize = 500;

/// Prefix of the runner's files.
const RUNNER: &str = "<codeact>/";
/// File and function of the runner that run the turn's code.
const RUNNER_TURN: (&str, &str) = ("<codeact>/turn.py", "_execute");
/// Functions of the runner that do not run the turn's code.
const RUNNER_INTERNAL: [&str; 2] = ["reseed", "_report"];
/// Prefix of the import system's files. Python removes these frames from tracebacks, up to the call of the module's
/// code.
const IMPORTLIB: &str = "<frozen importlib._bootstrap";
/// Function of the import system that calls the module's code.
const IMPORTLIB_CALL: &str = "_call_with_frames_removed";

/// As [`super::traceback`].
pub(super) fn traceback(reader: &Reader, source: &str) -> Option<Traceback> {
    let mut visible = visible(reader)?;
    let codes = code_of_turn(reader, &visible);
    let caller = visible.caller;
    let earlier =
        caller.and_then(|f| SourceTexts::find(reader, f.frame, f.code, source.is_empty()));
    let earlier = earlier.unwrap_or_default();
    let mut texts = HashMap::new();
    visible.shown.reverse();
    let shown = visible.shown;
    let frames = Traceback::kept(shown.len())
        .map(|i| {
            let (code, line) = shown.get(i)?.location(reader)?;
            let file = reader.filename(code)?;
            let source = if codes.contains(&code.0) {
                line_of(source, line)
            } else {
                let find = || earlier.get(reader, &file);
                let text = texts.entry(file.clone()).or_insert_with(find);
                text.as_ref().and_then(|text| line_of(text, line))
            };
            Some(Frame {
                file,
                line,
                function: reader.name(code)?,
                source,
            })
        })
        .collect::<Option<Vec<_>>>()?;
    let left_out = shown.len() - frames.len();
    (!frames.is_empty()).then_some(Traceback { frames, left_out })
}

/// A frame of Python code.
#[derive(Clone, Copy)]
struct PythonFrame {
    frame: u32,
    code: CodeObject,
    /// Index of the instruction that started last, in code units.
    unit: u32,
}

impl PythonFrame {
    /// Returns the code object and the line.
    fn location(self, reader: &Reader) -> Option<(CodeObject, u32)> {
        let first = reader.u32(self.code.0, reader.offsets.code.firstlineno)?;
        match lines::location(reader.linetable(self.code, None)?, first, self.unit)? {
            Location::Line(line) => Some((self.code, line)),
            // Without this frame the traceback would be misleading, so there is none.
            Location::NoLine => None,
        }
    }

    /// Returns true if the frame has not reached a line yet. This is always so for the frames with which CPython calls
    /// `__init__`. Python does not show such frames either.
    fn is_prologue(self, reader: &Reader) -> bool {
        // A prologue has one byte in the table for each variable that inner functions share.
        const MAX_PROLOGUE_BYTES: usize = 1000;
        let first = reader.u32(self.code.0, reader.offsets.code.firstlineno);
        let table = reader.linetable(self.code, Some(MAX_PROLOGUE_BYTES));
        let is = (table.zip(first)).and_then(|(t, first)| lines::is_prologue(t, first, self.unit));
        is.unwrap_or(false)
    }
}

/// The frames that a traceback shows.
struct Visible {
    /// Innermost first.
    shown: Vec<PythonFrame>,
    /// The frame of the runner that called the turn's code.
    caller: Option<PythonFrame>,
}

/// Returns the frames inside the runner's outermost frame, without those of the runner and the import system.
fn visible(reader: &Reader) -> Option<Visible> {
    let mut shown = Vec::new();
    // Number of frames inside the outermost frame of the runner found so far.
    let mut inside_runner = None;
    let mut caller = None;
    let mut trimmed = false;
    let mut next = current_frame(reader)?;
    for _ in 0..MAX_FRAMES {
        if next == 0 {
            shown.truncate(inside_runner?);
            return Some(Visible { shown, caller });
        }
        let frame = next;
        let layout = &reader.offsets.frame;
        next = reader.u32(frame, layout.previous)?;
        if reader.u8(frame, layout.owner)? >= OWNED_BY_INTERPRETER {
            continue;
        }
        let frame = python_frame(reader, frame)?;
        if frame.is_prologue(reader) {
            continue;
        }
        if reader.filename_starts_with(frame.code, RUNNER)? {
            let name = reader.name(frame.code)?;
            if RUNNER_INTERNAL.contains(&name.as_str()) {
                shown.clear();
            } else if (reader.filename(frame.code)?.as_str(), name.as_str()) == RUNNER_TURN {
                caller = Some(frame);
            }
            inside_runner = Some(shown.len());
            trimmed = false;
        } else if reader.filename_starts_with(frame.code, IMPORTLIB)? {
            trimmed = trimmed || reader.name(frame.code)? == IMPORTLIB_CALL;
            if !trimmed {
                shown.push(frame);
            }
        } else {
            trimmed = false;
            shown.push(frame);
        }
    }
    None
}

/// Returns the innermost frame of the main interpreter. `None` if it has more than one thread.
fn current_frame(reader: &Reader) -> Option<u32> {
    let offsets = reader.offsets;
    let mut interpreter = reader.pointer(offsets.runtime, offsets.interpreters_head)?;
    for _ in 0..MAX_INTERPRETERS {
        if reader.u64(interpreter, offsets.interpreter.id)? == 0 {
            let thread = reader.pointer(interpreter, offsets.interpreter.threads_head)?;
            let only = reader.u32(thread, offsets.thread.next)? == 0;
            return only.then(|| reader.u32(thread, offsets.thread.current_frame))?;
        }
        interpreter = reader.pointer(interpreter, offsets.interpreter.next)?;
    }
    None
}

/// Reads the frame at the address `frame`.
fn python_frame(reader: &Reader, frame: u32) -> Option<PythonFrame> {
    let code = reader.code(frame, reader.offsets.frame.executable)?;
    let instruction = reader.u32(frame, reader.offsets.frame.instr_ptr)?;
    let first = code.0.checked_add(reader.offsets.code.instructions)?;
    let bytes = instruction.checked_sub(first)?;
    let unit = bytes / 2;
    let fits = bytes % 2 == 0 && unit < reader.u32(code.0, reader.offsets.code.units)?;
    fits.then_some(PythonFrame { frame, code, unit })
}

/// Returns the code objects that were compiled from the turn's source. The runner has them in local variables.
fn code_of_turn(reader: &Reader, visible: &Visible) -> HashSet<u32> {
    let roots = (visible.caller).and_then(|f| turn_code::locals(reader, f.frame, f.code));
    turn_code::nested(reader, &roots.unwrap_or_default())
}

/// Returns line `number` of the turn's source, as tracebacks show it. Line ends are those of Python's tokenizer.
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
    let line: String = line.trim().chars().take(MAX_LINE_CHARS).collect();
    (!line.is_empty()).then_some(line)
}
