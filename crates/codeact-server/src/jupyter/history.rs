//! `history_request`: the inputs of a kernel's session.

use std::sync::Arc;

use codeact_sessions::TurnRecord;
use serde::Deserialize;
use serde_json::{Value, json};

use super::kernel::Kernel;
use super::replies::error_content;
use super::request::Request;
use crate::error::ApiError;

/// Limit of the entries of a reply.
const MAX_ENTRIES: usize = 10_000;

#[derive(Deserialize)]
struct HistoryRequest {
    #[serde(default)]
    hist_access_type: String,
    output: Option<bool>,
    n: Option<usize>,
    start: Option<i64>,
    stop: Option<i64>,
    pattern: Option<String>,
    unique: Option<bool>,
}

/// Returns the content of a `history_reply`. The session is always 0, the present one.
pub(super) async fn history(kernel: &Arc<Kernel>, request: &Request) -> Value {
    let wanted: HistoryRequest = match request.content() {
        Ok(wanted) => wanted,
        Err(error) => return error_content("ValueError", &error.to_string()),
    };
    let turns = match kernel.handle.turns().await {
        Ok(turns) => turns,
        Err(error) => return error_content("KernelError", &ApiError::from(error).message),
    };
    let turns = turns.iter().filter(|turn| !turn.code.is_empty());
    let numbered: Vec<(i64, &TurnRecord)> = (1..).zip(turns).collect();
    let chosen = choose(&wanted, numbered);
    let entry = |(number, turn): &(i64, &TurnRecord)| match wanted.output.unwrap_or(false) {
        true => json!([0, number, [turn.code, turn.result]]),
        false => json!([0, number, turn.code]),
    };
    let entries: Vec<Value> = chosen.iter().map(entry).collect();
    json!({ "status": "ok", "history": entries })
}

/// Returns the entries that a request asks for, in order.
fn choose<'a>(
    wanted: &HistoryRequest,
    mut entries: Vec<(i64, &'a TurnRecord)>,
) -> Vec<(i64, &'a TurnRecord)> {
    match wanted.hist_access_type.as_str() {
        "range" => {
            let stop = wanted.stop.unwrap_or(i64::MAX);
            let range = wanted.start.unwrap_or(0)..stop;
            entries.retain(|(number, _)| range.contains(number));
        }
        "search" => {
            let pattern = wanted.pattern.as_deref().unwrap_or("*");
            entries.retain(|(_, turn)| matches(pattern, &turn.code));
            if wanted.unique.unwrap_or(false) {
                let mut seen = std::collections::HashSet::new();
                entries.reverse();
                entries.retain(|(_, turn)| seen.insert(&turn.code));
                entries.reverse();
            }
        }
        _ => {}
    }
    let max = match wanted.hist_access_type.as_str() {
        "range" => MAX_ENTRIES,
        _ => wanted.n.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES),
    };
    entries.split_off(entries.len().saturating_sub(max))
}

/// True if `text` matches `pattern`, in which `*` is any text and `?` any character. Takes at most the product of their
/// lengths in steps, and both are bounded.
fn matches(pattern: &str, text: &str) -> bool {
    const MAX_PATTERN_CHARS: usize = 1000;
    let pattern: Vec<char> = pattern.chars().take(MAX_PATTERN_CHARS).collect();
    let text: Vec<char> = text.chars().take(64 << 10).collect();
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&c) = text.get(t) {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&one) if one == '?' || one == c => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_match_as_globs() {
        for (pattern, text, expected) in [
            ("*", "anything", true),
            ("import*", "import os", true),
            ("*os", "import os", true),
            ("im?ort os", "import os", true),
            ("*x*y", "axbxcy", true),
            ("os", "import os", false),
            ("", "", true),
            ("a*b", "acd", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
