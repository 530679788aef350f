//! Dependencies of a wheel: the values of `Requires-Dist` (PEP 508).

use std::collections::BTreeSet;

use super::marker::Marker;
use super::{Environment, Specifiers};
use crate::wheels::requirement::{is_name_char, normalised};

/// Maximum length of a dependency, in bytes.
const MAX_BYTES: usize = 8192;

/// A dependency of a wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wheels) struct Dependency {
    /// Normalised name of the package.
    pub(in crate::wheels) name: String,
    /// Normalised names of the requested extras.
    pub(in crate::wheels) extras: BTreeSet<String>,
    pub(in crate::wheels) source: Source,
    marker: Option<Marker>,
}

/// Where the package comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::wheels) enum Source {
    /// The index, in a version that matches.
    Index(Specifiers),
    /// A direct reference: an address, which is never fetched.
    Address(String),
}

impl Dependency {
    /// Parses a dependency.
    ///
    /// # Errors
    ///
    /// Returns a description of the fault.
    pub(in crate::wheels) fn parse(text: &str, environment: &Environment) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("it is longer than {MAX_BYTES} bytes"));
        }
        let text = text.trim();
        let end = text.find(|c| !is_name_char(c)).unwrap_or(text.len());
        let (name, rest) = text.split_at(end);
        let name = normalised(name)?;
        let mut rest = rest.trim_start();
        let mut extras = BTreeSet::new();
        if let Some(inside) = rest.strip_prefix('[') {
            let (inside, after) = inside.split_once(']').ok_or("`[` is not closed")?;
            let parts = inside.split(',').map(str::trim).filter(|e| !e.is_empty());
            extras = parts.map(normalised).collect::<Result<_, _>>()?;
            rest = after.trim_start();
        }
        let (source, marker) = if let Some(address) = rest.strip_prefix('@') {
            // An address can contain `;`, so a marker follows after a space.
            let address = address.trim_start();
            let (address, after) = match address.split_once(char::is_whitespace) {
                Some((address, after)) => (address, after.trim_start()),
                None => (address, ""),
            };
            let marker = match after.strip_prefix(';') {
                None if !after.is_empty() => return Err(format!("`{after}` follows the address")),
                marker => marker,
            };
            (Source::Address(address.to_owned()), marker)
        } else {
            let (versions, marker) = match rest.split_once(';') {
                Some((versions, marker)) => (versions.trim(), Some(marker)),
                None => (rest.trim(), None),
            };
            let inside = versions.strip_prefix('(').and_then(|v| v.strip_suffix(')'));
            let versions = Specifiers::parse(inside.unwrap_or(versions))?;
            (Source::Index(versions), marker)
        };
        let marker = marker.map(|text| Marker::parse(text, environment));
        Ok(Self {
            name,
            extras,
            source,
            marker: marker.transpose()?,
        })
    }

    /// Returns true if the dependency applies in `environment` when `extras` of the dependent package were requested.
    pub(in crate::wheels) fn applies(
        &self,
        environment: &Environment,
        extras: &BTreeSet<String>,
    ) -> bool {
        let marker = self.marker.as_ref();
        marker.is_none_or(|marker| marker.holds(environment, extras))
    }
}
