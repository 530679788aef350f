//! Traceback of a stopped turn, read from linear memory.
//!
//! A stopped guest runs no code, so its memory is read as a debugger reads another process. CPython stores the offsets
//! of its structures in `_PyRuntime` (PEP 768). `offsets` reads them from the base image, which no guest can change.
//! The frames (`frames`), the code objects and strings (`objects`) and the location tables (`lines`) come from the
//! guest's memory. The guest may have forged them, so they are read through `reader`, which checks all bounds and
//! limits the work. `turn_code` finds the code objects that were compiled from the turn's source: only their lines are
//! in that source. `source_texts` finds the texts of earlier turns, which only the guest has.
//!
//! Invalid data gives no traceback. A forged traceback can show wrong lines, as the guest's output can, and has no
//! other effect.
//!
//! # Line numbers
//!
//! The line of a frame is that of the instruction that started last. Every instruction of CPython 3.15 first writes its
//! address into its frame, and the host stops a guest inside an instruction or between two. In a frame that has called
//! another one, it is the line of the call.

mod frames;
mod lines;
mod objects;
mod offsets;
mod reader;
mod source_texts;
mod turn_code;

pub(crate) use offsets::Offsets;

use crate::types::traceback::Traceback;
use reader::Reader;

/// Returns the traceback of a stopped guest. `source` is the code of its turn; if it is empty, the guest's text of the
/// turn is used. `None` if the guest was in code of the
/// runner only, or if `memory` has invalid data.
pub(crate) fn traceback(offsets: &Offsets, memory: &[u8], source: &str) -> Option<Traceback> {
    frames::traceback(&Reader::new(memory, offsets), source)
}
