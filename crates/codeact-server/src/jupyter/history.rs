//! `history_request`: the inputs of a kernel's session.
//!
//! Security boundary: the turns of a session can be larger than memory. They are read a few at a time, and a reply is
//! bounded in bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use codeact_sessions::manager::ManagerError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::kernel::Kernel;
use super::replies::error_content;
use super::request::Request;
use crate::error::ApiError;
use crate::turn_records::TurnRecords;

/// Limit of the entries of a reply.
const MAX_ENTRIES: usize = 10_000;
/// Limit of the texts of a reply, in bytes. The last entries are returned.
const MAX_BYTES: usize = 4 << 20;

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
    let has_output = wanted.output.unwrap_or(false);
    let entry = |(number, (code, result)): (i64, Input)| match has_output {
        true => json!([0, number, [code, result]]),
        false => json!([0, number, code]),
    };
    match choose(kernel, wanted).await {
        Ok(chosen) => {
            let entries: Vec<Value> = chosen.into_iter().map(entry).collect();
            json!({ "status": "ok", "history": entries })
        }
        Err(error) => error_content("KernelError", &ApiError::from(error).message),
    }
}

/// Code, and the `repr` of its result.
type Input = (String, Option<String>);

/// Returns the entries that a request asks for, in order.
async fn choose(
    kernel: &Kernel,
    wanted: HistoryRequest,
) -> Result<BTreeMap<i64, Input>, ManagerError> {
    let kind = wanted.hist_access_type.as_str();
    let range = match kind {
        "range" => wanted.start.unwrap_or(0)..wanted.stop.unwrap_or(i64::MAX),
        _ => 0..i64::MAX,
    };
    let pattern = match kind {
        "search" => wanted.pattern.as_deref().unwrap_or("*"),
        _ => "*",
    };
    let max = match kind {
        "range" => MAX_ENTRIES,
        _ => wanted.n.unwrap_or(MAX_ENTRIES).min(MAX_ENTRIES),
    };
    let unique = kind == "search" && wanted.unique.unwrap_or(false);
    let mut chosen = Chosen::new(max, unique);
    let mut turns = TurnRecords::after(&kernel.handle, 0);
    let mut number = 0;
    while let Some(turn) = turns.next().await? {
        if turn.code.is_empty() {
            continue;
        }
        number += 1;
        if number >= range.end {
            break;
        }
        if range.contains(&number) && matches(pattern, &turn.code) {
            chosen.push(number, (turn.code, turn.result));
        }
    }
    Ok(chosen.entries)
}

/// The last entries within the limits.
struct Chosen {
    entries: BTreeMap<i64, Input>,
    bytes: usize,
    max: usize,
    /// Numbers of the entries by their code, if each code is wanted once: the last one.
    by_code: Option<HashMap<String, i64>>,
}

impl Chosen {
    fn new(max: usize, unique: bool) -> Self {
        Self {
            entries: BTreeMap::new(),
            bytes: 0,
            max,
            by_code: unique.then(HashMap::new),
        }
    }

    fn push(&mut self, number: i64, input: Input) {
        if let Some(by_code) = &mut self.by_code {
            let before = by_code.insert(input.0.clone(), number);
            if let Some(input) = before.and_then(|before| self.entries.remove(&before)) {
                self.bytes -= bytes_of(&input);
            }
        }
        self.bytes += bytes_of(&input);
        self.entries.insert(number, input);
        while self.entries.len() > self.max || self.bytes > MAX_BYTES {
            let Some((_, (code, result))) = self.entries.pop_first() else {
                return;
            };
            if let Some(by_code) = &mut self.by_code {
                by_code.remove(&code);
            }
            self.bytes -= bytes_of(&(code, result));
        }
    }
}

fn bytes_of((code, result): &Input) -> usize {
    code.len() + result.as_ref().map_or(0, String::len)
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
    use super::{Chosen, MAX_BYTES, matches};

    fn chosen(max: usize, unique: bool, inputs: &[&str]) -> Vec<(i64, String)> {
        let mut chosen = Chosen::new(max, unique);
        for (number, code) in (1..).zip(inputs) {
            chosen.push(number, ((*code).to_owned(), None));
        }
        let entries = chosen.entries.into_iter();
        entries.map(|(number, (code, _))| (number, code)).collect()
    }

    #[test]
    fn the_last_entries_are_chosen() {
        let of = |number, code: &str| (number, code.to_owned());
        let inputs = ["a", "b", "a", "c"];
        assert_eq!(chosen(2, false, &inputs), [of(3, "a"), of(4, "c")]);
        assert_eq!(
            chosen(9, true, &inputs),
            [of(2, "b"), of(3, "a"), of(4, "c")]
        );
        assert_eq!(chosen(0, true, &inputs), []);
        let large = "x".repeat(MAX_BYTES);
        assert_eq!(chosen(9, true, &["a", &large, "b"]), [of(3, "b")]);
    }

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
