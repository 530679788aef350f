//! Untrusted text, made safe to print, and small text helpers.

/// Escapes control characters except line breaks and tabs, and those that change the direction of text. Untrusted text
/// could otherwise change the terminal's title, the clipboard or earlier output. For output with colours there is
/// [`crate::terminal`].
pub fn shown(text: &str) -> String {
    escaped(text, |c| c != '\n' && c != '\t' && is_control_or_bidi(c))
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

/// Escapes the same characters as [`shown`] in a JSON text, by JSON's own notation: the value stays the same.
pub fn shown_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for c in json.chars() {
        match c != '\n' && is_control_or_bidi(c) {
            // All of them have four digits. Outside of strings JSON has none of them.
            true => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => shown.push(c),
        }
    }
    shown
}

/// Returns true for control characters of C0 and C1, and for those that change the direction of text (`Bidi_Control` of
/// Unicode).
pub(crate) fn is_control_or_bidi(c: char) -> bool {
    let bidi = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || bidi
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
        assert_eq!(
            shown("a\u{9b}2J\u{202e}b\u{200d}"),
            "a\\u{9b}2J\\u{202e}b\u{200d}"
        );
        assert_eq!(one_line("a\nb\u{202e}ö"), "a\\nb\\u{202e}ö");
    }

    #[test]
    fn json_with_escaped_control_characters_has_the_same_value() {
        let value = serde_json::json!({ "a\u{9b}": ["\u{202e}\u{7f}ö\n", 1] });
        let safe = shown_json(&format!("{value:#}"));
        assert!(
            !safe.contains(|c| c != '\n' && is_control_or_bidi(c)),
            "{safe}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            value
        );
    }
}
