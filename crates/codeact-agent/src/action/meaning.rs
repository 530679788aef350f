//! The meaning of a tool call: code to run, an answer, or a call that cannot be made.
//!
//! A call is code if the tool runs Python and the arguments have code. A call of any other tool is never an answer.

use serde_json::{Map, Value};

use super::blocks::{Part, scan};
use super::call::{CODE_KEYS, Call, is_code_tool, is_final_answer, local_name};
use super::language::{Language, language};
use super::likeness::judge;
use super::loose_json;
use super::tidy::tidy_code;

/// What a call asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// Python, not empty.
    Code(String),
    /// The argument of `final_answer`.
    Answer(String),
    /// Code in another language.
    Program(String),
    /// A tool with this name, or a call that has no usable code.
    Tool(String),
    /// Code that is empty.
    Empty,
}

/// Keys of members that may have code, or another input.
const INPUT_KEYS: [&str; 13] = [
    "input",
    "query",
    "cmd",
    "command",
    "commands",
    "content",
    "text",
    "expression",
    "statement",
    "body",
    "tool_input",
    "__arg1",
    "arg",
];

const LANGUAGE_KEYS: [&str; 3] = ["language", "lang", "kernel"];

/// Returns the meaning of `call`.
pub(super) fn meaning(call: &Call) -> Meaning {
    let name = local_name(&call.name);
    let is_answer = is_final_answer(&call.name);
    if is_answer && call.is_complete {
        return Meaning::Answer(answer(&call.arguments));
    }
    let tool = || Meaning::Tool(name.to_owned());
    if is_answer || !call.is_complete {
        return tool();
    }
    let is_code_tool = call.name.is_empty() || is_code_tool(&call.name);
    match find_code(&call.arguments, 3) {
        Some(CodeArgument {
            language: Some(other),
            ..
        }) if is_code_tool => Meaning::Program(other),
        Some(found) => {
            let source = tidy_code(&unfenced(&found.text));
            let judged = judge(&source);
            let is_code = match (is_code_tool, found.is_certain) {
                (true, true) => true,
                (true, false) => judged.bad == 0 && judged.lines > 0,
                (false, is_certain) => is_certain && judged.is_python(),
            };
            match (is_code, source.is_empty()) {
                (true, false) => Meaning::Code(source),
                (true, true) => Meaning::Empty,
                (false, _) => tool(),
            }
        }
        None => tool(),
    }
}

/// The argument that may be code.
struct CodeArgument {
    text: String,
    /// True if its key is one for code only.
    is_certain: bool,
    /// Name of a language other than Python.
    language: Option<String>,
}

/// Finds the code in arguments: a text, an object with a member for code, or JSON of such an object as text.
fn find_code(arguments: &Value, depth: usize) -> Option<CodeArgument> {
    match arguments {
        Value::String(text) => {
            let inner = loose_json::read(text.trim());
            if let Some(inner) = inner.filter(|inner| inner.is_complete && depth > 0)
                && inner.value.is_object()
                && let Some(found) = find_code(&inner.value, depth - 1)
            {
                return Some(found);
            }
            Some(CodeArgument {
                text: text.clone(),
                is_certain: false,
                language: None,
            })
        }
        Value::Object(members) => {
            let found = |keys: &[&str]| keys.iter().find_map(|key| lines(members.get(*key)?));
            let (text, is_certain) = match found(&CODE_KEYS) {
                Some(text) => (text, true),
                None => (found(&INPUT_KEYS).or_else(|| only_text(members))?, false),
            };
            Some(CodeArgument {
                text,
                is_certain,
                language: other_language(members),
            })
        }
        Value::Array(items) => match items.as_slice() {
            [only] if depth > 0 => find_code(only, depth - 1),
            _ => None,
        },
        _ => None,
    }
}

/// Returns a text, or the lines of a list of texts.
fn lines(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let lines = items
                .iter()
                .map(Value::as_str)
                .collect::<Option<Vec<_>>>()?;
            Some(lines.join("\n"))
        }
        _ => None,
    }
}

/// Returns the text of an object with one member.
fn only_text(members: &Map<String, Value>) -> Option<String> {
    let mut values = members.values();
    match (values.next(), values.next()) {
        (Some(Value::String(text)), None) => Some(text.clone()),
        _ => None,
    }
}

fn other_language(members: &Map<String, Value>) -> Option<String> {
    let name = LANGUAGE_KEYS
        .iter()
        .find_map(|key| members.get(*key)?.as_str())?;
    match language(name) {
        Language::Python | Language::Unnamed => None,
        _ => Some(name.chars().take(32).collect()),
    }
}

/// Returns the Python of the fences in `code`, or `code` if it has none.
fn unfenced(code: &str) -> String {
    if !code.trim_start().starts_with("```") {
        return code.to_owned();
    }
    let scan = scan(code);
    let bodies: Vec<_> = scan
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::Block(block) if block.language.may_be_python() => Some(block.body),
            _ => None,
        })
        .collect();
    match bodies.is_empty() {
        true => code.to_owned(),
        false => bodies.join("\n\n"),
    }
}

fn answer(arguments: &Value) -> String {
    let only = match arguments {
        Value::Object(members) if members.len() == 1 => members.values().next(),
        _ => None,
    };
    match only.unwrap_or(arguments) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
