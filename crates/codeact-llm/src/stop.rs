//! Ends a text that arrives in pieces at the first stop sequence.
//!
//! The stop sequence that is complete first applies. If several end at the same position, the longest one applies. So
//! the result does not depend on the pieces.

/// The text so far, and the length of the part that was returned.
#[derive(Debug)]
pub(super) struct StopFilter<'a> {
    stops: Vec<&'a str>,
    text: String,
    shown: usize,
    hit: Option<&'a str>,
}

impl<'a> StopFilter<'a> {
    /// Returns a filter for `stops`. Empty ones are ignored.
    pub fn new(stops: &'a [String]) -> Self {
        Self {
            stops: stops
                .iter()
                .map(String::as_str)
                .filter(|s| !s.is_empty())
                .collect(),
            text: String::new(),
            shown: 0,
            hit: None,
        }
    }

    /// Appends a piece. Returns the text that is certain to belong to the reply. After a stop sequence, pieces are
    /// ignored.
    pub fn push(&mut self, piece: &str) -> &str {
        if self.hit.is_some() {
            return "";
        }
        let before = self.text.len();
        self.text.push_str(piece);
        let until = match self.find(before) {
            Some((start, stop)) => {
                self.text.truncate(start);
                self.hit = Some(stop);
                start
            }
            None => self.text.len() - self.held_back(),
        };
        self.show(until)
    }

    /// Ends the text. Returns the rest of it.
    pub fn finish(&mut self) -> &str {
        self.show(self.text.len())
    }

    /// Returns the stop sequence that ended the text.
    pub fn hit(&self) -> Option<&'a str> {
        self.hit
    }

    /// Returns the whole text, without the stop sequence.
    pub fn into_text(self) -> String {
        self.text
    }

    fn show(&mut self, until: usize) -> &str {
        let from = std::mem::replace(&mut self.shown, until);
        &self.text[from..until]
    }

    /// Finds the stop sequence that is complete first, among those that end after `before`. Returns its start.
    fn find(&self, before: usize) -> Option<(usize, &'a str)> {
        self.stops
            .iter()
            .filter_map(|&stop| {
                let from = before.saturating_sub(stop.len() - 1);
                let from = self.text.floor_char_boundary(from);
                let start = from + self.text[from..].find(stop)?;
                Some((start, stop))
            })
            .min_by_key(|(start, stop)| (start + stop.len(), *start))
    }

    /// Returns the length of the longest suffix of the text that is a prefix of a stop sequence.
    fn held_back(&self) -> usize {
        let text = self.text.as_bytes();
        self.stops
            .iter()
            .filter_map(|stop| {
                let most = (stop.len() - 1).min(text.len());
                (1..=most)
                    .rev()
                    .find(|&n| text.ends_with(&stop.as_bytes()[..n]))
            })
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, String, Option<String>) {
        let stops: Vec<String> = stops.iter().map(|&s| s.to_owned()).collect();
        let mut filter = StopFilter::new(&stops);
        let mut shown: Vec<String> = pieces.iter().map(|p| filter.push(p).to_owned()).collect();
        shown.push(filter.finish().to_owned());
        let hit = filter.hit().map(str::to_owned);
        (shown, filter.into_text(), hit)
    }

    #[test]
    fn a_possible_start_of_a_stop_sequence_is_held_back() {
        let (shown, text, hit) = run(&["</code>"], &["a<", "/co", "x</cod", "e>b", "c"]);
        assert_eq!(shown, ["a", "", "</cox", "", "", ""]);
        assert_eq!((text.as_str(), hit.as_deref()), ("a</cox", Some("</code>")));
    }

    #[test]
    fn held_back_text_is_returned_at_the_end() {
        let (shown, text, hit) = run(&["é!"], &["caf", "é"]);
        assert_eq!(shown, ["caf", "", "é"]);
        assert_eq!((text.as_str(), hit), ("café", None));
    }

    #[test]
    fn the_stop_sequence_that_is_complete_first_applies() {
        assert_eq!(run(&["abcd", "bc"], &["abcd"]).2.as_deref(), Some("bc"));
        assert_eq!(run(&["", "c", "bc"], &["abcd"]).1, "a");
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_pieces(
            text in "[abé<]{0,40}",
            stops in prop::collection::vec("[abé<]{0,4}", 0..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let mut cuts: Vec<usize> = cuts
                .iter()
                .map(|i| text.floor_char_boundary(i.index(text.len() + 1)))
                .collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&str> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            let stops: Vec<&str> = stops.iter().map(String::as_str).collect();
            let (_, whole_text, whole_hit) = run(&stops, &[&text]);
            let (shown, cut_text, cut_hit) = run(&stops, &pieces);
            prop_assert_eq!(&whole_text, &cut_text);
            prop_assert_eq!(whole_hit, cut_hit);
            prop_assert_eq!(shown.concat(), cut_text);
        }
    }
}
