//! Observations that a model invents in its own reply.

/// Returns true if `line` begins an observation or a message of the user. A model that is not stopped invents them.
pub(super) fn is_observation(line: &str) -> bool {
    let line = line.trim_start_matches(['#', '*', ' ', '_', '[', '<']);
    let rest = OBSERVATIONS.iter().find_map(|name| line.strip_prefix(name));
    // "Observation of birds shows that" is prose.
    rest.is_some_and(|rest| rest.trim().is_empty() || rest.starts_with([':', '*', ']', '>', '_']))
}

const OBSERVATIONS: [&str; 8] = [
    "Observation",
    "OBSERVATION",
    "Output",
    "Execution result",
    "Execution results",
    "Execution output",
    "User",
    "Human",
];
