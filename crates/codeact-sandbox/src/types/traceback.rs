//! Exceptions and tracebacks as data, and in the format in which Python prints them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Number of frames at each end that a traceback includes. A deep recursion has thousands of frames.
const FRAMES_AT_EACH_END: usize = 20;
/// Number of equal frames that are printed one by one, as in Python's module `traceback`.
const MAX_REPEATED_FRAMES: usize = 3;

/// An uncaught exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exception {
    /// Name of the class, with its module unless that is `builtins`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `str(exception)`.
    pub message: String,
    /// Frames from outermost to innermost, without those of the runner.
    pub frames: Vec<Frame>,
    /// The traceback as Python prints it, without the frames of the runner.
    pub traceback: String,
    /// Names of the class and its bases, the class first. With them a host can recognise a subclass of `MemoryError`.
    #[serde(default)]
    pub bases: Vec<String>,
}

impl Exception {
    /// Returns an exception without frames.
    pub fn new(kind: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            message: message.into(),
            frames: Vec::new(),
            traceback: String::new(),
            bases: Vec::new(),
        }
    }
}

/// One frame of a traceback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Frame {
    /// File name, such as `<turn 3>`.
    pub file: String,
    /// Line number, from 1.
    pub line: u32,
    /// Name of the function; `<module>` for module code.
    pub function: String,
    /// Source line, if it is known.
    pub source: Option<String>,
}

impl Frame {
    /// Returns a frame without a source line.
    pub fn new(file: impl Into<String>, line: u32, function: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            line,
            function: function.into(),
            source: None,
        }
    }
}

/// Position of the code when its turn was stopped.
///
/// The line of a frame is that of the last instruction that the frame began. `Display` prints it as Python prints a
/// traceback, without the last line, which describes the exception.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traceback {
    /// Frames from outermost to innermost, without those of the runner: all, or the first and the last 20. At least
    /// one.
    pub frames: Vec<Frame>,
    /// Number of frames that are left out after the first 20.
    pub left_out: usize,
}

impl Traceback {
    /// Returns a traceback of `frames`, outermost first.
    pub fn new(frames: Vec<Frame>) -> Self {
        Self {
            frames,
            left_out: 0,
        }
    }

    /// Returns the numbers of the frames that a traceback includes, of `visible` frames.
    pub(crate) fn kept(visible: usize) -> impl Iterator<Item = usize> {
        let head = visible.min(FRAMES_AT_EACH_END);
        let tail = visible.saturating_sub(FRAMES_AT_EACH_END).max(head);
        (0..head).chain(tail..visible)
    }
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Traceback (most recent call last):")?;
        let split = match self.left_out {
            0 => self.frames.len(),
            _ => self.frames.len().min(FRAMES_AT_EACH_END),
        };
        let (outer, inner) = self.frames.split_at(split);
        frames(f, outer)?;
        if self.left_out > 0 {
            writeln!(f, "  [{} frames left out]", self.left_out)?;
        }
        frames(f, inner)
    }
}

fn frames(f: &mut fmt::Formatter<'_>, frames: &[Frame]) -> fmt::Result {
    for equal in frames.chunk_by(|a, b| a == b) {
        for frame in equal.iter().take(MAX_REPEATED_FRAMES) {
            let (file, function) = (Name(&frame.file), Name(&frame.function));
            writeln!(f, "  File \"{file}\", line {}, in {function}", frame.line)?;
            if let Some(source) = &frame.source {
                writeln!(f, "    {}", Name(source))?;
            }
        }
        match equal.len().saturating_sub(MAX_REPEATED_FRAMES) {
            0 => {}
            1 => writeln!(f, "  [Previous line repeated 1 more time]")?,
            n => writeln!(f, "  [Previous line repeated {n} more times]")?,
        }
    }
    Ok(())
}

/// Displays a name of the guest on one line: control characters are escaped.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\t' => f.write_str("\t")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
