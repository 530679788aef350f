//! Messages on stderr.
//!
//! Security boundary: messages contain names and texts from guests, files, models and servers. All of them are printed
//! here, with escaped control characters. `clippy.toml` disallows the macros that print without it.

use std::io::Write;

use codeact_base::text::shown;

/// Prints a line on stderr, as `eprintln!` does, with escaped control characters.
macro_rules! notice {
    ($($arguments:tt)*) => {
        $crate::report::print_text(&format!("{}\n", format_args!($($arguments)*)))
    };
}
pub(crate) use notice;

/// Prints text on stderr with escaped control characters.
pub(crate) fn print_text(text: &str) {
    // The command goes on if stderr is closed.
    let _ = std::io::stderr().lock().write_all(shown(text).as_bytes());
}
