//! Events of the thread that reads blocks.

use std::sync::mpsc::Sender as Replies;

use super::ask::Shape;

/// An event of the reading thread.
pub(super) enum EditorEvent {
    /// A whole block of a terminal, or one line of a pipe.
    Text(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    /// The end of the input.
    End,
    /// The input cannot be read, and the reason.
    Failed(String),
    /// A request for the shape of a block.
    ShapeRequest(String, Replies<Shape>),
    /// A request for the names that complete a word.
    NamesRequest(String, Replies<Vec<String>>),
}
