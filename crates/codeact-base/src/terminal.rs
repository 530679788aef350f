//! Untrusted output on a terminal.
//!
//! Security boundary: a terminal obeys what is written to it. Its title, the clipboard, earlier output, links and even
//! its input can be changed by control sequences, so only harmless ones pass.

use crate::text::is_control_or_bidi;

/// Longest sequence that is held until its end is known, in characters. Longer ones are escaped.
const MAX_HELD: usize = 64;

/// Makes a stream of untrusted text safe for a terminal, piece by piece.
///
/// Line breaks, tabs, carriage returns and backspaces pass: they move within the line that is being written. Colours and
/// text styles pass (`ESC [ … m`, select graphic rendition of ECMA-48), except concealed text and other fonts. All other
/// control characters, of C0 and C1, and those that change the direction of text are escaped, as in `\u{1b}]0;title`.
///
/// The result does not depend on how the text is divided into pieces. State is bounded: an incomplete sequence of at
/// most 64 characters.
///
/// ```
/// use codeact_base::terminal::TerminalText;
///
/// let mut text = TerminalText::default();
/// assert_eq!(text.push("\x1b[3"), "");
/// assert_eq!(text.push("1mred\x1b]52;c;eA==\x07"), "\x1b[31mred\\u{1b}]52;c;eA==\\u{7}");
/// assert_eq!(text.finish(), "\x1b[0m");
/// ```
#[derive(Debug, Default)]
pub struct TerminalText {
    /// The beginning of a sequence that may be harmless: `ESC`, `[`, parameters.
    held: String,
    /// True if a colour or style is set.
    is_styled: bool,
}

impl TerminalText {
    /// Returns the safe form of the next piece, without an incomplete sequence at its end.
    pub fn push(&mut self, piece: &str) -> String {
        let mut safe = String::with_capacity(piece.len());
        for c in piece.chars() {
            self.push_char(c, &mut safe);
        }
        safe
    }

    /// Returns the rest at the end of the stream: an incomplete sequence, escaped, and a reset of colours and styles.
    pub fn finish(&mut self) -> String {
        let mut safe = String::new();
        self.escape_held(&mut safe);
        if std::mem::take(&mut self.is_styled) {
            safe.push_str("\x1b[0m");
        }
        safe
    }

    fn push_char(&mut self, c: char, safe: &mut String) {
        match (self.held.len(), c) {
            (0, '\x1b') | (1, '[') => self.held.push(c),
            (2..MAX_HELD, '0'..='9' | ';' | ':') => self.held.push(c),
            (2.., 'm') if is_harmless_style(&self.held[2..]) => {
                self.is_styled = !matches!(&self.held[2..], "" | "0");
                safe.push_str(&self.held);
                safe.push(c);
                self.held.clear();
            }
            (0, '\n' | '\t' | '\r' | '\x08') => safe.push(c),
            (0, c) if is_control_or_bidi(c) => safe.extend(c.escape_default()),
            (0, c) => safe.push(c),
            _ => {
                self.escape_held(safe);
                self.push_char(c, safe);
            }
        }
    }

    fn escape_held(&mut self, safe: &mut String) {
        for c in self.held.drain(..) {
            match c {
                '\x1b' => safe.extend(c.escape_default()),
                c => safe.push(c),
            }
        }
    }
}

/// Returns `text` such that it is safe for a terminal; see [`TerminalText`].
pub fn for_terminal(text: &str) -> String {
    let mut stream = TerminalText::default();
    let mut safe = stream.push(text);
    safe += &stream.finish();
    safe
}

/// Returns true if the parameters of a graphic rendition are colours and styles that leave text visible.
fn is_harmless_style(parameters: &str) -> bool {
    let mut parameters = parameters.split(';');
    while let Some(parameter) = parameters.next() {
        // After a colon are details of the parameter.
        let (number, details) = match parameter.split_once(':') {
            Some((number, _)) => (number, true),
            None => (parameter, false),
        };
        match number.parse::<u8>() {
            // A colour by its index, or by red, green and blue: the next parameters belong to it.
            Ok(38 | 48 | 58) if !details => {
                let more = match parameters.next() {
                    Some("5") => 1,
                    Some("2") => 3,
                    _ => return false,
                };
                for _ in 0..more {
                    if parameters.next().is_none() {
                        return false;
                    }
                }
            }
            // 8 conceals text. 10 to 20 choose fonts; on a Linux console they make control characters visible, or
            // change the meaning of every character.
            Ok(0..=7 | 9 | 21..=25 | 27..=49 | 53 | 55 | 58 | 59 | 90..=97 | 100..=107) => {}
            Err(_) if number.is_empty() => {}
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn colours_and_movement_within_a_line_pass() {
        for text in [
            "a\tb\r\n50 %\r100 %\x08\x08",
            "\x1b[1;31mred\x1b[0m",
            "\x1b[m",
            "\x1b[38;5;208mx\x1b[48;2;1;8;3my\x1b[0m",
            "\x1b[4:3mcurly\x1b[38:2::1:2:3mcolour\x1b[m",
            "\x1b[97;100m\x1b[39;49m\x1b[0m",
            "日本 é 👩‍👩‍👧",
        ] {
            assert_eq!(for_terminal(text), text);
        }
    }

    #[test]
    fn a_style_ends_with_the_stream() {
        assert_eq!(for_terminal("\x1b[30;40mdark"), "\x1b[30;40mdark\x1b[0m");
        assert_eq!(for_terminal("\x1b[1mx\x1b[0m"), "\x1b[1mx\x1b[0m");
    }

    #[test]
    fn sequences_that_control_a_terminal_are_escaped() {
        for text in [
            "\x1b]52;c;cHduZWQ=\x07",                // the clipboard
            "\x1b]0;title\x1b\\",                    // the title
            "\x1b]8;;https://e.example\x1b\\a",      // a link
            "\x1b[2J\x1b[H",                         // clears the screen
            "\x1b[3A\x1b[2K",                        // changes earlier lines
            "\x1b[6n\x1b[c\x1b[>c\x1b[21t\x1bZ\x05", // the terminal answers, as if it was typed
            "\x1b[?1049h\x1b[?25l\x1b[?1000h\x1b[?2004l",
            "\x1bP+q544e\x1b\\\x1b_Gf=24\x1b\\\x1b^x\x1b\\\x1bXx\x1b\\",
            "\x1bc\x1b7\x1b8\x1bD\x1bM\x1b#8\x1b(0\x0e\x0f",
            "\u{9b}2J\u{9d}0;title\u{9c}\u{90}q\u{9c}", // C1
            "\x1b[8m\x1b[1;8m\x1b[11m\x1b[38;5m\x1b[38;2;1;2m\x1b[300m\x1b[1 m\x1b[?1m\x1b[>4;2m",
            "\x0b\x0c\x7f\x07\0",
            "\u{202e}\u{2066}\u{200f}\u{61c}", // the order of text
            "\x1b",
            "\x1b[",
            "\x1b\x1b[31",
        ] {
            let safe = for_terminal(text);
            assert!(!safe.contains(is_control_or_bidi), "{safe:?}");
        }
        assert_eq!(for_terminal("\x1b\x1b[1m\x1b[0m"), "\\u{1b}\x1b[1m\x1b[0m");
        let long = format!("\x1b[{}m", "1;".repeat(100));
        assert!(!for_terminal(&long).contains('\x1b'));
    }

    /// Returns true if `safe` has no control character but those of harmless sequences, read by another method.
    fn is_safe(safe: &str) -> bool {
        let mut parts = safe.split('\x1b');
        let plain =
            |text: &str| !text.contains(|c| is_control_or_bidi(c) && !"\n\t\r\x08".contains(c));
        parts.next().is_none_or(plain)
            && parts.all(|part| {
                let Some((sequence, rest)) = part.split_once('m') else {
                    return false;
                };
                let parameters = sequence.strip_prefix('[');
                plain(rest)
                    && parameters.is_some_and(|p| p.chars().all(|c| "0123456789;:".contains(c)))
            })
    }

    fn untrusted() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\x1b".to_owned()),
            Just("\x1b[".to_owned()),
            Just("m".to_owned()),
            "[0-9;:]{1,40}",
            "[\\[\\]P_^Xc?>a-z]",
            any::<char>().prop_map(String::from),
            proptest::char::range('\0', '\u{9f}').prop_map(String::from),
            Just("\u{202e}".to_owned()),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_text_in_any_pieces_is_made_safe_in_the_same_way(
            text in untrusted(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
        ) {
            let whole = for_terminal(&text);
            prop_assert!(is_safe(&whole), "{whole:?}");
            let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| *cut.get(&ends)).chain([0, text.len()]).collect();
            cuts.sort_unstable();
            let mut stream = TerminalText::default();
            let mut pieces = String::new();
            for cut in cuts.windows(2) {
                pieces += &stream.push(&text[cut[0]..cut[1]]);
                prop_assert!(is_safe(&pieces) && stream.held.len() <= MAX_HELD);
            }
            pieces += &stream.finish();
            prop_assert_eq!(&pieces, &whole);
            // What was made safe stays as it is.
            prop_assert_eq!(for_terminal(&whole), whole);
        }

        #[test]
        fn text_without_control_characters_is_not_changed(text in "[ -~à-ÿ日-本\n\t]*") {
            prop_assert_eq!(for_terminal(&text), text);
        }
    }
}
