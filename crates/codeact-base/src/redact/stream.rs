//! Replacement in a stream of bytes.

use std::fmt;
use std::sync::Arc;

use super::search::{Forms, Match, Search};
use super::spelling::{MAX_SPELLING, is_introducer};

/// A [`Redactor`](super::Redactor) of bytes that arrive in chunks. The result does not depend on the chunks.
///
/// A position is decided if every form that begins there is complete: if the text after it has as many characters as
/// the longest form, in the reading with the fewest characters. So a text without escapes is held back by the length of
/// the longest form, rounded up to 64 bytes, and for each character of it that may begin an escape by 23 bytes more.
pub struct RedactorStream {
    forms: Arc<Forms>,
    search: Search,
    /// True if bytes are decided as soon as they are no part of a partial match.
    prompt: bool,
    /// The bytes from the first position that is not decided.
    text: Vec<u8>,
    /// The first position that is not decided.
    base: usize,
    /// The position up to which the text was searched.
    searched: usize,
    /// Smallest number of characters between `base` and `searched`, which can be negative.
    characters: i64,
    /// The position up to which bytes were emitted or replaced.
    done: usize,
    /// Complete matches that begin at positions that are not decided.
    matches: Vec<Match>,
    replaced: bool,
}

impl RedactorStream {
    pub(super) fn new(forms: Arc<Forms>, prompt: bool) -> Self {
        Self {
            search: Search::new(&forms),
            forms,
            prompt,
            text: Vec::new(),
            base: 0,
            searched: 0,
            characters: 0,
            done: 0,
            matches: Vec::new(),
            replaced: false,
        }
    }

    /// Adds `chunk`, and appends the redacted bytes to `out` as far as they are decided.
    pub fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.forms.is_empty() {
            out.extend_from_slice(chunk);
            return;
        }
        self.text.extend_from_slice(chunk);
        let decided = self.search(false);
        self.emit(decided, out);
    }

    /// Ends the stream, and appends the rest to `out`.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.search(true);
        let end = self.base + self.text.len();
        self.emit(end, out);
    }

    /// True if it has replaced a value.
    pub fn has_replaced(&self) -> bool {
        self.replaced
    }

    /// Searches the text, except for an escape at its end that may be incomplete. Returns the first position that is
    /// not decided.
    fn search(&mut self, is_end: bool) -> usize {
        let needed = i64::try_from(self.forms.rounded_length()).unwrap_or(i64::MAX);
        let end = self.base + self.text.len();
        let mut decided = self.base;
        let mut quiet = self.base;
        while let Some(byte) = self.text.get(self.searched - self.base) {
            if is_introducer(*byte) && !is_end && end - self.searched < MAX_SPELLING {
                break;
            }
            self.characters += characters(*byte);
            let found = &mut self.matches;
            (self.search).step(&self.forms, &self.text, self.base, self.searched, found);
            self.searched += 1;
            if self.search.is_quiet(self.searched) {
                quiet = self.searched;
            }
            while self.characters >= needed
                && let Some(byte) = self.text.get(decided - self.base)
            {
                self.characters -= characters(*byte);
                decided += 1;
            }
        }
        if self.prompt && quiet > decided {
            let left = self.text.get(decided - self.base..quiet - self.base);
            let left = left.unwrap_or(&[]).iter().copied().map(characters);
            self.characters -= left.sum::<i64>();
            decided = quiet;
        }
        decided
    }

    /// Appends the bytes before the position `decided`, redacted.
    fn emit(&mut self, decided: usize, out: &mut Vec<u8>) {
        self.matches.sort_unstable_by_key(Match::order);
        let count = self.matches.partition_point(|one| one.start < decided);
        for found in self.matches.drain(..count) {
            if found.start >= self.done {
                let before = self
                    .text
                    .get(self.done - self.base..found.start - self.base);
                out.extend_from_slice(before.unwrap_or(&[]));
                out.extend_from_slice(self.forms.replacement(&found).as_bytes());
                self.replaced = true;
            }
            self.done = self.done.max(found.end);
        }
        if self.done < decided {
            let before = self.text.get(self.done - self.base..decided - self.base);
            out.extend_from_slice(before.unwrap_or(&[]));
            self.done = decided;
        }
        self.text
            .drain(..(decided - self.base).min(self.text.len()));
        self.base = decided;
    }
}

/// Returns the smallest number of characters of a text with `byte`, per byte of the text.
fn characters(byte: u8) -> i64 {
    match is_introducer(byte) {
        // It and the bytes after it may be one character.
        true => 2 - i64::try_from(MAX_SPELLING).unwrap_or(0),
        false => 1,
    }
}

impl fmt::Debug for RedactorStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactorStream(***)")
    }
}
