//! Notices a model that repeats itself without end, as small ones do: waiting for the rest of such
//! a reply costs minutes and gives nothing.

/// So much of a reply's end, in bytes, must be one text over and over.
const LEAST: usize = 1000;
/// The longest text, in bytes, whose repetition is looked for.
const LONGEST_PERIOD: usize = 200;
/// How often it is looked for, in bytes of new text.
const EVERY: usize = 250;

/// Watches a reply as it grows.
#[derive(Debug, Default)]
pub(super) struct Repetition {
    text: String,
    looked_at: usize,
}

impl Repetition {
    /// Takes the next piece; `true` when the reply has begun to repeat itself.
    pub(super) fn push(&mut self, piece: &str) -> bool {
        self.text.push_str(piece);
        if self.text.len() < LEAST.max(self.looked_at + EVERY) {
            return false;
        }
        self.looked_at = self.text.len();
        repeats(self.text.as_bytes())
    }

    /// The reply until it began to repeat itself, and a little of that.
    pub(super) fn beginning(&self) -> &str {
        let mut end = self.text.len().saturating_sub(LEAST - LONGEST_PERIOD);
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        &self.text[..end]
    }
}

fn repeats(text: &[u8]) -> bool {
    let tail = &text[text.len().saturating_sub(LEAST)..];
    tail.len() == LEAST
        && (1..=LONGEST_PERIOD).any(|period| tail[period..] == tail[..LEAST - period])
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
    fn a_text_over_and_over_is_noticed_and_its_beginning_kept() {
        let mut repetition = Repetition::default();
        assert!(!repetition.push("I compute the scores."));
        assert!(repetition.push(&" = 1200 × 8 + 900".repeat(200)));
        let beginning = repetition.beginning();
        assert!(beginning.starts_with("I compute the scores. = 1200"));
        assert!(watch(&"é".repeat(3000)));
    }

    #[test]
    fn long_tables_and_short_runs_are_no_repetition() {
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
