//! Requirements: a package's name, extras and version specifiers. This file is a security boundary.
//!
//! The grammar is that of PEP 508 without URLs and markers. Any other text is rejected, because a
//! requirement becomes an argument of a package client, which would accept options, paths and URLs.

use std::fmt;
use std::str::FromStr;

use super::syntax::Specifiers;
use crate::PackError;

/// Maximum length of a requirement, in bytes.
const MAX_REQUIREMENT_BYTES: usize = 256;
/// Operators of version specifiers. An operator comes before its own prefixes.
const OPERATORS: [&str; 8] = ["===", "==", "!=", "<=", ">=", "~=", "<", ">"];

/// A package to add: `NAME`, `NAME==VERSION`, `NAME[EXTRA]==VERSION`, or a name with other specifiers, separated by
/// commas, with or without parentheses around them. Names and extras are normalised (PEP 503).
///
/// ```
/// use codeact_pack::Requirement;
///
/// let requirement: Requirement = "Httpx[HTTP2]==0.28.1".parse()?;
/// assert_eq!(requirement.to_string(), "httpx[http2]==0.28.1");
/// assert_eq!(requirement.pin(), Some("0.28.1"));
/// assert!("./local/path".parse::<Requirement>().is_err());
/// # Ok::<(), codeact_pack::PackError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    name: String,
    extras: Vec<String>,
    /// Operators and versions, sorted.
    clauses: Vec<(&'static str, String)>,
}

impl Requirement {
    /// Returns the normalised name: lowercase, with single hyphens.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the version, if the requirement is pinned with `==`.
    pub fn pin(&self) -> Option<&str> {
        match self.clauses.as_slice() {
            [("==", version)] if !version.contains('*') => Some(version),
            _ => None,
        }
    }

    /// Returns this requirement with another name, which is normalised.
    pub(super) fn renamed(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// Returns the normalised extras.
    pub(super) fn extras(&self) -> &[String] {
        &self.extras
    }

    /// Returns the version specifiers.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadRequirement`] if a version is not valid.
    pub(super) fn specifiers(&self) -> Result<Specifiers, PackError> {
        let clauses: Vec<_> = self
            .clauses
            .iter()
            .map(|(o, v)| format!("{o}{v}"))
            .collect();
        Specifiers::parse(&clauses.join(",")).map_err(|problem| PackError::BadRequirement {
            text: self.to_string(),
            problem,
        })
    }

    /// Returns true if the requirement has no version specifiers.
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

    /// Parses a requirement.
    ///
    /// # Errors
    ///
    /// Returns [`PackError::BadRequirement`] with a description of the fault.
    fn from_str(text: &str) -> Result<Self, PackError> {
        parse(text).map_err(|problem| PackError::BadRequirement {
            text: text.chars().filter(|c| !c.is_control()).take(80).collect(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Requirement, String> {
    let err = |problem: &str| Err(problem.to_owned());
    if text.len() > MAX_REQUIREMENT_BYTES {
        return Err(format!("it is longer than {MAX_REQUIREMENT_BYTES} bytes"));
    }
    if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic() && *c != ' ') {
        return Err(format!("it contains the forbidden character {c:?}"));
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
    if let Some(inside) = rest.strip_prefix('(') {
        let Some(inside) = inside.trim_end_matches(' ').strip_suffix(')') else {
            return err("`(` is not closed");
        };
        rest = inside.trim_matches(' ');
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
        return Err(format!(
            "`{text}` is not a version specifier such as ==1.2 or >=1.2"
        ));
    };
    let version = text[operator.len()..].trim_start_matches(' ');
    let (plain, any) = match version.strip_suffix(".*") {
        Some(plain) if matches!(operator, "==" | "!=") => (plain, true),
        _ => (version, false),
    };
    if !is_version(plain) {
        return Err(format!("`{version}` is not a valid version for {operator}"));
    }
    let version = plain.to_ascii_lowercase();
    Ok((operator, if any { version + ".*" } else { version }))
}

/// Returns true if `text` looks like a version (PEP 440).
pub(super) fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".+!".contains(c))
}

/// Returns true if a package's name may contain `c`.
pub(super) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.".contains(c)
}

/// Returns the normalised form of a package's name (PEP 503).
///
/// # Errors
///
/// Returns a description of the fault.
pub(super) fn normalised(name: &str) -> Result<String, String> {
    let edge = |c: char| c.is_ascii_alphanumeric();
    if !name.starts_with(edge) || !name.ends_with(edge) || !name.chars().all(is_name_char) {
        return Err(format!(
            "`{name}` is not a valid name of a package or extra"
        ));
    }
    let words = name.split(['-', '_', '.']).filter(|word| !word.is_empty());
    Ok(words.collect::<Vec<_>>().join("-").to_ascii_lowercase())
}
