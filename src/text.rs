//! Text of others, made harmless for a terminal.

/// `text` without the power to steer a terminal: what a model wrote, or made its code print, could
/// else change the window's title, the clipboard or what has been shown before.
pub(crate) fn shown(text: &str) -> String {
    escaped(text, |c| c != '\n' && c != '\t' && c.is_control())
}

/// A name within a line: nothing in it can begin another line, or turn its order round.
pub(crate) fn one_line(text: &str) -> String {
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

/// Characters that show nothing, or change how others are shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(shown("a\n\tb\x1b[2J\r"), "a\n\tb\\u{1b}[2J\\r");
        assert_eq!(one_line("a\nb\u{202e}ö"), "a\\nb\\u{202e}ö");
    }
}
