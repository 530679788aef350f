//! The needed packages, and what they are needed for.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Specifiers;
use crate::PackError;
use crate::wheels::limits::MAX_PACKAGES;

/// What a package is needed for.
#[derive(Default)]
pub(super) struct Need {
    pub(super) extras: BTreeSet<String>,
    /// Dependent packages, `None` for the user, with the versions that they accept.
    pub(super) reasons: Vec<(Option<String>, Specifiers)>,
}

impl Need {
    pub(super) fn versions(&self) -> Specifiers {
        let mut all = Specifiers::default();
        for (_, versions) in &self.reasons {
            all.extend(versions);
        }
        all
    }

    /// Returns the versions that all dependent packages but `dependent` accept.
    pub(super) fn versions_without(&self, dependent: &str) -> Specifiers {
        let mut all = Specifiers::default();
        for (by, versions) in &self.reasons {
            if by.as_deref() != Some(dependent) {
                all.extend(versions);
            }
        }
        all
    }
}

/// Needed packages, with the order in which they were found.
#[derive(Default)]
pub(super) struct Needs {
    pub(super) all: BTreeMap<String, Need>,
    pub(super) order: Vec<String>,
}

/// Adds a need, and queues the package if its dependencies may have changed.
pub(super) fn add<'e>(
    needs: &mut Needs,
    open: &mut VecDeque<String>,
    name: &str,
    extras: impl IntoIterator<Item = &'e String>,
    by: Option<String>,
    versions: Specifiers,
) -> Result<(), PackError> {
    let is_new = !needs.all.contains_key(name);
    if is_new {
        if needs.order.len() == MAX_PACKAGES {
            return Err(PackError::TooManyPackages {
                limit: MAX_PACKAGES,
            });
        }
        needs.order.push(name.to_owned());
    }
    let need = needs.all.entry(name.to_owned()).or_default();
    let before = need.extras.len();
    need.extras.extend(extras.into_iter().cloned());
    let reason = (by, versions);
    if !need.reasons.contains(&reason) {
        need.reasons.push(reason);
    }
    if is_new || need.extras.len() > before {
        open.push_back(name.to_owned());
    }
    Ok(())
}
