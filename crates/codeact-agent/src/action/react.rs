//! Calls of tools in the form of ReAct, `Action: python` and `Action Input: print(1)`, and in forms with other labels, such
//! as YAML.

use serde_json::{Value, json};

use super::call::{Call, MAX_NAME_BYTES, is_code_tool};
use super::calls;
use super::fence::Closer;
use super::likeness::judge;
use super::loose_json;
use super::pythonic::pythonic_call;
use super::reader::Reader;
use super::tidy::tidy_code;

const ACTION: [&str; 4] = ["action", "tool", "tool name", "action name"];
/// Further labels, which also occur in text. The tool must run code.
const NAME: [&str; 4] = ["name", "function", "tool_name", "tool_call"];
const INPUT: [&str; 11] = [
    "action input",
    "action_input",
    "actioninput",
    "input",
    "tool input",
    "tool_input",
    "arguments",
    "args",
    "parameters",
    "params",
    "action_args",
];
const CODE: [&str; 4] = ["code", "python_code", "python code", "script"];
/// Labels between the name and the input.
const BETWEEN: [&str; 5] = ["id", "language", "lang", "thought", "type"];
/// Limit of the lines with labels between the name and the input.
const MAX_LABELS: usize = 8;

/// Returns true if `text` begins with the labels of a call. They can be valid Python, as annotations.
pub(super) fn begins_call(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or("");
    if after_label(first, &CODE).is_some_and(is_block_scalar) {
        return true;
    }
    let second = lines.next().unwrap_or("");
    action(first).is_some()
        && [&INPUT[..], &CODE, &BETWEEN]
            .iter()
            .any(|labels| after_label(second, labels).is_some())
}

/// Returns the text after the label of a tool.
fn action(line: &str) -> Option<&str> {
    after_label(line, &ACTION).or_else(|| {
        let name = after_label(line, &NAME)?;
        is_code_tool(unquoted(name)).then_some(name)
    })
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['*', '`', '"', '\''])
}

/// Reads the call whose first line is `line` at the offset `at`, before `next`. Returns it and the offset after it.
pub(super) fn read(
    reader: &mut Reader<'_>,
    at: usize,
    line: &str,
    next: usize,
) -> Option<(Call, usize)> {
    if after_label(line, &CODE).is_some_and(is_block_scalar) {
        return code_only(reader, at, next);
    }
    let action = unquoted(action(line)?);
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
    let mut next = next;
    for _ in 0..MAX_LABELS {
        let at = reader.skip_blanks(next);
        let (line, end) = reader.line(at);
        if !reader.read_again(end - next) {
            return None;
        }
        if after_label(line, &BETWEEN).is_some() {
            next = end;
            continue;
        }
        if let Some(input) = after_label(line, &CODE) {
            return Some(input_of(reader, action, at, line, input, end));
        }
        let input = after_label(line, &INPUT)?;
        // `arguments:`, and the arguments below it.
        if input.is_empty() && has_label_below(reader, end) {
            next = end;
            continue;
        }
        return Some(input_of(reader, action, at, line, input, end));
    }
    None
}

fn has_label_below(reader: &Reader<'_>, at: usize) -> bool {
    let (line, _) = reader.line(reader.skip_blanks(at));
    [&CODE[..], &BETWEEN]
        .iter()
        .any(|labels| after_label(line, labels).is_some())
}

/// Reads the input that begins in the line at `at`, before the offset `next`.
fn input_of(
    reader: &mut Reader<'_>,
    name: &str,
    at: usize,
    line: &str,
    input: &str,
    next: usize,
) -> (Call, usize) {
    if is_block_scalar(input) {
        let (text, end) = block_scalar(reader, at, next);
        let call = Call {
            name: name.to_owned(),
            arguments: json!({ "code": text }),
            is_complete: !text.trim().is_empty(),
        };
        return (call, end);
    }
    let start = at + line.len() - input.len();
    calls::read_arguments(reader, start, name, Closer::Label)
}

/// Reads code without the name of a tool: `code: |` and indented lines.
fn code_only(reader: &mut Reader<'_>, at: usize, next: usize) -> Option<(Call, usize)> {
    if !reader.may_read_again() {
        return None;
    }
    let (text, end) = block_scalar(reader, at, next);
    let is_code = judge(&tidy_code(&text)).is_python_in_fence();
    if !is_code {
        reader.read_again(end - next);
        return None;
    }
    let call = Call {
        name: String::new(),
        arguments: json!({ "code": text }),
        is_complete: true,
    };
    Some((call, end))
}

/// Returns true for the header of a block scalar of YAML, such as `|` or `>-`.
fn is_block_scalar(value: &str) -> bool {
    let value = value.trim();
    value.starts_with(['|', '>'])
        && value[1..]
            .chars()
            .all(|c| matches!(c, '-' | '+') || c.is_ascii_digit())
}

/// Returns the lines at `next` that are indented deeper than the line at `at`, and the offset after them. A folded scalar is
/// read as a literal one, because code is meant.
fn block_scalar(reader: &Reader<'_>, at: usize, next: usize) -> (String, usize) {
    let begin = reader.text[..at].rfind('\n').map_or(0, |end| end + 1);
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let depth = indent(&reader.text[begin..]);
    let mut end = next;
    while end < reader.text.len() {
        let (line, after) = reader.line(end);
        if !line.trim().is_empty() && indent(line) <= depth {
            break;
        }
        end = after;
    }
    (reader.text[next..end].to_owned(), end)
}

/// Returns the text after a label and its colon, without emphasis.
fn after_label<'t>(line: &'t str, labels: &[&str]) -> Option<&'t str> {
    let text = line
        .trim_start()
        .trim_start_matches(['*', '#', ' ', '-', '✿']);
    let colon = text.bytes().take(20).position(|b| b == b':')?;
    let label = text[..colon]
        .trim_end_matches(['*', ' ', '✿'])
        .trim_matches(['"', '\''])
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
