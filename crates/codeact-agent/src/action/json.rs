//! Replies that are JSON in place of Python. Small models and models that were trained for tool calls send them.

use serde_json::{Map, Value};

/// Meaning of a JSON text.
#[derive(Debug, PartialEq)]
pub(super) enum JsonReply {
    /// Python in a member `code`, alone or as the argument of a tool call.
    Code(String),
    /// The argument of a call of `final_answer`, or JSON that is not a call.
    Answer(String),
    /// A call of the tool with this name.
    ToolCall(String),
}

const NAME: [&str; 5] = ["name", "tool", "tool_name", "function", "action"];
const ARGUMENTS: [&str; 6] = [
    "arguments",
    "parameters",
    "args",
    "input",
    "action_input",
    "kwargs",
];
/// Other keys that a call may have.
const OTHER_KEYS: [&str; 4] = ["id", "type", "thought", "thoughts"];

/// Reads `text` if it is one JSON object or array. `serde_json` limits the nesting.
pub(super) fn read(text: &str) -> Option<JsonReply> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let value: Value = serde_json::from_str(text).ok()?;
    let answer = || JsonReply::Answer(text.to_owned());
    // A list of one call is a call.
    let object = match &value {
        Value::Object(object) => object,
        Value::Array(items) => match items.as_slice() {
            [Value::Object(object)] => object,
            _ => return Some(answer()),
        },
        _ => return Some(answer()),
    };
    if let Some(code) = code_of(object, &["thought", "thoughts", "language"]) {
        return Some(JsonReply::Code(code));
    }
    let call = match object.get("function") {
        Some(Value::Object(inner)) => inner,
        _ => object,
    };
    Some(read_call(call).unwrap_or_else(answer))
}

/// Returns the member `code` of an object that has no keys but this one and `other_keys`.
fn code_of(object: &Map<String, Value>, other_keys: &[&str]) -> Option<String> {
    let known = |key: &String| key == "code" || other_keys.contains(&key.as_str());
    let code = object.get("code")?.as_str()?;
    object.keys().all(known).then(|| code.to_owned())
}

fn read_call(object: &Map<String, Value>) -> Option<JsonReply> {
    let is_call_key = |key: &String| {
        let key = key.as_str();
        NAME.contains(&key) || ARGUMENTS.contains(&key) || OTHER_KEYS.contains(&key)
    };
    if !object.keys().all(is_call_key) {
        return None;
    }
    let name = NAME.iter().find_map(|key| object.get(*key)?.as_str())?;
    let arguments = ARGUMENTS.iter().find_map(|key| object.get(*key))?;
    if let Value::Object(arguments) = arguments
        && let Some(code) = code_of(arguments, &["language"])
    {
        return Some(JsonReply::Code(code));
    }
    if name != "final_answer" {
        return Some(JsonReply::ToolCall(name.to_owned()));
    }
    let only = match arguments {
        Value::Object(members) if members.len() == 1 => members.values().next()?,
        other => other,
    };
    Some(JsonReply::Answer(match only {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }))
}
