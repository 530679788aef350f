//! Calls of tools in the form of Python: `python(code="…")`.

use serde_json::{Map, Value};

use super::call::{CODE_KEYS, Call, MAX_NAME_BYTES, is_code_tool, local_name};
use super::loose_json;

/// Returns true for a character of a dotted name.
pub(super) fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// Reads `name(key="…", …)` and returns the text after it.
pub(super) fn pythonic_call(text: &str) -> Option<(Call, &str)> {
    let name_end = text
        .find(|c| !is_name_part(c))
        .filter(|end| (1..=MAX_NAME_BYTES).contains(end))?;
    let mut rest = text[name_end..].strip_prefix('(')?.trim_start();
    let mut members = Map::new();
    while !rest.starts_with(')') {
        let key_end = rest.find(|c| !is_name_part(c)).unwrap_or(0);
        let key = match rest[key_end..].trim_start().strip_prefix('=') {
            Some(after) if key_end > 0 => {
                let key = rest[..key_end].to_owned();
                rest = after.trim_start();
                key
            }
            _ if members.is_empty() => "code".to_owned(),
            _ => return None,
        };
        let (value, len) = match loose_json::string(rest) {
            Some((value, len)) => (Value::String(value), len),
            None => {
                let end = rest.find([',', ')'])?;
                (serde_json::from_str(rest[..end].trim()).ok()?, end)
            }
        };
        members.insert(key, value);
        rest = rest[len..].trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with(')') => {}
            None => return None,
        }
    }
    let call = Call {
        name: text[..name_end].to_owned(),
        arguments: Value::Object(members),
        is_complete: true,
    };
    Some((call, &rest[1..]))
}

/// Returns true if `text` begins with a list whose first item calls a code tool.
pub(super) fn begins_code_tool_list(text: &str) -> bool {
    let Some(first) = text.strip_prefix('[').map(str::trim_start) else {
        return false;
    };
    let first = &first[..first.floor_char_boundary(MAX_NAME_BYTES + 1)];
    let name_len = first.find(|c| !is_name_part(c)).unwrap_or(0);
    first[name_len..].starts_with('(') && is_code_tool(&first[..name_len])
}

/// Reads a list of calls of code tools, such as `[python(code="…"), python(code="…")]`. Returns the text after it.
pub(super) fn code_tool_list(text: &str) -> Option<(Vec<Call>, &str)> {
    let mut rest = text.strip_prefix('[')?.trim_start();
    let mut calls = Vec::new();
    while !rest.starts_with(']') {
        let (call, after) = pythonic_call(rest)?;
        if !is_code_tool(&call.name) {
            return None;
        }
        calls.push(call);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(after) => after.trim_start(),
            None => after,
        };
        if rest.len() == after.len() && !rest.starts_with(']') {
            return None;
        }
    }
    (!calls.is_empty()).then(|| (calls, &rest[1..]))
}

/// Returns the calls of a program that only calls code tools, such as `print(python(code="…"))`. Such a program has the code
/// in strings, as there is no such function.
pub(super) fn code_tool_calls(source: &str) -> Option<Vec<Call>> {
    let source = source.trim();
    if let Some((calls, "")) = code_tool_list(source) {
        return calls.iter().all(has_code).then_some(calls);
    }
    let mut rest = source;
    let mut calls = Vec::new();
    while !rest.is_empty() {
        let (call, after) = match rest.strip_prefix("print(") {
            Some(inner) => {
                let (call, after) = pythonic_call(inner.trim_start())?;
                (call, after.trim_start().strip_prefix(')')?)
            }
            None => pythonic_call(rest)?,
        };
        if !has_code(&call) || !is_separate(after) {
            return None;
        }
        // `run("ls")` may be a function of the program. With a keyword for code, or with this name, it is not.
        let arguments = rest.strip_prefix("print(").map_or(rest, str::trim_start);
        let arguments = arguments.trim_start_matches(is_name_part);
        let first = arguments.strip_prefix('(').map_or("", str::trim_start);
        if !call.name.contains("python") && first.starts_with(['"', '\'']) {
            return None;
        }
        calls.push(call);
        rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
    }
    (!calls.is_empty()).then_some(calls)
}

/// Returns true if a statement ends before `after`.
fn is_separate(after: &str) -> bool {
    let after = after.trim_start_matches([' ', '\t']);
    after.is_empty() || after.starts_with(['\n', ';'])
}

/// Returns true if `call` has code for a tool that is not a function of Python.
fn has_code(call: &Call) -> bool {
    const OF_PYTHON: [&str; 3] = ["compile", "eval", "exec"];
    let name = local_name(&call.name);
    let is_tool = is_code_tool(&call.name) && !OF_PYTHON.contains(&name) || name == "tool_call";
    let has_code = |key: &&str| call.arguments.get(*key).is_some_and(Value::is_string);
    is_tool && CODE_KEYS.iter().any(has_code)
}
