//! Where the code was when its turn was stopped: a traceback read from linear memory.
//!
//! A stopped guest cannot be asked, so its memory is read as a debugger reads another process.
//! PEP 768 has CPython write the offsets of its structures down in `_PyRuntime` (`offsets`). They
//! are taken from the base image, which no guest can change; the frames (`frames`), the code objects
//! and strings (`objects`) and their tables of lines (`lines`) come from the stopped guest's memory,
//! through a reader that is bounded in all it does (`reader`), for the guest may have forged each
//! of them. Which code is the turn's own, and so has its lines in the turn's source, is `own`.
//!
//! What does not fit gives no traceback. A forged one can show wrong lines to whoever reads it, as
//! the guest's own output can, and do no more.
//!
//! # Which line it is
//!
//! That of the instruction that was begun last. Every instruction of CPython 3.15 first writes its
//! own address into its frame; the host stops a guest inside an instruction, or between one that
//! is done and the next. In a frame that has called another it is the call.

mod frames;
mod lines;
mod objects;
mod offsets;
mod own;
mod reader;
mod traceback;

pub(crate) use offsets::Offsets;
pub use traceback::Traceback;

use reader::Reader;

/// The traceback of a guest stopped at any point, whose turn was `source`. `None` if it was in no
/// code but the runner's, or if anything in `memory` is not as it must be.
pub(crate) fn traceback(offsets: &Offsets, memory: &[u8], source: &str) -> Option<Traceback> {
    frames::traceback(&Reader::new(memory, offsets), source)
}
