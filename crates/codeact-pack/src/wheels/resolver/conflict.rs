//! Settles conflicts: finds older versions of the packages that need the conflicting one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::index::{Fetched, Wanted};
use super::needs::Needs;
use super::{Candidate, Resolver, accepts, clause};
use crate::PackError;
use crate::pip::ClientError;
use crate::wheels::limits::MAX_CONFLICTS;
use crate::wheels::syntax::{Source, Specifiers, Version};

/// Versions of packages that would have to be excluded, as clauses.
type GivenUp = BTreeMap<String, Specifiers>;

/// An older version of a package, with respect to one conflict.
enum Trial {
    Good(Box<Candidate>),
    Conflict,
    /// Its metadata is not valid.
    Unusable,
}

/// A package that depends on another one of which no version fits.
struct Conflict<'a> {
    dependent: &'a str,
    /// The extras of it that are needed.
    extras: &'a BTreeSet<String>,
    /// The package of which no version fits.
    name: &'a str,
    /// What the other dependent packages accept, without the versions that were given up.
    others: Specifiers,
}

impl Resolver<'_> {
    /// Settles a conflict: excludes versions of the packages that need `name`.
    pub(super) fn settle(&mut self, name: &str, needs: &Needs) -> Result<(), ClientError> {
        let unmet = self.unmet(name, needs)?;
        self.conflicts += 1;
        let requested = unmet.chain.first();
        let requested = self
            .requirements
            .iter()
            .find(|r| Some(r.name()) == requested.map(String::as_str));
        if let Some(requested) = requested.filter(|r| self.builtin.is_known_compiled(r.name())) {
            // The last version of such a package without compiled code is too old to be what the user means.
            let error = match self.error(unmet, needs)? {
                error @ PackError::NeedsCompiledCode { .. } => error,
                // Other reasons that the newest version fails for do not matter either.
                _ if requested.is_bare() => self
                    .builtin
                    .needs_compiled_code(&[requested.name().to_owned()]),
                error => error,
            };
            return Err(error.into());
        }
        if self.conflicts > MAX_CONFLICTS {
            return Err(self.error(unmet, needs)?.into());
        }
        let mut visited = BTreeSet::from([name.to_owned()]);
        // Each package with those that were given up on the way to it.
        let mut open = VecDeque::from([(name.to_owned(), GivenUp::new())]);
        while let Some((name, given_up)) = open.pop_front() {
            let reasons = needs.all.get(&name).map_or(&[][..], |need| &need.reasons);
            // The package that was found last depends on the fewest other decisions.
            for dependent in reasons.iter().rev().filter_map(|(by, _)| by.as_deref()) {
                match self.step_back(dependent, &name, needs, &given_up)? {
                    None => {
                        for (name, versions) in given_up {
                            self.excluded.entry(name).or_default().extend(&versions);
                        }
                        return Ok(());
                    }
                    Some(versions) if visited.insert(dependent.to_owned()) => {
                        let mut given_up = given_up.clone();
                        given_up.insert(dependent.to_owned(), versions);
                        open.push_back((dependent.to_owned(), given_up));
                    }
                    Some(_) => {}
                }
            }
        }
        Err(self.error(unmet, needs)?.into())
    }

    /// Selects the newest older version of `dependent` that has no conflict about `name`. If there is none, returns the
    /// versions that would have to be excluded, as clauses.
    fn step_back(
        &mut self,
        dependent: &str,
        name: &str,
        needs: &Needs,
        given_up: &GivenUp,
    ) -> Result<Option<Specifiers>, ClientError> {
        let (Some(current), Some(need)) = (self.selected.get(dependent), needs.all.get(dependent))
        else {
            return Ok(Some(Specifiers::default()));
        };
        let current = current.version.clone();
        let all = self.usable_older_versions(dependent, &current)?;
        let accepted = need.versions();
        let (older, rest): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|version| accepted.contains(version));
        // What the other dependent packages accept, without the versions that were given up.
        let mut others = match needs.all.get(name) {
            Some(need) => need.versions_without(dependent),
            None => Specifiers::default(),
        };
        let why = self.why_not(name, &others);
        let excluded = [self.excluded.get(name), given_up.get(name)];
        for versions in excluded.into_iter().flatten() {
            others.extend(versions);
        }
        let conflict = Conflict {
            dependent,
            extras: &need.extras,
            name,
            others,
        };
        if !older.is_empty() {
            let text = format!("looking for an older version of {dependent}, because of {name}");
            self.index.status(text);
        }
        let mut lowest_bad = current;
        if let Some(candidate) = self.newest_without(&conflict, &older, &mut lowest_bad)? {
            let excluded = self.excluded.entry(dependent.to_owned()).or_default();
            excluded.extend(&clause("<=", &candidate.version)?);
            let why = format!("newer versions need {name}{why}");
            self.stepped_back.insert(dependent.to_owned(), why);
            self.selected
                .insert(dependent.to_owned(), Rc::new(candidate));
            return Ok(None);
        }
        // The packages that need this one may accept an older version after they have stepped back themselves.
        if need.reasons.iter().any(|(by, _)| by.is_some()) {
            let rest: Vec<_> = rest.into_iter().filter(|v| *v < lowest_bad).collect();
            if let Some(candidate) = self.newest_without(&conflict, &rest, &mut lowest_bad)? {
                return Ok(Some(clause("<=", &candidate.version)?));
            }
        }
        Ok(Some(clause("<", &lowest_bad)?))
    }

    /// Returns the versions of `name` that are older than `current` and were not excluded, newest first. Pre-releases
    /// only count if there is nothing else.
    fn usable_older_versions(
        &mut self,
        name: &str,
        current: &Version,
    ) -> Result<Vec<Version>, ClientError> {
        let excluded = self.excluded.get(name).cloned().unwrap_or_default();
        let all = self.pure_versions(name)?.iter();
        let all = all.filter(|version| *version < current && excluded.contains(version));
        let all: Vec<_> = all.cloned().collect();
        let finals: Vec<_> = (all.iter().filter(|v| !v.is_prerelease()))
            .cloned()
            .collect();
        Ok(if finals.is_empty() { all } else { finals })
    }

    /// Returns the newest of `older` without the conflict. The versions are expected to be in three groups,
    /// from new to old: those with the conflict, those without it, and those that cannot be used at all.
    fn newest_without(
        &mut self,
        conflict: &Conflict<'_>,
        older: &[Version],
        lowest_bad: &mut Version,
    ) -> Result<Option<Candidate>, ClientError> {
        let mut best = None;
        let (mut low, mut high) = (0, older.len());
        // The next version is the likeliest one. The oldest one shows if there is any.
        let mut first = [0, older.len().saturating_sub(1)].into_iter();
        while low < high {
            let at = first.next().unwrap_or(low + (high - low) / 2);
            match self.try_version(conflict, &older[at])? {
                Trial::Good(candidate) => (high, best) = (at, Some(*candidate)),
                Trial::Unusable => high = at,
                Trial::Conflict => {
                    low = at + 1;
                    lowest_bad.clone_from(&older[at]);
                }
            }
        }
        Ok(best)
    }

    /// Fetches `version` of the dependent package and looks for the conflict.
    fn try_version(
        &mut self,
        conflict: &Conflict<'_>,
        version: &Version,
    ) -> Result<Trial, ClientError> {
        let wanted = Wanted {
            name: conflict.dependent.to_owned(),
            versions: clause("==", version)?,
        };
        let mut all = match self.index.fetch(&[wanted]) {
            Ok(Fetched::All(all)) => all,
            Ok(Fetched::NoMatch { .. } | Fetched::Unusable { .. }) => {
                return Ok(Trial::Unusable);
            }
            Err(ClientError::Final(e)) if matches!(*e, PackError::BadWheel { .. }) => {
                return Ok(Trial::Unusable);
            }
            Err(error) => return Err(error),
        };
        let Some(Ok(candidate)) = all.pop().map(|metadata| self.candidate(metadata)) else {
            return Ok(Trial::Unusable);
        };
        for dependency in &candidate.dependencies {
            if dependency.name != conflict.name
                || !dependency.applies(&self.environment, conflict.extras)
            {
                continue;
            }
            let fits = match (
                &dependency.source,
                self.builtin.parsed_version(conflict.name),
            ) {
                (Source::Address(_), _) => false,
                (Source::Index(versions), Some(own)) => accepts(versions, &own),
                (Source::Index(versions), None) => {
                    let mut all = versions.clone();
                    all.extend(&conflict.others);
                    self.pure_versions(conflict.name)?
                        .iter()
                        .any(|v| all.contains(v))
                }
            };
            if !fits {
                return Ok(Trial::Conflict);
            }
        }
        Ok(Trial::Good(Box::new(candidate)))
    }
}
