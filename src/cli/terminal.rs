//! The terminal on which the user is asked.

use std::io::{IsTerminal, Write};

/// Returns true if the user can be asked: questions go to stderr, answers come from stdin.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Prepares the terminal for a prompt. Typed-ahead input is discarded, because the code may have asked for it. Colours
/// and modes are reset, because the code may have hidden the text that the prompt is about.
pub(super) fn prepare_prompt() {
    #[cfg(unix)]
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
    // Select graphic rendition 0, and a soft reset; then a line of its own.
    let _ = write!(std::io::stderr().lock(), "\x1b[0m\x1b[!p\r\n");
}
