//! Patterns of the files that a request wants back.
//!
//! Security boundary: patterns come from the client and names from the guest, so the work of comparing them is bounded.

use super::json_body::invalid;
use crate::error::ApiError;

/// The folder that patterns are relative to.
const HOME: &str = "/home/user/";
/// Limit of a pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 1024;
/// Limit of the comparisons of characters in one request.
const MAX_WORK: u64 = 50_000_000;

/// Patterns: `*` is any text without `/`, `**` any text, `?` one character other than `/`.
#[derive(Debug, Default)]
pub(super) struct Patterns(Vec<Vec<Token>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`.
    One,
    /// `*`.
    Name,
    /// `**`.
    Path,
}

/// The work of a comparison exceeds its limit.
#[derive(Debug)]
pub(super) struct TooMuchWork;

impl Patterns {
    /// Parses the patterns of `return_files`.
    pub(super) fn new(patterns: &[String]) -> Result<Self, ApiError> {
        let parse = |(i, pattern): (usize, &String)| {
            let field = || format!("return_files[{i}]");
            let relative = pattern.strip_prefix(HOME).unwrap_or(pattern);
            if relative.is_empty() || relative.len() > MAX_PATTERN_BYTES {
                let why = format!("expected 1 to {MAX_PATTERN_BYTES} bytes");
                return Err(invalid(&field(), why));
            }
            let leaves = relative.split('/').any(|name| name == "..");
            if relative.starts_with('/') || leaves {
                let why = "expected a path or pattern below /home/user; other files can be read with the operations on \
                           files of a session";
                return Err(invalid(&field(), why));
            }
            Ok(tokens(relative))
        };
        let parsed: Result<_, _> = patterns.iter().enumerate().map(parse).collect();
        parsed.map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if `path`, relative to the home folder, matches one of the patterns. `work` is what was done so far.
    pub(super) fn matches(&self, path: &str, work: &mut u64) -> Result<bool, TooMuchWork> {
        let path: Vec<char> = path.chars().collect();
        for pattern in &self.0 {
            if is_match(pattern, &path, work)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '?' => Token::One,
            '*' if chars.peek() == Some(&'*') => {
                chars.next();
                // `**/` also matches no folder at all.
                if chars.peek() == Some(&'/') {
                    chars.next();
                }
                Token::Path
            }
            '*' => Token::Name,
            c => Token::Char(c),
        });
    }
    tokens
}

/// Compares by the set of positions in the pattern that the path so far can have reached, so the time is the product of
/// the lengths.
fn is_match(pattern: &[Token], path: &[char], work: &mut u64) -> Result<bool, TooMuchWork> {
    let mut reached = vec![false; pattern.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    skip_empty(pattern, &mut reached);
    for c in path {
        *work += pattern.len() as u64 + 1;
        if *work > MAX_WORK {
            return Err(TooMuchWork);
        }
        let mut next = vec![false; pattern.len() + 1];
        for (i, token) in pattern.iter().enumerate() {
            if !reached[i] {
                continue;
            }
            match token {
                Token::Char(expected) => next[i + 1] |= c == expected,
                Token::One => next[i + 1] |= *c != '/',
                Token::Name => next[i] |= *c != '/',
                Token::Path => next[i] = true,
            }
        }
        skip_empty(pattern, &mut next);
        reached = next;
    }
    Ok(reached.last().copied().unwrap_or(false))
}

/// Adds the positions behind `*` and `**`, which match an empty text.
fn skip_empty(pattern: &[Token], reached: &mut [bool]) {
    for (i, token) in pattern.iter().enumerate() {
        if reached[i] && matches!(token, Token::Name | Token::Path) {
            reached[i + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let patterns = Patterns::new(&[pattern.to_owned()]).unwrap();
        patterns.matches(path, &mut 0).unwrap()
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, path) in [
            ("a.csv", "a.csv"),
            ("/home/user/a.csv", "a.csv"),
            ("*.csv", "a.csv"),
            ("out/*.csv", "out/.csv"),
            ("**/*.csv", "a.csv"),
            ("**/*.csv", "x/y/a.csv"),
            ("**", "x/y/a.csv"),
            ("a?c", "abc"),
            ("é*", "éa"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("*.csv", "x/a.csv"),
            ("a?c", "a/c"),
            ("a", "ab"),
            ("ab", "a"),
            ("[a]", "a"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn patterns_outside_of_the_home_folder_are_refused() {
        for pattern in ["", "/etc/passwd", "../x", "a/../../x", &"x".repeat(1025)] {
            assert!(Patterns::new(&[pattern.to_owned()]).is_err(), "{pattern}");
        }
    }

    #[test]
    fn the_work_of_hostile_patterns_is_bounded() {
        let patterns = Patterns::new(&["*a".repeat(500)]).unwrap();
        let path = "a".repeat(4000);
        let mut work = 0;
        let refused = (0..100).any(|_| patterns.matches(&path, &mut work).is_err());
        assert!(refused && work < 2 * MAX_WORK);
    }
}
