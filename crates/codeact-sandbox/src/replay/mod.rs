//! Recordings and suspended turns, both based on the journal of a turn.
//!
//! Below sessions: `header` is the session before a journaled turn; `recorded_turn` is a turn with its journal and its
//! end; `mode` is how a running turn is journaled; `recorder` writes a recording; `suspended` is a turn that waits for
//! user input. Above sessions: `recording` replays a file; `resume` resumes a suspended turn.

pub(crate) mod header;
pub(crate) mod mode;
pub(crate) mod recorded_turn;
pub(crate) mod recorder;
mod recording;
mod resume;
pub(crate) mod suspended;

pub use recorded_turn::{RecordedEnd, RecordedTurn};
pub use recorder::Recorder;
pub use recording::{Recording, Replay};
pub use suspended::SuspendedTurn;
