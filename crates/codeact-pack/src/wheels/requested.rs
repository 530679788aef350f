//! The packages that were requested and are not part of the pack.

use std::collections::BTreeSet;

use super::Requirement;
use super::builtin::BuiltinPackages;
use super::pip_output::ResolvedPackage;
use crate::PackError;

/// Requirements that the pack does not fulfil.
pub(super) struct RequestedPackages<'a> {
    /// The packages of the pack.
    pub(super) builtin: &'a BuiltinPackages<'a>,
    /// The requirements, sorted; not empty.
    pub(super) requirements: &'a [Requirement],
}

impl RequestedPackages<'_> {
    /// Returns the first requested package that depends on the package `name` in `resolved`, or `None` if `name` was
    /// requested itself.
    fn root(&self, name: &str, resolved: &[ResolvedPackage]) -> Option<&str> {
        let mut names = self.requirements.iter().map(Requirement::name);
        if names.clone().any(|requested| requested == name) {
            return None;
        }
        let only = names.clone().next().filter(|_| names.len() == 1);
        let depends = |root: &&str| {
            let mut seen = BTreeSet::from([*root]);
            let mut open = vec![*root];
            while let Some(next) = open.pop() {
                let package = resolved.iter().find(|p| p.name == next);
                for dependency in package.into_iter().flat_map(|p| &p.dependencies) {
                    if seen.insert(dependency) {
                        open.push(dependency);
                    }
                }
            }
            seen.contains(name)
        };
        names.find(depends).or(only)
    }

    /// Returns the error for the package `name`, a requested package or a dependency of one in `resolved`.
    pub(super) fn needs_compiled_code(
        &self,
        name: &str,
        resolved: &[ResolvedPackage],
    ) -> PackError {
        self.builtin
            .needs_compiled_code(name, self.root(name, resolved))
    }
}

impl std::fmt::Display for RequestedPackages<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&list(self.requirements))
    }
}

/// Returns `requirements` as a list for error texts.
pub(super) fn list(requirements: &[Requirement]) -> String {
    let texts: Vec<_> = requirements.iter().map(ToString::to_string).collect();
    texts.join(" ")
}
