//! Calls of tools in the form of ReAct: `Action: python` and `Action Input: print(1)`.

use serde_json::Value;

use super::call::{Call, MAX_NAME_BYTES, is_code_tool};
use super::calls;
use super::fence::Closer;
use super::loose_json;
use super::pythonic::pythonic_call;
use super::reader::Reader;

const ACTION: [&str; 4] = ["action", "tool", "tool name", "action name"];
const INPUT: [&str; 6] = [
    "action input",
    "action_input",
    "actioninput",
    "input",
    "tool input",
    "arguments",
];

/// Returns true if `text` begins with the labels of a call. They can be valid Python, as annotations.
pub(super) fn begins_call(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let labels = [&ACTION[..], &INPUT];
    labels.iter().all(|labels| {
        let line = lines.next().unwrap_or("");
        after_label(line, labels).is_some()
    })
}

/// Reads the call whose first line is `line`, before the offset `next`. Returns it and the offset after it.
pub(super) fn read(reader: &mut Reader<'_>, line: &str, next: usize) -> Option<(Call, usize)> {
    let action = after_label(line, &ACTION)?;
    let action = action.trim().trim_matches(['*', '`', '"', '\'']);
    if action.is_empty() || action.starts_with(['{', '[', '<']) {
        return None;
    }
    if let Some(call) = call_on_one_line(action) {
        return Some((call, next));
    }
    let is_name = |c: char| c.is_alphanumeric() || "_-. ".contains(c);
    if action.len() > MAX_NAME_BYTES || !action.chars().all(is_name) {
        return None;
    }
    let at = reader.skip_blanks(next);
    let (line, _) = reader.line(at);
    let input = after_label(line, &INPUT)?;
    let start = at + line.len() - input.len();
    Some(calls::read_arguments(reader, start, action, Closer::Label))
}

/// Returns the text after a label and its colon, without emphasis.
fn after_label<'t>(line: &'t str, labels: &[&str]) -> Option<&'t str> {
    let text = line.trim_start().trim_start_matches(['*', '#', ' ']);
    let colon = text.bytes().take(20).position(|b| b == b':')?;
    let label = text[..colon]
        .trim_end_matches(['*', ' '])
        .to_ascii_lowercase();
    labels
        .contains(&&*label)
        .then(|| text[colon + 1..].trim_start_matches(['*', ' ', '\t']))
}

/// Reads `python[print(1)]` or `python(print(1))`.
fn call_on_one_line(action: &str) -> Option<Call> {
    let end = action.find(['[', '('])?;
    let (name, rest) = action.split_at(end);
    let close = if rest.starts_with('[') { ']' } else { ')' };
    let inner = rest[1..].strip_suffix(close)?.trim();
    if !is_code_tool(name) || name.contains(char::is_whitespace) {
        return None;
    }
    if let Some((call, "")) = pythonic_call(action) {
        return Some(call);
    }
    let text = match loose_json::string(inner) {
        Some((text, len)) if len == inner.len() => text,
        _ => inner.to_owned(),
    };
    Some(Call {
        name: name.to_owned(),
        arguments: Value::String(text),
        is_complete: true,
    })
}
