//! A pack's module as it is compiled: metered, so that nothing in it runs without end unasked.
//!
//! The module is rewritten before it is compiled, on the machine that runs it. Every path through it
//! that can be long passes a meter point again and again: each loop's head, and enough entries of
//! functions and calls by address that no circle of calls is without one (`calls`). A meter point takes from a counter, a
//! global that only the host can reach besides, and calls the host when it is used up (`bodies`).
//!
//! What a call that hardly ever comes costs the code around it is most of what metering costs. So functions end
//! where the counter is used up in a busy loop that calls nothing, and go on as another (`continued`, `continuations`); small loops of
//! large functions become functions (`outline`, `loops`; `flow` tells which locals are live); small functions look
//! at the counter at their entries (`bodies`). Nothing of that changes what is used. What the meter points themselves cost is
//! most in small loops: two passes of such a loop share one (`doubled`).
//!
//! Each function and type of a module makes every start longer: functions that are the same are written once (`same`),
//! those that end to pause share where they do so (`pauses`), and globals carry what would make more types (`kept`).
//!
//! Where the module names its functions, the one that calls a Python object is exported: a turn that is
//! begun through it costs no compiling of a source that is always the same.
//! Names and other custom sections are left out, above all the names of functions: they make a seventh
//! of the pack, and each start would read them.
//!
//! # What is assumed
//!
//! That a piece of code without a loop and without calls is short: a function's body is finite, and the
//! pack's largest takes microseconds. Calls through a table, or of a reference, are taken to reach every
//! function of that type whose address is taken anywhere. Operations on a block of memory are cut into
//! pieces of [`pieces::PIECE`] bytes.

mod bodies;
mod calls;
mod continuations;
mod continued;
mod doubled;
mod flow;
mod kept;
mod loops;
mod nesting;
mod outline;
mod parts;
mod pauses;
mod pieces;
mod rewrite;
mod same;
mod scc;
mod source;

pub(crate) use rewrite::{CALL, COUNTER, GIVE_WAY, TICK, metered};

/// Why a module could not be rewritten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RewriteError {
    /// It is no module that this reader knows.
    #[error("it is no WebAssembly module as expected: {0}")]
    Parse(#[from] wasmparser::BinaryReaderError),
    /// It could be read, and not be written again.
    #[error("it cannot be written again: {0}")]
    Encode(String),
}

#[cfg(test)]
mod tests;
