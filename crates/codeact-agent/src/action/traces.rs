//! Traces of code in a text that would be an answer. A text with one is never the answer of a run.

use std::collections::HashSet;

use super::fence::is_quoted;
use super::marks::{STARTS, mark};

/// Returns the first line of `text` with a call of `final_answer` or with the markup of a code tool.
pub(super) fn first(text: &str) -> Option<&str> {
    answer_call(text).or_else(|| markup(text))
}

/// Returns the line of the first call of `final_answer`.
fn answer_call(text: &str) -> Option<&str> {
    const NAME: &str = "final_answer";
    // Markdown escapes the underscore.
    const ESCAPED: &str = "final\\_answer";
    let calls = |name: &str| {
        let mut found = text
            .match_indices(name)
            .map(|(at, _)| (at, at + name.len()));
        found.find(|(at, end)| {
            let is_word = text[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let rest = &text[*end..];
            let rest = rest.strip_prefix(['`', '*']).unwrap_or(rest);
            !is_word && rest.trim_start_matches([' ', '\t']).starts_with('(')
        })
    };
    let (at, _) = calls(NAME).or_else(|| calls(ESCAPED))?;
    Some(line_at(text, at))
}

/// Returns the line of the first opening mark of a call or of code that is not only mentioned: a token, a mark at the
/// start of a line, or one with its closing mark.
pub(super) fn markup(text: &str) -> Option<&str> {
    if !text.contains(STARTS) {
        return None;
    }
    let mut closed = HashSet::new();
    for (at, _) in text.match_indices(STARTS) {
        if let Some(mark) = mark(&text[at..])
            && mark.closes
            && mark.is_certain()
        {
            closed.insert(mark.name);
        }
    }
    for line in text.lines() {
        for (start, _) in line.match_indices(STARTS) {
            let Some(mark) = mark(&line[start..]) else {
                continue;
            };
            let is_structure =
                mark.is_token || closed.contains(&mark.name) || line[..start].trim().is_empty();
            let is_opening = !mark.closes && mark.is_certain() && is_structure;
            if is_opening && !is_quoted(line, start, mark.len) {
                return Some(line);
            }
        }
    }
    None
}

fn line_at(text: &str, at: usize) -> &str {
    let begin = text[..at].rfind('\n').map_or(0, |end| end + 1);
    text[begin..].lines().next().unwrap_or("")
}
