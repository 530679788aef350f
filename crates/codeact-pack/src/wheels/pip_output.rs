//! Parser of pip's output: requirements without a match, and lists of versions.
//!
//! pip has one exit status for all failures, so its messages are parsed. An unknown message gives no result, and the
//! user sees it unchanged.

use super::requirement::{is_name_char, normalised};
use crate::pip::ClientOutput;

/// A requirement without a matching wheel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoMatch {
    /// Normalised name of the package.
    pub(super) name: String,
    /// Versions that have a wheel for the requested Python and platform.
    pub(super) versions: Vec<String>,
}

/// Returns the requirement without a matching wheel from pip's output. After a network error pip prints the same
/// message as for a missing package, so such an output gives `None`.
pub(super) fn no_match(output: &ClientOutput) -> Option<NoMatch> {
    let lines = || output.stderr.iter().chain(&output.stdout);
    let network_errors = [
        "Retrying (Retry(",
        "Could not fetch URL",
        "Credentials not correct",
    ];
    if lines().any(|line| network_errors.iter().any(|error| line.contains(error))) {
        return None;
    }
    let mut found = lines().filter_map(|l| l.split_once("No matching distribution found for "));
    let (_, requirement) = found.next()?;
    Some(NoMatch {
        name: normalised(leading_name(requirement.trim())).ok()?,
        versions: lines()
            .find_map(|line| wheel_versions(line))
            .unwrap_or_default(),
    })
}

/// Returns true if pip failed because of the content of a wheel, with an error or with a traceback.
pub(super) fn is_about_a_wheel(output: &ClientOutput) -> bool {
    const SIGNS: [&str; 6] = [
        ".dist-info",
        "Invalid metadata",
        "Traceback (most recent call last)",
        "inconsistent",
        "invalid metadata",
        "invalid wheel",
    ];
    let mut lines = output.stderr.iter().chain(&output.stdout);
    lines.any(|line| SIGNS.iter().any(|sign| line.contains(sign)))
}

/// Returns the name at the start of a requirement.
fn leading_name(requirement: &str) -> &str {
    let end = requirement.find(|c| !is_name_char(c));
    &requirement[..end.unwrap_or(requirement.len())]
}

/// Returns the versions of a line `… (from versions: 1.0, 1.1)`. The start of a long line can be missing.
fn wheel_versions(line: &str) -> Option<Vec<String>> {
    let (before, list) = line.rsplit_once("(from versions: ")?;
    if !before.contains("Could not find a version") {
        return None;
    }
    let list = list.trim_end_matches(')');
    Some(match list {
        "none" => Vec::new(),
        list => list.split(", ").map(str::to_owned).collect(),
    })
}

/// Returns the versions in the output of `pip index versions`, newest first; empty if there are none.
pub(super) fn listed_versions(output: &ClientOutput) -> Vec<String> {
    let lines = output.stdout.iter();
    let mut lists = lines.filter_map(|line| line.trim().strip_prefix("Available versions: "));
    let list = lists.next().unwrap_or("");
    let versions = list.split(", ").filter(|version| !version.is_empty());
    versions.map(str::to_owned).collect()
}
