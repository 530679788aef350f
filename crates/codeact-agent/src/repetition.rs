//! Detects a reply that repeats itself without end, as small models write. Waiting for its end would cost minutes.
//!
//! Code repeats itself as well: the rows of an empty matrix or of a maze. So code must repeat itself more often than prose.

use super::action::is_in_code;

/// Length of the repetitive end of prose, in bytes, from which a reply is stopped.
const MIN_REPETITION: usize = 1000;
/// The same for code.
const MIN_REPETITION_IN_CODE: usize = 4000;
/// Number of repetitions in code from which a reply is stopped.
const MIN_COUNT_IN_CODE: usize = 150;
/// Limit of the length of the repeated text, in bytes.
const MAX_PERIOD: usize = 200;
/// Length of new text between two checks, in bytes.
const CHECK_INTERVAL: usize = 250;

/// A growing reply.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    text: String,
    /// Length at the last check.
    checked: usize,
    /// Length from which [`is_in_code`] applies to the text again, and its last result.
    place: (usize, bool),
}

impl Repetition {
    /// Appends `piece`. Returns true if the reply now repeats itself.
    pub(super) fn push(&mut self, piece: &str) -> bool {
        self.text.push_str(piece);
        if self.text.len() < MIN_REPETITION.max(self.checked + CHECK_INTERVAL) {
            return false;
        }
        self.checked = self.text.len();
        let Some(period) = period(self.text.as_bytes()) else {
            return false;
        };
        // All of the text is read, so this is done only after it has grown by an eighth.
        if self.text.len() >= self.place.0 {
            let next = self.text.len() + self.text.len() / 8;
            self.place = (next, is_in_code(&self.text));
        }
        !self.place.1 || self.repeats_code(period)
    }

    /// Returns true if the repetitive end is too long for code.
    fn repeats_code(&self, period: usize) -> bool {
        let text = self.text.as_bytes();
        let length = MIN_REPETITION_IN_CODE.max(period * MIN_COUNT_IN_CODE);
        let Some(from) = text.len().checked_sub(length) else {
            return false;
        };
        text[from + period..] == text[from..text.len() - period]
    }

    /// Returns the reply up to the first few repetitions.
    pub(super) fn beginning(&self) -> &str {
        let text = self.text.as_bytes();
        let mut end = (self.text.len()).saturating_sub(MIN_REPETITION - MAX_PERIOD);
        if let Some(period) = period(text) {
            while end > MAX_PERIOD && text[end - 1] == text[end - 1 + period] {
                end -= 1;
            }
            end = (end + MAX_PERIOD).min(text.len());
        }
        self.text
            .get(..self.text.floor_char_boundary(end))
            .unwrap_or("")
    }
}

/// Returns the length of the text that the end of `text` repeats.
fn period(text: &[u8]) -> Option<usize> {
    let tail = &text[text.len().saturating_sub(MIN_REPETITION)..];
    if tail.len() < MIN_REPETITION {
        return None;
    }
    (1..=MAX_PERIOD).find(|period| tail[*period..] == tail[..MIN_REPETITION - period])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(text: &str) -> bool {
        let mut repetition = Repetition::default();
        let chars: Vec<char> = text.chars().collect();
        (chars.chunks(7)).any(|piece| repetition.push(&piece.iter().collect::<String>()))
    }

    #[test]
    fn a_repeated_text_is_detected_and_the_beginning_is_returned() {
        let mut repetition = Repetition::default();
        assert!(!repetition.push("I compute the scores."));
        assert!(repetition.push(&" = 1200 × 8 + 900".repeat(200)));
        let beginning = repetition.beginning();
        assert!(beginning.starts_with("I compute the scores. = 1200"));
        assert!(beginning.len() < 500, "{}", beginning.len());
        assert!(watch(&"é".repeat(3000)));
    }

    #[test]
    fn a_line_or_a_phrase_that_code_repeats_hundreds_of_times_is_detected() {
        for (begin, piece) in [
            ("I add.\n```python\nx = \"", "1 + 2 = 3, "),
            ("```python\n", "print('the same line again')\n"),
            ("import math\n", "x = math.sqrt(x)\n"),
            ("<code>\nrows = [\n", "    [0, 0, 0, 0],\n"),
            (
                "{\"name\": \"python\", \"arguments\": {\"code\": \"",
                "x = 1\\n",
            ),
        ] {
            assert!(watch(&format!("{begin}{}", piece.repeat(1000))), "{piece}");
        }
    }

    #[test]
    fn long_tables_and_short_runs_are_not_repetitions() {
        let table: String = (0..500)
            .map(|i| format!("    ({i}, {}),\n", i * 7))
            .collect();
        assert!(!watch(&table));
        assert!(!watch(&format!(
            "x = [{}]\n{}",
            "0, ".repeat(250),
            "print(x)"
        )));
        assert!(!watch("short"));
    }

    #[test]
    fn equal_rows_in_code_are_not_a_repetition() {
        let zeros = format!("    [{}0],\n", "0, ".repeat(19)).repeat(60);
        let maze = format!("{}\n", "#".repeat(60)).repeat(60);
        let wide = format!("    [{}0],\n", "0, ".repeat(99)).repeat(100);
        for code in [
            format!("Here:\n```python\nm = [\n{zeros}]\nprint(m)\n```"),
            format!("m = [\n{zeros}]\nprint(m)"),
            format!("```python\nmaze = '''\n{maze}'''\n```"),
            format!("<execute>\nm = [\n{wide}]\n</execute>"),
            format!("{{\"name\": \"python\", \"arguments\": {{\"code\": \"m = [\n{zeros}]\"}}}}"),
        ] {
            assert!(!watch(&code), "{code}");
        }
    }
}
