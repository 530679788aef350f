//! What the user asks for: a name, extras, and which versions will do.
//!
//! The grammar is that of PEP 508 without URLs, markers and parentheses. Everything else is
//! refused here, since a requirement becomes an argument of a package client, which would take
//! options, paths and URLs for what they are.

use std::fmt;
use std::str::FromStr;

use super::super::PackError;

/// Longer ones are refused, in bytes.
const LONGEST: usize = 256;
/// Those that begin with others come first.
const OPERATORS: [&str; 7] = ["==", "!=", "<=", ">=", "~=", "<", ">"];

/// A package to add: `NAME`, `NAME==VERSION`, `NAME[EXTRA]==VERSION`, or with other specifiers,
/// comma-separated. Names and extras are normalised (PEP 503).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    name: String,
    extras: Vec<String>,
    /// Operator and version, sorted.
    clauses: Vec<(&'static str, String)>,
}

impl Requirement {
    /// The normalised name: lowercase, with single hyphens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The one version that will do, if it is pinned with `==`.
    pub fn pin(&self) -> Option<&str> {
        match self.clauses.as_slice() {
            [("==", version)] if !version.contains('*') => Some(version),
            _ => None,
        }
    }

    /// The same, pinned to `version`.
    pub(super) fn pinned(&self, version: &str) -> Self {
        Self {
            clauses: vec![("==", version.to_owned())],
            ..self.clone()
        }
    }

    /// Whether any version will do.
    pub(super) fn is_bare(&self) -> bool {
        self.clauses.is_empty()
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if !self.extras.is_empty() {
            write!(f, "[{}]", self.extras.join(","))?;
        }
        let clauses: Vec<_> = self
            .clauses
            .iter()
            .map(|(o, v)| format!("{o}{v}"))
            .collect();
        f.write_str(&clauses.join(","))
    }
}

impl FromStr for Requirement {
    type Err = PackError;

    /// # Errors
    ///
    /// [`PackError::BadRequirement`] with what is wrong.
    fn from_str(text: &str) -> Result<Self, PackError> {
        parse(text).map_err(|problem| PackError::BadRequirement {
            text: text.chars().filter(|c| !c.is_control()).take(80).collect(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Requirement, String> {
    let err = |problem: &str| Err(problem.to_owned());
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
        return Err(format!("it holds the forbidden character {c:?}"));
    }
    if text.starts_with('-') {
        return err("it looks like an option");
    }
    if text.contains('@') || text.contains("://") {
        return err("addresses are not allowed, only names on the package index");
    }
    if text.contains(['/', '\\']) || text.starts_with('.') {
        return err("paths are not allowed, only names on the package index");
    }
    if text.contains(';') {
        return err("environment markers are not allowed");
    }
    let end = |c: char| !is_name_char(c);
    let (name, rest) = text.split_at(text.find(end).unwrap_or(text.len()));
    let name = normalised(name)?;
    let mut rest = rest.trim_start_matches(' ');
    let mut extras = Vec::new();
    if let Some(inside) = rest.strip_prefix('[') {
        let Some((inside, after)) = inside.split_once(']') else {
            return err("`[` is not closed");
        };
        for extra in inside.split(',') {
            extras.push(normalised(extra.trim_matches(' '))?);
        }
        extras.sort();
        extras.dedup();
        rest = after.trim_start_matches(' ');
    }
    let mut clauses = Vec::new();
    if !rest.is_empty() {
        for one in rest.split(',') {
            clauses.push(clause(one.trim_matches(' '))?);
        }
        clauses.sort();
        clauses.dedup();
    }
    Ok(Requirement {
        name,
        extras,
        clauses,
    })
}

fn clause(text: &str) -> Result<(&'static str, String), String> {
    let Some(operator) = OPERATORS.into_iter().find(|o| text.starts_with(o)) else {
        return Err(format!("`{text}` is no specifier such as ==1.2 or >=1.2"));
    };
    let version = text[operator.len()..].trim_start_matches(' ');
    let (plain, any) = match version.strip_suffix(".*") {
        Some(plain) if matches!(operator, "==" | "!=") => (plain, true),
        _ => (version, false),
    };
    if !is_version(plain) {
        return Err(format!(
            "`{version}` is no version to be used with {operator}"
        ));
    }
    let version = plain.to_ascii_lowercase();
    Ok((operator, if any { version + ".*" } else { version }))
}

/// Whether `text` has the form of a version (PEP 440), roughly: pip knows it exactly.
pub(super) fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+!".contains(c))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// A package's name in the one form that all its spellings share (PEP 503).
///
/// # Errors
///
/// What is wrong with it.
pub(super) fn normalised(name: &str) -> Result<String, String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    if !name.starts_with(edge) || !name.ends_with(edge) || !name.chars().all(is_name_char) {
        return Err(format!("`{name}` is no name of a package or extra"));
    }
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    Ok(words.collect::<Vec<_>>().join("-").to_ascii_lowercase())
}

/// Whether two versions are the same but for zeros at the end of the numbers.
pub(super) fn same_version(one: &str, other: &str) -> bool {
    let bare = |version: &str| {
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let end = version.find(|c| !digits(c)).unwrap_or(version.len());
        let (mut numbers, rest) = version.split_at(end);
        // The dot before `post0` belongs to it.
        numbers = numbers.trim_end_matches('.');
        while let Some(shorter) = numbers.strip_suffix(".0") {
            numbers = shorter;
        }
        (numbers.to_owned(), rest.to_ascii_lowercase())
    };
    bare(one) == bare(other)
}
