//! What pip says: the few lines of it that decide something.
//!
//! pip has one exit status for everything, so its messages are read. A message that is not known
//! decides nothing, and is shown to the user as it is.

use serde::Deserialize;

use super::super::pip::Words;
use super::requirement::normalised;

/// Why pip could not resolve, where its words tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing on the index fits this requirement, which may be one of a dependency.
    NothingFits {
        /// The package's normalised name.
        name: String,
        /// What was asked for, as pip wrote it: `name>=1`.
        requirement: String,
        /// The versions of which there is a wheel that would do.
        wheels: Vec<String>,
    },
    /// The requirements contradict one another, or the pack's versions; pip's account of it.
    Conflict(Vec<String>),
}

/// Reads a refusal from the words of a pip that failed. A client that had trouble with the network
/// says the same as one that found nothing, so it is not believed.
pub(super) fn refusal(words: &Words) -> Option<Refusal> {
    let lines = || words.stderr.iter().chain(&words.stdout);
    let trouble = [
        "Retrying (Retry(",
        "Could not fetch URL",
        "Credentials not correct",
    ];
    if lines().any(|line| trouble.iter().any(|t| line.contains(t))) {
        return None;
    }
    let mut found = lines().filter_map(|l| l.split_once("No matching distribution found for "));
    if let Some((_, requirement)) = found.next() {
        // `name==1 ; extra == "x"`, and older ones `name==1 (from other)`.
        let end = requirement.find([';', '(']).unwrap_or(requirement.len());
        let requirement = requirement[..end].trim();
        // Such a wheel is there, but for other versions of Python, which pip says best itself. It
        // lists the versions of all the packages that it saw.
        if let Some((_, version)) = requirement.split_once("==") {
            let other = format!(" {} Requires-Python ", version.trim());
            if lines().any(|line| line.contains(&other)) {
                return None;
            }
        }
        let is_end = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
        let name = &requirement[..requirement.find(is_end).unwrap_or(requirement.len())];
        return Some(Refusal::NothingFits {
            name: normalised(name).ok()?,
            requirement: requirement.to_owned(),
            wheels: lines().find_map(|line| wheels(line)).unwrap_or_default(),
        });
    }
    if !lines().any(|line| line.contains("ResolutionImpossible")) {
        return None;
    }
    let account = lines().skip_while(|line| !line.starts_with("The conflict is caused by"));
    let account = account.take_while(|line| !line.starts_with("To fix this"));
    Some(Refusal::Conflict(account.cloned().collect()))
}

/// Whether pip found that the requirements contradict one another.
pub(super) fn is_conflict(words: &Words) -> bool {
    matches!(refusal(words), Some(Refusal::Conflict(_)))
}

/// The versions in `… (from versions: 1.0, 1.1)`, of whose beginning some may be lost.
fn wheels(line: &str) -> Option<Vec<String>> {
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

/// The versions in the answer of `pip index versions`, newest first; none if there are none.
pub(super) fn versions(words: &Words) -> Vec<String> {
    let lines = words.stdout.iter();
    let mut lists = lines.filter_map(|line| line.trim().strip_prefix("Available versions: "));
    let list = lists.next().unwrap_or("");
    let versions = list.split(", ").filter(|version| !version.is_empty());
    versions.map(str::to_owned).collect()
}

/// The wheel that pip was fetching when it was stopped.
pub(super) fn last_fetched(words: &Words) -> Option<&str> {
    let names = words.stdout.iter().rev().filter_map(|line| {
        let mut parts = line.trim().strip_prefix("Downloading ")?.split(' ');
        parts.next()?.rsplit('/').next()
    });
    names.into_iter().next()
}

/// pip's installation report, of which little is needed. See pip's documentation, "Installation
/// Report", version 1.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    version: String,
    install: Vec<Install>,
}

#[derive(Debug, Deserialize)]
struct Install {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    requires_dist: Vec<String>,
}

/// A package that pip chose.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chosen {
    /// The normalised name.
    pub(super) name: String,
    pub(super) version: String,
    /// The normalised names of what it may depend on.
    pub(super) dependencies: Vec<String>,
}

impl Report {
    /// What was chosen.
    ///
    /// # Errors
    ///
    /// What is wrong with the report.
    pub(super) fn read(text: &[u8]) -> Result<Vec<Chosen>, String> {
        let report: Self = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        if report.version != "1" {
            return Err(format!("its report has version {}, not 1", report.version));
        }
        let chosen = report.install.into_iter().map(|Install { metadata }| {
            if !super::requirement::is_version(&metadata.version) {
                return Err(format!("its report names the version {}", metadata.version));
            }
            let dependencies = metadata.requires_dist.iter().filter_map(|text| {
                let is_end = |c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c));
                let end = text.find(is_end).unwrap_or(text.len());
                normalised(&text[..end]).ok()
            });
            Ok(Chosen {
                name: normalised(&metadata.name)?,
                version: metadata.version,
                dependencies: dependencies.collect(),
            })
        });
        chosen.collect()
    }
}
