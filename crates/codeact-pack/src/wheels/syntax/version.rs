//! Versions (PEP 440).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// Maximum length of a version, in bytes.
const MAX_BYTES: usize = 128;

/// A version. The order is that of PEP 440: `1.0.dev1 < 1.0a1 < 1.0 < 1.0.post1`, and `1.0` equals `1.0.0`.
#[derive(Debug, Clone)]
pub(in crate::wheels) struct Version {
    text: String,
    pub(super) key: Key,
}

/// The parts of a version, in the order of their significance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) epoch: u64,
    /// Without trailing zeros.
    pub(super) release: Vec<u64>,
    pub(super) pre: Pre,
    /// Post-releases follow the release.
    pub(super) post: Option<u64>,
    pub(super) dev: Dev,
    /// Local versions follow the public one.
    pub(super) local: Option<Vec<LocalPart>>,
}

/// Pre-release part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pre {
    /// A development release of the final release, which comes before its pre-releases.
    DevOnly,
    Alpha(u64),
    Beta(u64),
    Candidate(u64),
    /// No pre-release.
    None,
}

/// Development part: a development release comes before the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Dev {
    Dev(u64),
    None,
}

/// A part of a local version. Numbers follow texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum LocalPart {
    Text(String),
    Number(u64),
}

impl Version {
    /// Parses a version, in any of the spellings that PEP 440 allows. Returns `None` if it is not valid.
    pub(in crate::wheels) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > MAX_BYTES || !text.is_ascii() {
            return None;
        }
        let lower = text.to_ascii_lowercase();
        let mut rest = Rest(lower.strip_prefix('v').unwrap_or(&lower));
        let mut key = Key {
            epoch: 0,
            release: vec![rest.number()?],
            pre: Pre::None,
            post: None,
            dev: Dev::None,
            local: None,
        };
        if rest.take("!") {
            key.epoch = key.release.pop()?;
            key.release.push(rest.number()?);
        }
        while rest.digit_follows_dot() {
            rest.take(".");
            key.release.push(rest.number()?);
        }
        while key.release.len() > 1 && key.release.last() == Some(&0) {
            key.release.pop();
        }
        if let Some(word) = rest.word(&["alpha", "beta", "preview", "pre", "rc", "a", "b", "c"]) {
            let number = rest.suffix_number()?;
            key.pre = match word {
                "alpha" | "a" => Pre::Alpha(number),
                "beta" | "b" => Pre::Beta(number),
                _ => Pre::Candidate(number),
            };
        }
        let implicit = rest.0.strip_prefix('-');
        if let Some(after) = implicit.filter(|a| a.starts_with(|c: char| c.is_ascii_digit())) {
            rest.0 = after;
            key.post = Some(rest.number()?);
        } else if rest.word(&["post", "rev", "r"]).is_some() {
            key.post = Some(rest.suffix_number()?);
        }
        if rest.word(&["dev"]).is_some() {
            key.dev = Dev::Dev(rest.suffix_number()?);
            if key.pre == Pre::None && key.post.is_none() {
                key.pre = Pre::DevOnly;
            }
        }
        if rest.take("+") {
            let parts = rest.0.split(['.', '-', '_']).map(local_part);
            key.local = Some(parts.collect::<Option<_>>()?);
            rest.0 = "";
        }
        rest.0.is_empty().then(|| Self {
            text: text.to_owned(),
            key,
        })
    }

    /// Returns true if this is an alpha, beta, candidate or development release.
    pub(in crate::wheels) fn is_prerelease(&self) -> bool {
        self.key.pre != Pre::None || self.key.dev != Dev::None
    }

    /// Returns true if both have the same epoch and release number.
    pub(super) fn has_release_of(&self, other: &Self) -> bool {
        (self.key.epoch, &self.key.release) == (other.key.epoch, &other.key.release)
    }

    /// Returns the key without the local part.
    pub(super) fn public(&self) -> Key {
        Key {
            local: None,
            ..self.key.clone()
        }
    }
}

fn local_part(text: &str) -> Option<LocalPart> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    match text.chars().all(|c| c.is_ascii_digit()) {
        true => text.parse().ok().map(LocalPart::Number),
        false => Some(LocalPart::Text(text.to_owned())),
    }
}

/// The part of a version that was not parsed yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, text: &str) -> bool {
        let after = self.0.strip_prefix(text);
        self.0 = after.unwrap_or(self.0);
        after.is_some()
    }

    fn number(&mut self) -> Option<u64> {
        let end = self.0.find(|c: char| !c.is_ascii_digit());
        let (digits, after) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = after;
        digits.parse().ok()
    }

    fn digit_follows_dot(&self) -> bool {
        let mut chars = self.0.chars();
        chars.next() == Some('.') && chars.next().is_some_and(|c| c.is_ascii_digit())
    }

    /// Takes one of `words`, after an optional separator.
    fn word<'w>(&mut self, words: &[&'w str]) -> Option<&'w str> {
        let bare = self.0.strip_prefix(['.', '-', '_']).unwrap_or(self.0);
        let word = words.iter().find(|word| bare.starts_with(**word))?;
        self.0 = &bare[word.len()..];
        Some(word)
    }

    /// Takes the number after a word, which may follow a separator. Without one it is 0. Returns `None` if the number
    /// is too large.
    fn suffix_number(&mut self) -> Option<u64> {
        self.0 = self.0.strip_prefix(['.', '-', '_']).unwrap_or(self.0);
        match self.0.starts_with(|c: char| c.is_ascii_digit()) {
            true => self.number(),
            false => Some(0),
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
