//! Detects a reply that repeats itself without end, as small models write. Waiting for its end would cost minutes.

/// Length of the repetitive end of a reply, in bytes, from which the reply is stopped.
const MIN_REPETITION: usize = 1000;
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
}

impl Repetition {
    /// Appends `piece`. Returns true if the reply now repeats itself.
    pub(super) fn push(&mut self, piece: &str) -> bool {
        self.text.push_str(piece);
        if self.text.len() < MIN_REPETITION.max(self.checked + CHECK_INTERVAL) {
            return false;
        }
        self.checked = self.text.len();
        repeats(self.text.as_bytes())
    }

    /// Returns the reply up to the first few repetitions.
    pub(super) fn beginning(&self) -> &str {
        let mut end = (self.text.len()).saturating_sub(MIN_REPETITION - MAX_PERIOD);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }
}

fn repeats(text: &[u8]) -> bool {
    let tail = &text[text.len().saturating_sub(MIN_REPETITION)..];
    tail.len() == MIN_REPETITION
        && (1..=MAX_PERIOD).any(|period| tail[period..] == tail[..MIN_REPETITION - period])
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
        assert!(watch(&"é".repeat(3000)));
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
}
