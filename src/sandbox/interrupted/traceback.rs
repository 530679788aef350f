//! The frames of a stopped turn, and how Python prints them.

use std::fmt;

use crate::sandbox::Frame;

/// Frames kept at each end; a deep recursion has thousands.
pub(super) const KEPT_AT_EACH_END: usize = 20;
/// So many frames alike are printed one by one, as in Python's `traceback` module.
const PRINTED_ALIKE: usize = 3;

/// Where the code was when its turn was stopped.
///
/// Each line is that of the instruction that its frame had begun last. Displayed, it is what
/// Python prints of an exception, without the line that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traceback {
    /// The frames from outermost to innermost, without the runner's own: all of them, or the first
    /// and the last 20. At least one.
    pub frames: Vec<Frame>,
    /// Frames left out behind the first 20.
    pub left_out: usize,
}

impl Traceback {
    /// Of `visible` frames, outermost first, the numbers of those that are kept.
    pub(super) fn kept(visible: usize) -> impl Iterator<Item = usize> {
        let head = visible.min(KEPT_AT_EACH_END);
        let tail = visible.saturating_sub(KEPT_AT_EACH_END).max(head);
        (0..head).chain(tail..visible)
    }
}

impl fmt::Display for Traceback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Traceback (most recent call last):")?;
        let split = match self.left_out {
            0 => self.frames.len(),
            _ => self.frames.len().min(KEPT_AT_EACH_END),
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
    for alike in frames.chunk_by(|a, b| a == b) {
        for frame in alike.iter().take(PRINTED_ALIKE) {
            let (file, function) = (Name(&frame.file), Name(&frame.function));
            writeln!(f, "  File \"{file}\", line {}, in {function}", frame.line)?;
            if let Some(source) = &frame.source {
                writeln!(f, "    {}", Name(source))?;
            }
        }
        match alike.len().saturating_sub(PRINTED_ALIKE) {
            0 => {}
            1 => writeln!(f, "  [Previous line repeated 1 more time]")?,
            n => writeln!(f, "  [Previous line repeated {n} more times]")?,
        }
    }
    Ok(())
}

/// A name on a line of its own: the guest chose it, and may have put line breaks in it.
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
