//! Selects versions of the requested packages and of their dependencies.
//!
//! The resolver walks the dependencies itself, from the metadata of wheels. It asks an [`Index`] for the newest wheel
//! of each open package that every dependent package accepts, and repeats that until nothing is open.
//!
//! A conflict is a package of which no version fits: there is no pure wheel of it, the dependent packages disagree, or
//! the pack has an older version. Then a dependent package steps back to its newest older version without the conflict.
//! That version is found by bisection, because a dependency is usually added once and stays: 100 versions are nine
//! fetches and not 100. If no older version helps, the conflict moves up to the packages that depend on that one.
//! Versions that were given up stay excluded, so the search can miss a solution, but it ends.
//!
//! A wheel that cannot be used, as with metadata that is not valid, is excluded, so that an older version is selected.
//!
//! A dependent package that asks for an older version than that of the pack gets the pack's version, with a note:
//! upper limits are mostly guesses, and older versions of that package have none only because they are older.

mod conflict;
mod index;
mod needs;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::Requirement;
use super::builtin::BuiltinPackages;
use super::limits::MAX_UNUSABLE;
use super::metadata::Metadata;
use super::syntax::{Dependency, Environment, Source, Specifiers, Version};
use crate::PackError;
use crate::pip::ClientError;

pub(super) use index::{Fetched, Index, Unmet, Wanted};
use needs::{Need, Needs, add};

/// The result of a resolution.
#[derive(Debug, Default)]
pub(super) struct Resolution {
    /// The selected packages, without those of the pack, sorted by name.
    pub(super) packages: Vec<Metadata>,
    /// What the user should know about the selection.
    pub(super) notes: Vec<String>,
}

/// A selected wheel.
struct Candidate {
    metadata: Metadata,
    version: Version,
    dependencies: Vec<Dependency>,
}

pub(super) struct Resolver<'a> {
    index: &'a mut dyn Index,
    builtin: &'a BuiltinPackages<'a>,
    environment: Environment,
    requirements: &'a [Requirement],
    selected: BTreeMap<String, Rc<Candidate>>,
    /// Versions that were given up, as clauses that exclude them.
    excluded: BTreeMap<String, Specifiers>,
    /// Why a package is not used in its newest version.
    stepped_back: BTreeMap<String, String>,
    pure: BTreeMap<String, Vec<Version>>,
    /// Number of conflicts so far.
    conflicts: usize,
    /// The error of the first wheel of a package that cannot be used.
    unusable: BTreeMap<String, ClientError>,
    /// Number of wheels so far that cannot be used.
    skipped: usize,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        index: &'a mut dyn Index,
        builtin: &'a BuiltinPackages<'a>,
        requirements: &'a [Requirement],
    ) -> Self {
        Self {
            index,
            environment: builtin.environment(),
            builtin,
            requirements,
            selected: BTreeMap::new(),
            excluded: BTreeMap::new(),
            stepped_back: BTreeMap::new(),
            pure: BTreeMap::new(),
            conflicts: 0,
            unusable: BTreeMap::new(),
            skipped: 0,
        }
    }

    /// Resolves the requirements. The index bounds the number of its calls, and with it the search.
    pub(super) fn resolve(mut self) -> Result<Resolution, ClientError> {
        loop {
            let needs = self.walk()?;
            self.selected.retain(|name, _| needs.all.contains_key(name));
            // Conflicts with the pack are found without a fetch.
            let unmet = needs.order.iter().find(|name| {
                let need = &needs.all[*name];
                (self.builtin.parsed_version(name)).is_some_and(|own| !accepts_builtin(need, &own))
            });
            if let Some(name) = unmet {
                self.settle(name, &needs)?;
                continue;
            }
            let open: Vec<_> = (needs.order.iter())
                .filter(|name| self.builtin.version(name).is_none())
                .filter_map(|name| {
                    let mut versions = needs.all[name].versions();
                    versions.extend(self.excluded.get(name).unwrap_or(&Specifiers::default()));
                    let chosen = self.selected.get(name);
                    let fits = chosen.is_some_and(|c| versions.contains(&c.version));
                    let name = name.clone();
                    (!fits).then_some(Wanted { name, versions })
                })
                .collect();
            if open.is_empty() {
                return Ok(self.finish(&needs));
            }
            match self.index.fetch(&open)? {
                Fetched::All(all) => {
                    for (metadata, wanted) in all.into_iter().zip(&open) {
                        let version = Version::parse(&metadata.version);
                        match (self.candidate(metadata), version) {
                            (Ok(candidate), _) => {
                                self.selected
                                    .insert(wanted.name.clone(), Rc::new(candidate));
                            }
                            (Err(error), Some(version)) => {
                                self.skip(&wanted.name, &version, error.into())?;
                            }
                            (Err(error), None) => return Err(error.into()),
                        }
                    }
                }
                Fetched::Unusable {
                    name,
                    version,
                    error,
                } => self.skip(&name, &version, error)?,
                Fetched::NoMatch { name, versions } => {
                    if let Some(error) = self.unusable.remove(&name) {
                        return Err(error);
                    }
                    self.pure.insert(name.clone(), newest_first(versions));
                    self.settle(&name, &needs)?;
                }
            }
        }
    }

    /// Excludes a version whose wheel cannot be used. The error is that of the package if no other version fits.
    fn skip(
        &mut self,
        name: &str,
        version: &Version,
        error: ClientError,
    ) -> Result<(), ClientError> {
        self.skipped += 1;
        if self.skipped > MAX_UNUSABLE {
            return Err(error);
        }
        let excluded = self.excluded.entry(name.to_owned()).or_default();
        excluded.extend(&clause("!=", version)?);
        let why = format!("the wheel of version {version} cannot be used");
        self.stepped_back.insert(name.to_owned(), why);
        self.unusable.entry(name.to_owned()).or_insert(error);
        Ok(())
    }

    /// Returns the needed packages, as far as they are known from the selected ones.
    fn walk(&self) -> Result<Needs, PackError> {
        let mut needs = Needs::default();
        let mut open = VecDeque::new();
        for requirement in self.requirements {
            let versions = requirement.specifiers()?;
            add(
                &mut needs,
                &mut open,
                requirement.name(),
                requirement.extras(),
                None,
                versions,
            )?;
        }
        while let Some(name) = open.pop_front() {
            let Some(candidate) = self.selected.get(&name) else {
                continue;
            };
            let extras = needs.all[&name].extras.clone();
            for dependency in &candidate.dependencies {
                if !dependency.applies(&self.environment, &extras) {
                    continue;
                }
                match &dependency.source {
                    Source::Index(versions) => add(
                        &mut needs,
                        &mut open,
                        &dependency.name,
                        dependency.extras.iter(),
                        Some(name.clone()),
                        versions.clone(),
                    )?,
                    Source::Address(address) => {
                        let mut chain = self.chain(&name, &needs);
                        chain.push(dependency.name.clone());
                        return Err(PackError::DirectReference {
                            name: dependency.name.clone(),
                            address: shortened(address),
                            chain,
                        });
                    }
                }
            }
        }
        Ok(needs)
    }

    fn pure_versions(&mut self, name: &str) -> Result<&[Version], ClientError> {
        if !self.pure.contains_key(name) {
            let versions = self.index.versions(name)?;
            self.pure.insert(name.to_owned(), newest_first(versions));
        }
        Ok(self.pure.get(name).map_or(&[], Vec::as_slice))
    }

    fn candidate(&self, metadata: Metadata) -> Result<Candidate, PackError> {
        let bad = |problem: String| PackError::BadWheel {
            wheel: format!("{} {}", metadata.name, metadata.version),
            problem,
        };
        let version = Version::parse(&metadata.version)
            .ok_or_else(|| bad("its version is not valid".to_owned()))?;
        let dependencies = metadata.requires.iter().map(|text| {
            Dependency::parse(text, &self.environment).map_err(|e| {
                bad(format!(
                    "its dependency `{}` is not valid: {e}",
                    shortened(text)
                ))
            })
        });
        let dependencies = dependencies.collect::<Result<_, _>>()?;
        Ok(Candidate {
            metadata,
            version,
            dependencies,
        })
    }

    /// Returns the packages that need `name`, from a requested one down to `name`.
    fn chain(&self, name: &str, needs: &Needs) -> Vec<String> {
        let mut chain = vec![name.to_owned()];
        let mut current = name;
        while let Some(need) = needs.all.get(current) {
            let parent = need.reasons.iter().find_map(|(by, _)| by.as_deref());
            let requested = need.reasons.iter().any(|(by, _)| by.is_none());
            match parent {
                Some(parent) if !requested && !chain.iter().any(|c| c == parent) => {
                    chain.push(parent.to_owned());
                    current = parent;
                }
                _ => break,
            }
        }
        chain.reverse();
        chain
    }

    fn unmet(&mut self, name: &str, needs: &Needs) -> Result<Unmet, ClientError> {
        let pure = match self.builtin.version(name) {
            Some(_) => Vec::new(),
            None => self.pure_versions(name)?.to_vec(),
        };
        Ok(Unmet {
            name: name.to_owned(),
            versions: needs.all[name].versions(),
            chain: self.chain(name, needs),
            pure,
        })
    }

    fn error(&mut self, unmet: Unmet, needs: &Needs) -> Result<PackError, ClientError> {
        let reasons = &needs.all[&unmet.name].reasons;
        let builtin = self.builtin.version(&unmet.name);
        // One dependent package that asks for a version without a wheel is no conflict.
        if builtin.is_none() && (unmet.pure.is_empty() || reasons.len() == 1) {
            return self.index.explain(&unmet);
        }
        let mut report: Vec<_> = reasons
            .iter()
            .map(|(by, versions)| {
                let by = match by {
                    Some(by) => match self.selected.get(by) {
                        Some(candidate) => format!("{by} {}", candidate.version),
                        None => by.clone(),
                    },
                    None => "you".to_owned(),
                };
                format!("{by} needs {}{versions}", unmet.name)
            })
            .collect();
        if let Some(version) = builtin {
            report.push(format!("the pack has {} {version}", unmet.name));
        }
        Ok(PackError::PackagesConflict {
            wanted: super::requested::list(self.requirements),
            report,
        })
    }

    /// Returns the reason why `name` cannot be used, as the end of a sentence.
    fn why_not(&self, name: &str, others: &Specifiers) -> String {
        match (self.builtin.version(name), self.pure.get(name)) {
            (Some(version), _) => format!(" in another version than the pack's {version}"),
            (None, Some(versions)) if versions.is_empty() => {
                ", which has no pure-Python wheel".to_owned()
            }
            _ if others.is_empty() => " in a version without a usable wheel".to_owned(),
            _ => format!(" in a version other than {others}"),
        }
    }

    fn finish(self, needs: &Needs) -> Resolution {
        let mut notes: Vec<_> = (self.selected.iter())
            .filter_map(|(name, candidate)| {
                let why = self.stepped_back.get(name)?;
                Some(format!(
                    "{name} {} is used, because {why}",
                    candidate.version
                ))
            })
            .collect();
        for (name, need) in &needs.all {
            let Some(own) = self.builtin.parsed_version(name) else {
                continue;
            };
            for (by, versions) in need.reasons.iter().filter(|(_, v)| !v.contains(&own)) {
                let by = by.as_deref().unwrap_or("you");
                notes.push(format!(
                    "{by} asks for {name}{versions}, and gets the pack's {name} {own}"
                ));
            }
        }
        let selected = self.selected.into_values();
        Resolution {
            packages: selected.map(|c| c.metadata.clone()).collect(),
            notes,
        }
    }
}

/// Returns true if the pack's version `own` can be used where `versions` are accepted: it matches, or it is newer.
fn accepts(versions: &Specifiers, own: &Version) -> bool {
    versions.contains(own) || versions.is_exceeded_by(own)
}

fn accepts_builtin(need: &Need, own: &Version) -> bool {
    need.reasons.iter().all(|(by, versions)| match by {
        Some(_) => accepts(versions, own),
        // The user is taken at their word.
        None => versions.contains(own),
    })
}

fn clause(operator: &str, version: &Version) -> Result<Specifiers, PackError> {
    Specifiers::parse(&format!("{operator}{version}")).map_err(|problem| {
        PackError::BadRequirement {
            text: version.to_string(),
            problem,
        }
    })
}

fn newest_first(mut versions: Vec<Version>) -> Vec<Version> {
    versions.sort_by(|a, b| b.cmp(a));
    versions.dedup();
    versions
}

/// Returns the start of a text from a wheel, without control characters.
fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
