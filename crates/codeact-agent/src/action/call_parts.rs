//! Parts of a call in a markup: the marks around them, and a call that is being read.

use serde_json::{Map, Value};

use super::call::Call;
use super::loose_json;

/// Marks around the key of the next parameter.
pub(super) const KEYS: [&str; 2] = ["arg_key", "key"];
/// Marks around the name of the tool.
pub(super) const NAMES: [&str; 3] = ["name", "tool_name", "function_name"];
/// Marks around one parameter.
pub(super) const PARAMETERS: [&str; 9] = [
    "parameter",
    "param",
    "arg_value",
    "argument",
    "arg",
    "value",
    "script",
    "source",
    "query",
];
/// Marks around all arguments.
pub(super) const ARGUMENTS: [&str; 7] = [
    "arguments",
    "parameters",
    "params",
    "args",
    "input",
    "action_input",
    "tool_input",
];
/// A call whose parts are being read.
#[derive(Default)]
pub(super) struct Building {
    pub(super) name: Option<String>,
    pub(super) key: Option<String>,
    pub(super) members: Map<String, Value>,
    pub(super) arguments: Option<Value>,
}

impl Building {
    pub(super) fn has_arguments(&self) -> bool {
        self.arguments.is_some() || !self.members.is_empty()
    }

    /// Returns the call, and begins the next one.
    pub(super) fn finish(&mut self, is_complete: bool) -> Option<Call> {
        let built = std::mem::take(self);
        let has_arguments = built.has_arguments();
        let name = built.name?;
        Some(Call {
            name,
            arguments: built.arguments.unwrap_or(Value::Object(built.members)),
            is_complete: is_complete && has_arguments,
        })
    }
}

/// Returns a text as an argument. A text that is one string literal is its value.
pub(super) fn text_argument(text: &str) -> Value {
    let trimmed = text.trim();
    match loose_json::string(trimmed) {
        Some((value, len)) if len == trimmed.len() => Value::String(value),
        _ => Value::String(text.to_owned()),
    }
}
