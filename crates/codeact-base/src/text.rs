//! Untrusted text, made safe to print, and small text helpers.

/// Escapes control characters except line breaks and tabs. Untrusted text could otherwise change the terminal's title,
/// the clipboard or earlier output.
pub fn shown(text: &str) -> String {
    escaped(text, |c| c != '\n' && c != '\t' && c.is_control())
}

/// Escapes every character that could start another line or change the order of a line: for names inside a line.
pub fn one_line(text: &str) -> String {
    escaped(text, |c| c.is_control() || is_invisible(c))
}

fn escaped(text: &str, odd: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match odd(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Returns true for characters that are invisible or change how others are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns `bytes` in lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown("a\n\tb\x1b[2J\r"), "a\n\tb\\u{1b}[2J\\r");
        assert_eq!(one_line("a\nb\u{202e}ö"), "a\\nb\\u{202e}ö");
    }
}
