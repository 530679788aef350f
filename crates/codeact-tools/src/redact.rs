//! Replaces known texts, such as secrets, in text, in bytes and in streams.
//!
//! This file is a security boundary: the bytes come from a server that may try to return a secret to the guest.

use std::fmt;
use std::sync::Arc;

#[cfg(feature = "http")]
use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Replaces every pattern by its replacement. If several patterns match, the first one in the text applies, and the
/// longest of those that begin at the same byte. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Redactor {
    inner: Arc<Inner>,
}

struct Inner {
    automaton: AhoCorasick,
    /// The replacement of each pattern.
    replacements: Vec<String>,
    /// The patterns in ascending order, to find prefixes.
    #[cfg(feature = "http")]
    sorted: Vec<Vec<u8>>,
}

impl Redactor {
    /// Returns a redactor for pairs of a pattern and its replacement. Empty patterns are ignored.
    ///
    /// # Panics
    ///
    /// Panics if the patterns have 2 GiB or more.
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let pairs = pairs.into_iter().filter(|(pattern, _)| !pattern.is_empty());
        let (patterns, replacements): (Vec<String>, Vec<String>) = pairs.unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            // A DFA of long patterns takes much more memory.
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&patterns)
            .expect("the patterns have less than 2 GiB");
        #[cfg(feature = "http")]
        let sorted = {
            let mut sorted: Vec<_> = patterns.into_iter().map(String::into_bytes).collect();
            sorted.sort_unstable();
            sorted
        };
        Self {
            inner: Arc::new(Inner {
                automaton,
                replacements,
                #[cfg(feature = "http")]
                sorted,
            }),
        }
    }

    /// Returns `text` with all replacements made.
    #[cfg(feature = "mcp")]
    pub(crate) fn replace(&self, text: &str) -> String {
        (self.inner.automaton).replace_all(text, &self.inner.replacements)
    }
}

#[cfg(feature = "http")]
impl Redactor {
    /// Returns `text` with all replacements made.
    pub(crate) fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.inner.automaton.is_match(text) {
            true => (self.inner.automaton)
                .replace_all(text, &self.inner.replacements)
                .into(),
            false => text.into(),
        }
    }

    /// Returns `bytes` with all replacements made.
    pub(crate) fn bytes(&self, bytes: Vec<u8>) -> Vec<u8> {
        match self.inner.automaton.is_match(&bytes) {
            true => (self.inner.automaton).replace_all_bytes(&bytes, &self.inner.replacements),
            false => bytes,
        }
    }

    /// Returns a redactor of bytes that arrive in chunks.
    pub(crate) fn stream(&self) -> RedactorStream {
        RedactorStream {
            redactor: self.clone(),
            held: Vec::new(),
        }
    }

    /// Appends `bytes` with all replacements made to `out`, up to the first position where a match may begin that
    /// needs the bytes to come. Returns that position.
    fn replace_decided(&self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let inner = &self.inner;
        let mut done = 0;
        // A match that begins before this position fits into `bytes`.
        let first = bytes
            .len()
            .saturating_sub(inner.automaton.max_pattern_len().max(1) - 1);
        loop {
            let next = inner.automaton.find(&bytes[done..]);
            let next =
                next.map(|found| (found.pattern(), done + found.start(), done + found.end()));
            let until = next.map_or(bytes.len(), |(_, start, _)| start + 1);
            let undecided = (first.max(done)..until).find(|at| self.is_prefix(&bytes[*at..]));
            if let Some(at) = undecided {
                out.extend_from_slice(&bytes[done..at]);
                return at;
            }
            let Some((pattern, start, end)) = next else {
                out.extend_from_slice(&bytes[done..]);
                return bytes.len();
            };
            out.extend_from_slice(&bytes[done..start]);
            out.extend_from_slice(inner.replacements[pattern.as_usize()].as_bytes());
            done = end;
        }
    }

    /// True if a pattern is longer than `bytes` and begins with them.
    fn is_prefix(&self, bytes: &[u8]) -> bool {
        let sorted = &self.inner.sorted;
        let after = sorted.partition_point(|pattern| &**pattern <= bytes);
        sorted
            .get(after)
            .is_some_and(|pattern| pattern.starts_with(bytes))
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Redactor({} patterns)", self.inner.replacements.len())
    }
}

/// A [`Redactor`] of bytes that arrive in chunks. The result does not depend on the chunks.
///
/// It holds bytes back while they may be the beginning of a match: at most one byte less than the longest pattern.
#[cfg(feature = "http")]
pub(crate) struct RedactorStream {
    redactor: Redactor,
    held: Vec<u8>,
}

#[cfg(feature = "http")]
impl RedactorStream {
    /// Adds `chunk`, and appends the redacted bytes to `out` as far as they are decided.
    pub(crate) fn push(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            let done = self.redactor.replace_decided(chunk, out);
            self.held = chunk[done..].to_vec();
            return;
        }
        self.held.extend_from_slice(chunk);
        let done = self.redactor.replace_decided(&self.held, out);
        self.held.drain(..done);
    }

    /// Ends the stream, and appends the rest to `out`.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.held);
        out.extend_from_slice(&self.redactor.bytes(rest));
    }
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn redactor(patterns: &[String]) -> Redactor {
        let pairs = patterns.iter().enumerate();
        Redactor::new(pairs.map(|(n, pattern)| (pattern.clone(), format!("<{n}>"))))
    }

    /// Replaces as the documentation says, in the simplest way.
    fn reference(patterns: &[String], mut bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let [first, rest @ ..] = bytes {
            let matching = (patterns.iter().enumerate())
                .filter(|(_, pattern)| !pattern.is_empty() && bytes.starts_with(pattern.as_bytes()))
                // The first of equal patterns applies.
                .rev()
                .max_by_key(|(_, pattern)| pattern.len());
            match matching {
                Some((n, pattern)) => {
                    out.extend_from_slice(format!("<{n}>").as_bytes());
                    bytes = &bytes[pattern.len()..];
                }
                None => {
                    out.push(*first);
                    bytes = rest;
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        // Few letters, so that patterns are often prefixes, suffixes and parts of one another.
        #[test]
        fn the_result_does_not_depend_on_the_chunks(
            mut patterns in prop::collection::vec("[ab]{0,7}", 0..6),
            bytes in prop::collection::vec(prop::sample::select(&b"ab-\xff"[..]), 0..60),
            sizes in prop::collection::vec(0_usize..6, 1..60),
        ) {
            patterns.sort();
            patterns.dedup();
            let redactor = redactor(&patterns);
            let whole = redactor.bytes(bytes.clone());
            let longest = patterns.iter().map(String::len).max().unwrap_or(0);
            let (mut stream, mut out, mut rest) = (redactor.stream(), Vec::new(), &bytes[..]);
            for size in sizes {
                let (chunk, after) = rest.split_at(size.min(rest.len()));
                stream.push(chunk, &mut out);
                prop_assert!(stream.held.len() <= longest.saturating_sub(1));
                rest = after;
            }
            stream.push(rest, &mut out);
            stream.finish(&mut out);
            prop_assert_eq!(&out, &whole);
            prop_assert_eq!(whole, reference(&patterns, &bytes));
        }
    }

    #[test]
    fn without_patterns_nothing_changes_or_is_held_back() {
        let mut stream = redactor(&[String::new()]).stream();
        let mut out = Vec::new();
        stream.push(b"abc", &mut out);
        assert_eq!(out, b"abc");
    }
}
