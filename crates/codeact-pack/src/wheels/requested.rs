//! The packages that were requested and are not part of the pack.

use super::Requirement;
use super::builtin::BuiltinPackages;

/// Requirements that the pack does not fulfil.
pub(super) struct RequestedPackages<'a> {
    /// The packages of the pack.
    pub(super) builtin: &'a BuiltinPackages<'a>,
    /// The requirements, sorted; not empty.
    pub(super) requirements: &'a [Requirement],
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
