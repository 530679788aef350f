//! Calls of tools within JSON, in the forms of the APIs and agent frameworks that models were trained with.

use serde_json::{Map, Value};

use super::call::{CODE_KEYS, Call, is_code_tool};

/// Keys of a call's name, or of an object with the call.
const NAME: [&str; 9] = [
    "name",
    "tool",
    "tool_name",
    "function",
    "function_name",
    "action",
    "recipient_name",
    "command",
    "tool_call",
];
/// Keys of further objects and lists with calls.
const INSIDE: [&str; 5] = [
    "tool_calls",
    "tool_uses",
    "function_call",
    "function_calls",
    "calls",
];
const ARGUMENTS: [&str; 9] = [
    "arguments",
    "parameters",
    "args",
    "params",
    "input",
    "action_input",
    "tool_input",
    "kwargs",
    "tool_args",
];
/// Keys of an object with only code, beside its code.
const NOTES: [&str; 17] = [
    "analysis",
    "comment",
    "description",
    "explanation",
    "goal",
    "lang",
    "language",
    "next_step",
    "observation",
    "plan",
    "reason",
    "reasoning",
    "summary",
    "thinking",
    "thought",
    "thoughts",
    "title",
];
/// Keys of an object with only code.
const CODE: [&str; 4] = ["code", "python_code", "python", "source_code"];
/// Other keys that a call may have.
const OTHER_KEYS: [&str; 7] = [
    "id", "type", "index", "role", "content", "call_id", "status",
];

/// Limit of the nesting of objects that lead to a call.
const MAX_DEPTH: usize = 5;

/// Returns the calls of `value`. Empty if it is not only calls: an answer, for example.
pub(super) fn calls(value: &Value, is_complete: bool) -> Vec<Call> {
    let mut calls = Vec::new();
    if !collect(value, is_complete, MAX_DEPTH, &mut calls) {
        calls.clear();
    }
    calls
}

/// Appends the calls of `value`. Returns false if it has anything else.
fn collect(value: &Value, is_complete: bool, depth: usize, calls: &mut Vec<Call>) -> bool {
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    match value {
        Value::Array(items) => {
            !items.is_empty()
                && items
                    .iter()
                    .all(|item| collect(item, is_complete, depth, calls))
        }
        Value::Object(members) => {
            let inner = INSIDE.iter().chain(&NAME).find_map(|key| {
                let value = members.get(*key)?;
                (value.is_object() || value.is_array()).then_some(value)
            });
            if let Some(inner) = inner
                && collect(inner, is_complete, depth, calls)
            {
                return true;
            }
            let named = || keyed(members, is_complete);
            let call = call(members, is_complete).or_else(named);
            match call.or_else(|| code_only(members, is_complete)) {
                Some(call) => calls.push(call),
                None => return false,
            }
            true
        }
        _ => false,
    }
}

/// Returns the call of an object with a name and arguments, or with a name and code.
fn call(members: &Map<String, Value>, is_complete: bool) -> Option<Call> {
    // `{"type": "function", "name": ...}`, and `{"action": {"type": "python", ...}}`.
    let named = NAME.iter().find_map(|key| members.get(*key)?.as_str());
    let name = named.or_else(|| {
        members
            .get("type")?
            .as_str()
            .filter(|name| is_code_tool(name))
    })?;
    let arguments = ARGUMENTS.iter().find_map(|key| members.get(*key));
    let is_code_tool = is_code_tool(name);
    let is_call_key = |key: &String| {
        let key = key.as_str();
        [&NAME[..], &ARGUMENTS, &OTHER_KEYS, &NOTES]
            .iter()
            .any(|keys| keys.contains(&key))
    };
    let arguments = match arguments {
        Some(arguments) if is_code_tool || members.keys().all(is_call_key) => arguments.clone(),
        None if is_code_tool => Value::Object(
            (members.iter())
                .filter(|(key, _)| !NAME.contains(&&***key) && !OTHER_KEYS.contains(&&***key))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        ),
        _ => return None,
    };
    // Without arguments, the name of a code tool alone is no call: `{"name": "Python", "year": 1991}`.
    let has_code = CODE_KEYS.iter().any(|key| members.contains_key(*key));
    let is_call = members.keys().any(|key| ARGUMENTS.contains(&&**key)) || has_code;
    is_call.then(|| Call {
        name: name.to_owned(),
        arguments,
        is_complete,
    })
}

/// Returns the call of an object whose only key is the name of a code tool, as Apertus writes it: `{"python": {"code": …}}`.
fn keyed(members: &Map<String, Value>, is_complete: bool) -> Option<Call> {
    let mut only = members.iter();
    let (Some((name, arguments)), None) = (only.next(), only.next()) else {
        return None;
    };
    let has_code = arguments
        .as_object()
        .is_some_and(|arguments| CODE_KEYS.iter().any(|key| arguments.contains_key(*key)));
    (has_code && is_code_tool(name)).then(|| Call {
        name: name.clone(),
        arguments: arguments.clone(),
        is_complete,
    })
}

/// Returns the call of an object with code, thoughts, and no name.
fn code_only(members: &Map<String, Value>, is_complete: bool) -> Option<Call> {
    let is_known = |key: &String| CODE.contains(&&**key) || NOTES.contains(&&**key);
    let has_code = CODE.iter().any(|key| {
        members
            .get(*key)
            .is_some_and(|code| code.is_string() || code.is_array())
    });
    (has_code && members.keys().all(is_known)).then(|| Call {
        // The markup has no name. An incomplete call needs one for the message.
        name: if is_complete {
            String::new()
        } else {
            "python".into()
        },
        arguments: Value::Object(members.clone()),
        is_complete,
    })
}
