//! Version specifiers (PEP 440).

use std::fmt;

use super::Version;

/// Maximum number of clauses of one list.
const MAX_CLAUSES: usize = 64;

/// Operators. An operator comes before its own prefixes.
const OPERATORS: [(&str, Operator); 8] = [
    ("===", Operator::Identical),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("~=", Operator::Compatible),
    ("<", Operator::Below),
    (">", Operator::Above),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Identical,
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
    Compatible,
    Below,
    Above,
}

/// One clause, such as `>=1.2` or `==1.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    operator: Operator,
    version: Version,
    /// Number of release parts that must be equal, for `==1.2.*`, `!=1.2.*` and `~=1.2.3`.
    prefix: Option<usize>,
    text: String,
}

/// A list of clauses, all of which a version must match. The empty list matches every version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::wheels) struct Specifiers(Vec<Clause>);

impl Specifiers {
    /// Parses a list such as `>=1.2, <2`.
    ///
    /// # Errors
    ///
    /// Returns a description of the fault.
    pub(in crate::wheels) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split(',').map(str::trim).filter(|p| !p.is_empty());
        let clauses: Vec<_> = parts.map(Clause::parse).collect::<Result<_, _>>()?;
        match clauses.len() {
            0..=MAX_CLAUSES => Ok(Self(clauses)),
            count => Err(format!("it has {count} version specifiers")),
        }
    }

    /// Returns true if `version` matches all clauses. Pre-releases match like other versions.
    pub(in crate::wheels) fn contains(&self, version: &Version) -> bool {
        self.0.iter().all(|clause| clause.contains(version))
    }

    /// Returns true if `version` does not match, only because it is newer than the clauses allow.
    pub(in crate::wheels) fn is_exceeded_by(&self, version: &Version) -> bool {
        let mut failed = self.0.iter().filter(|c| !c.contains(version)).peekable();
        failed.peek().is_some() && failed.all(|clause| clause.is_exceeded_by(version))
    }

    /// Adds the clauses of `other` that are not contained yet.
    pub(in crate::wheels) fn extend(&mut self, other: &Self) {
        for clause in &other.0 {
            if !self.0.contains(clause) {
                self.0.push(clause.clone());
            }
        }
    }

    /// Returns true if there are no clauses.
    pub(in crate::wheels) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Clause {
    fn parse(text: &str) -> Result<Self, String> {
        let fault = || format!("`{text}` is not a version specifier");
        let (sign, operator) = (OPERATORS.into_iter())
            .find(|(sign, _)| text.starts_with(sign))
            .ok_or_else(fault)?;
        let written = text[sign.len()..].trim();
        let (plain, any) = match written.strip_suffix(".*") {
            Some(plain) if matches!(operator, Operator::Equal | Operator::NotEqual) => {
                (plain, true)
            }
            _ => (written, false),
        };
        let version = Version::parse(plain).ok_or_else(fault)?;
        let exact = matches!(
            operator,
            Operator::Identical | Operator::Equal | Operator::NotEqual
        );
        if version.key.local.is_some() && (any || !exact) {
            return Err(fault());
        }
        // Trailing zeros count for a prefix, so the parts are counted in the text.
        let digits = |c: char| c.is_ascii_digit() || c == '.';
        let release = plain.trim_start_matches(['v', 'V']);
        let release = release.split_once('!').map_or(release, |(_, r)| r);
        let end = release.find(|c| !digits(c)).unwrap_or(release.len());
        let parts = release[..end].split('.').filter(|p| !p.is_empty()).count();
        let prefix = match (operator, any) {
            (Operator::Compatible, _) if parts < 2 => return Err(fault()),
            (Operator::Compatible, _) => Some(parts - 1),
            (_, true) => Some(parts),
            (_, false) => None,
        };
        Ok(Self {
            operator,
            version,
            prefix,
            text: format!("{sign}{written}"),
        })
    }

    fn contains(&self, version: &Version) -> bool {
        let own = &self.version;
        match self.operator {
            Operator::Identical => version.to_string().eq_ignore_ascii_case(&own.to_string()),
            Operator::Equal => self.equals(version),
            Operator::NotEqual => !self.equals(version),
            Operator::AtMost => version.public() <= own.public(),
            Operator::AtLeast => version.public() >= own.public(),
            Operator::Compatible => version.public() >= own.public() && self.has_prefix(version),
            Operator::Below => {
                let pre = version.is_prerelease() && !own.is_prerelease();
                version < own && !(pre && version.has_release_of(own))
            }
            Operator::Above => {
                let post = version.key.post.is_some() && own.key.post.is_none();
                let local = version.key.local.is_some();
                version > own && !((post || local) && version.has_release_of(own))
            }
        }
    }

    fn equals(&self, version: &Version) -> bool {
        match (self.prefix, &self.version.key.local) {
            (Some(_), _) => self.has_prefix(version),
            (None, Some(_)) => *version == self.version,
            (None, None) => version.public() == self.version.key,
        }
    }

    fn has_prefix(&self, version: &Version) -> bool {
        let part = |v: &Version, i: usize| v.key.release.get(i).copied().unwrap_or(0);
        version.key.epoch == self.version.key.epoch
            && (0..self.prefix.unwrap_or(0)).all(|i| part(version, i) == part(&self.version, i))
    }

    fn is_exceeded_by(&self, version: &Version) -> bool {
        let upper = !matches!(
            self.operator,
            Operator::NotEqual | Operator::AtLeast | Operator::Above
        );
        upper && *version >= self.version
    }
}

impl fmt::Display for Specifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clauses: Vec<_> = self.0.iter().map(|clause| clause.text.as_str()).collect();
        f.write_str(&clauses.join(","))
    }
}
