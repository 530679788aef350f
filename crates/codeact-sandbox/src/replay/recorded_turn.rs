//! A turn with its journal: its specification, its nondeterministic inputs, and its end.

use codeact_base::text::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::journal::Entries;
use crate::session::execution::{Execution, Outcome};
use crate::session::turn::TurnSpec;
use crate::types::output::Captured;

/// A turn of a recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordedTurn {
    pub(crate) spec: TurnSpec,
    pub(crate) journal: Entries,
    pub(crate) end: RecordedEnd,
}

/// How a recorded turn ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RecordedEnd {
    /// Outcome.
    pub outcome: Outcome,
    /// Captured stdout.
    pub stdout: Captured,
    /// Captured stderr.
    pub stderr: Captured,
    /// `repr` of the value of the final expression.
    pub result: Option<String>,
    /// Value passed to `final_answer`.
    pub answer: Option<serde_json::Value>,
    /// SHA-256 of each display.
    pub displays: Vec<String>,
    /// SHA-256 of each bundle of a rich turn, as JSON.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bundles: Vec<String>,
    /// SHA-256 of the memory after the turn; `None` if the turn was rolled back.
    pub memory: Option<String>,
    /// Fuel that the turn used.
    pub fuel: u64,
}

impl RecordedTurn {
    /// Returns the Python source.
    pub fn code(&self) -> &str {
        &self.spec.code
    }

    /// Returns how the turn ended.
    pub fn end(&self) -> &RecordedEnd {
        &self.end
    }

    /// Returns true if the turn was stopped by its wall time or cancelled.
    pub(crate) fn was_stopped(&self) -> bool {
        matches!(
            self.end.outcome,
            Outcome::TimedOut { .. } | Outcome::Cancelled
        )
    }
}

impl RecordedEnd {
    /// Returns the end of a turn with this result; `memory` is a fingerprint.
    pub(crate) fn of(execution: &Execution, memory: Option<String>) -> Self {
        let displays = execution.displays.iter().map(|display| {
            let mut hash = Sha256::new();
            hash.update(&display.bytes);
            hex(&hash.finalize())
        });
        let bundles = execution.bundles.iter().map(|bundle| {
            let parts = serde_json::json!([bundle.is_result, bundle.data, bundle.metadata]);
            hex(&Sha256::digest(parts.to_string()))
        });
        Self {
            outcome: execution.outcome.clone(),
            stdout: execution.stdout.clone(),
            stderr: execution.stderr.clone(),
            result: execution.result.clone(),
            answer: execution.answer.clone(),
            displays: displays.collect(),
            bundles: bundles.collect(),
            memory,
            fuel: execution.usage.fuel,
        }
    }

    /// Describes the first difference between this end and `now`; `None` if they are equal.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        let text = |name: &str, was: &str, is: &str| {
            let line = was.lines().zip(is.lines()).take_while(|(a, b)| a == b);
            (was != is).then(|| format!("its {name} differs from line {} on", line.count() + 1))
        };
        let value = |name: &str, same: bool| (!same).then(|| format!("its {name} differs"));
        text("stdout", &self.stdout.text, &now.stdout.text)
            .or_else(|| text("stderr", &self.stderr.text, &now.stderr.text))
            .or_else(|| match (&self.outcome, &now.outcome) {
                (was, is) if was == is => None,
                (Outcome::Raised(was), Outcome::Raised(is)) => {
                    text("traceback", &was.traceback, &is.traceback)
                        .or_else(|| value("exception", false))
                }
                (was, is) => Some(format!(
                    "it ended {}, and the recorded turn {}",
                    how(is),
                    how(was)
                )),
            })
            .or_else(|| value("result", self.result == now.result))
            .or_else(|| value("answer", self.answer == now.answer))
            .or_else(|| value("pictures", self.displays == now.displays))
            .or_else(|| value("bundles", self.bundles == now.bundles))
            .or_else(|| value("memory", self.memory == now.memory))
    }
}

/// Describes `outcome` in words that follow "it ended".
fn how(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Completed => "without an error".into(),
        Outcome::Raised(e) => format!("with {}", e.kind),
        Outcome::Exited { code } => format!("with exit status {code}"),
        Outcome::TimedOut { .. } => "at its wall time limit".into(),
        Outcome::OutOfFuel { .. } => "at its fuel limit".into(),
        Outcome::Cancelled => "because it was cancelled".into(),
        Outcome::Suspended => "because it was suspended".into(),
        Outcome::Trapped { reason } => format!("in a trap, {reason}"),
    }
}
