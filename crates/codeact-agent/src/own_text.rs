//! Ends a growing reply at an observation that the model invents.
//!
//! The server is not given a stop sequence, because it would apply it inside strings as well. The call is dropped instead,
//! which ends the generation.

use super::action::is_invented;
use super::observation;

/// Bytes that may be read to decide about lines, as a multiple of the reply's length.
const MAX_READS: usize = 8;

/// The model's own text of a reply. The result does not depend on the pieces in which it arrives.
#[derive(Debug, Default)]
pub(super) struct OwnText {
    text: String,
    /// Length of the part that was returned.
    shown: usize,
    /// Offset from which lines are still to be examined.
    examined: usize,
    /// Number of bytes that were read to decide about lines.
    read: usize,
    has_ended: bool,
}

impl OwnText {
    /// Returns the model's own part of a whole reply.
    pub(super) fn of(reply: &str) -> String {
        let mut own = Self::default();
        own.push(reply);
        own.finish();
        own.text
    }

    /// Appends a piece. Returns the text that is certain to be the model's own.
    pub(super) fn push(&mut self, piece: &str) -> &str {
        if self.has_ended {
            return "";
        }
        self.text.push_str(piece);
        let until = self.examine(false);
        self.show(until)
    }

    /// Ends the reply. Returns the rest of the model's own text.
    pub(super) fn finish(&mut self) -> &str {
        if self.has_ended {
            return "";
        }
        let until = self.examine(true);
        self.show(until)
    }

    /// True if an invented observation was found.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Returns the model's own text so far.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    fn show(&mut self, until: usize) -> &str {
        let from = self.shown;
        self.shown = until.max(from);
        &self.text[from..self.shown]
    }

    /// Examines the lines that begin like an observation, and returns the end of the text that is certain.
    fn examine(&mut self, is_whole: bool) -> usize {
        let mark = format!("\n{}", observation::PREFIX);
        while let Some(found) = self.text[self.examined..].find(&mark) {
            let at = self.examined + found;
            let rest = &self.text[at + 1..];
            let line = match rest.find('\n') {
                Some(end) => &rest[..end],
                None if is_whole => rest,
                None => {
                    self.examined = at;
                    return at;
                }
            };
            self.read += at;
            let may_read = self.read <= self.text.len().saturating_mul(MAX_READS) + (1 << 16);
            if may_read && is_invented(&self.text[..at], line) {
                self.text.truncate(at);
                self.has_ended = true;
                return at;
            }
            self.examined = at + 1;
        }
        if is_whole {
            return self.text.len();
        }
        // The end may be the beginning of the mark.
        let bytes = self.text.as_bytes();
        let most = (mark.len() - 1).min(bytes.len() - self.examined);
        let held = (1..=most)
            .rev()
            .find(|&n| bytes.ends_with(&mark.as_bytes()[..n]));
        self.examined = self.text.len() - held.unwrap_or(0);
        self.examined
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(pieces: &[&str]) -> (String, String) {
        let mut own = OwnText::default();
        let mut shown: String = pieces
            .iter()
            .map(|piece| own.push(piece).to_owned())
            .collect();
        shown.push_str(own.finish());
        (shown, own.text().to_owned())
    }

    #[test]
    fn an_invented_observation_ends_the_text() {
        for (reply, own) in [
            (
                "```python\na()\n```\nObservation: 3\nSo it is 3.",
                "```python\na()\n```",
            ),
            ("```python\na()\nObservation:\n3", "```python\na()"),
            ("a()\nObservation: 3", "a()"),
            ("I look.\nObservation: 3", "I look."),
        ] {
            assert_eq!(OwnText::of(reply), own, "{reply}");
        }
    }

    #[test]
    fn a_line_within_a_string_a_block_or_reasoning_does_not_end_the_text() {
        for reply in [
            "```python\ns = '''a\nObservation: 1\n'''\n```",
            "s = '''a\nObservation: 1\n'''\nprint(s)",
            "I print.\ns = '''a\nObservation: 1\n'''\nprint(s)",
            "```python\nd = {\nObservation: 1}\n```",
            "```python\nx = 1\nObservation: TypeAlias = dict\n```",
            "```text\nObservation: 1\n```\n```python\na()\n```",
            "<think>\nObservation: it is short\n</think>\nprint(1)",
            "{\"name\": \"python\", \"arguments\": {\"code\": \"s = '''\nObservation: 1'''\"}}",
            "Observations follow.\nObs",
        ] {
            assert_eq!(OwnText::of(reply), reply);
        }
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_pieces(
            parts in prop::collection::vec(prop::sample::select(vec![
                "\nObservation:", "\nObs", "ervation:", "```python\n", "```\n", "'''", "\n", "a()", "é", "x = 1\n",
            ]), 0..30),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let text = parts.concat();
            let mut cuts: Vec<usize> = cuts
                .iter()
                .map(|i| text.floor_char_boundary(i.index(text.len() + 1)))
                .collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let (shown, own) = in_pieces(&pieces);
            prop_assert_eq!(&shown, &own);
            prop_assert_eq!(own, OwnText::of(&text));
        }
    }
}
