//! Parser of pip's output: failures of a resolution, version lists, downloads, and installation reports.
//!
//! pip has one exit status for all failures, so its messages are parsed. An unknown message gives no result, and the
//! user sees it unchanged.

use serde::Deserialize;

use super::requirement::{is_name_char, is_version, normalised};
use crate::pip::ClientOutput;

/// Cause of a failed resolution.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ResolveFailure {
    /// No wheel on the index matches the requirement, which can be that of a dependency.
    NoMatch {
        /// Normalised name of the package.
        name: String,
        /// The requirement as pip writes it, such as `name>=1`.
        requirement: String,
        /// Versions that have a wheel for the platform.
        wheels: Vec<String>,
    },
    /// The requirements conflict with one another or with the pack. Contains pip's description.
    Conflict(Vec<String>),
}

/// Returns the cause of a failure from pip's output. After a network error pip prints the same message as for a missing
/// package, so such an output gives `None`.
pub(super) fn resolve_failure(output: &ClientOutput) -> Option<ResolveFailure> {
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
    if let Some((_, requirement)) = found.next() {
        // pip prints `name==1 ; extra == "x"`, and older versions `name==1 (from other)`.
        let end = requirement.find([';', '(']).unwrap_or(requirement.len());
        let requirement = requirement[..end].trim();
        // There is such a wheel for other versions of Python. pip's own message is more precise then. pip lists the
        // ignored versions of all packages.
        if let Some((_, version)) = requirement.split_once("==") {
            let other = format!(" {} Requires-Python ", version.trim());
            if lines().any(|line| line.contains(&other)) {
                return None;
            }
        }
        return Some(ResolveFailure::NoMatch {
            name: normalised(leading_name(requirement)).ok()?,
            requirement: requirement.to_owned(),
            wheels: lines()
                .find_map(|line| wheel_versions(line))
                .unwrap_or_default(),
        });
    }
    if !lines().any(|line| line.contains("ResolutionImpossible")) {
        return None;
    }
    let account = lines().skip_while(|line| !line.starts_with("The conflict is caused by"));
    let account = account.take_while(|line| !line.starts_with("To fix this"));
    Some(ResolveFailure::Conflict(account.cloned().collect()))
}

/// Returns true if pip reported conflicting requirements.
pub(super) fn is_conflict(output: &ClientOutput) -> bool {
    matches!(resolve_failure(output), Some(ResolveFailure::Conflict(_)))
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

/// Returns the file name of the last wheel that pip started to download.
pub(super) fn last_download(output: &ClientOutput) -> Option<&str> {
    let names = output.stdout.iter().rev().filter_map(|line| {
        let mut parts = line.trim().strip_prefix("Downloading ")?.split(' ');
        parts.next()?.rsplit('/').next()
    });
    names.into_iter().next()
}

/// The needed fields of pip's installation report. See "Installation Report", version 1, in pip's documentation.
#[derive(Debug, Deserialize)]
pub(super) struct PipReport {
    version: String,
    install: Vec<InstallItem>,
}

#[derive(Debug, Deserialize)]
struct InstallItem {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    requires_dist: Vec<String>,
}

/// A package of a resolution.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResolvedPackage {
    /// Normalised name of the package.
    pub(super) name: String,
    pub(super) version: String,
    /// Normalised names of its possible dependencies.
    pub(super) dependencies: Vec<String>,
}

impl PipReport {
    /// Parses a report and returns its packages.
    ///
    /// # Errors
    ///
    /// Returns a description of the fault.
    pub(super) fn parse(text: &[u8]) -> Result<Vec<ResolvedPackage>, String> {
        let report: Self = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if report.version != "1" {
            return Err(format!("its report has version {}, not 1", report.version));
        }
        let packages = report.install.into_iter().map(|InstallItem { metadata }| {
            if !is_version(&metadata.version) {
                return Err(format!(
                    "its report has the invalid version {}",
                    metadata.version
                ));
            }
            let dependencies = metadata
                .requires_dist
                .iter()
                .filter_map(|text| normalised(leading_name(text)).ok());
            Ok(ResolvedPackage {
                name: normalised(&metadata.name)?,
                version: metadata.version,
                dependencies: dependencies.collect(),
            })
        });
        packages.collect()
    }
}
