//! Marks: the tags and special tokens with which models and chat templates structure a reply, such as `<think>`,
//! `[/THINK]`, `<|im_end|>`, `<function=python>` or `<｜tool▁call▁begin｜>`.
//!
//! All shapes are read by one function into one form, and the tables below name the meanings. So a mark that is not in
//! the tables in exactly this shape is recognised as well.

use super::steps;

/// Limit of a mark, in bytes. A longer text in brackets is prose.
const MAX_MARK_BYTES: usize = 200;
/// Limit of a mark's name, in bytes.
const MAX_NAME_BYTES: usize = 40;

/// Brackets of marks: the start and the possible ends.
const BRACKETS: [(&str, &[&str]); 5] = [
    ("<|", &["|>", ">"]),
    ("<｜", &["｜>"]),
    ("<", &["|>", ">"]),
    ("[", &["]"]),
    ("◁", &["▷"]),
];

/// Words in a name that say whether a mark opens or closes, as in `<|begin_of_thought|>`.
const OPENING: [&str; 4] = ["begin_of_", "start_of_", "begin_", "start_"];
const CLOSING: [&str; 2] = ["end_of_", "end_"];
const OPENING_SUFFIX: [&str; 2] = ["_begin", "_start"];
const CLOSING_SUFFIX: [&str; 1] = ["_end"];

/// A mark in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark<'a> {
    /// Name in lower case, without namespace and without words such as `begin_of_`.
    pub(super) name: String,
    /// True for a closing mark.
    pub(super) closes: bool,
    /// The value of `<function=python>`, and the attribute `name` of `<invoke name="python">`.
    pub(super) value: Option<&'a str>,
    /// The text of all attributes.
    pub(super) attributes: &'a str,
    /// True for a token of a chat template, such as `<|end|>`. It is never text or markup of an answer.
    pub(super) is_token: bool,
    /// Length in bytes.
    pub(super) len: usize,
}

/// Returns the mark at the start of `text`. Its time is bounded by the limit of a mark's length.
pub(super) fn mark(text: &str) -> Option<Mark<'_>> {
    let (open, ends) = BRACKETS.iter().find(|(open, _)| text.starts_with(open))?;
    let whole = &text[..text.floor_char_boundary(MAX_MARK_BYTES)];
    steps::count(whole.len());
    let (mut rest, slash) = strip_slash(&whole[open.len()..]);
    let name_len = rest
        .find(|c: char| !c.is_ascii_alphanumeric() && !"_-.:▁".contains(c))
        .filter(|len| (1..=MAX_NAME_BYTES).contains(len))?;
    let raw_name = &rest[..name_len];
    rest = &rest[name_len..];
    let inner = rest;
    let (end_at, end) = ends
        .iter()
        .filter_map(|end| Some((inner.find(end)?, *end)))
        .min_by_key(|(at, _)| *at)?;
    let attributes = inner[..end_at].trim();
    let is_plain = attributes.is_empty();
    // `[` also begins a list, and `<` a comparison.
    let is_text = match *open {
        "[" => !is_plain || raw_name.bytes().any(|b| b.is_ascii_lowercase()),
        _ => !is_plain && !inner.starts_with([' ', '=', '\t', '/']),
    };
    if is_text || attributes.contains(['\n', '<']) {
        return None;
    }
    let (name, state) = normal_name(raw_name);
    if *open == "[" && !BRACKETED.iter().any(|word| name.contains(word)) {
        return None;
    }
    let token = *open == "<|" || *open == "<｜" || end == "|>";
    Some(Mark {
        // `<channel|>` closes `<|channel>`.
        closes: slash || state == Some(true) || (*open == "<" && end == "|>") || name == "unused95",
        name,
        value: value(attributes),
        attributes,
        is_token: token,
        len: whole.len() - inner.len() + end_at + end.len(),
    })
}

fn strip_slash(text: &str) -> (&str, bool) {
    match text.strip_prefix('/') {
        Some(rest) => (rest, true),
        None => (text, false),
    }
}

/// Returns the name in lower case without its namespace and position words, and whether these words close.
fn normal_name(raw: &str) -> (String, Option<bool>) {
    let local = raw.rsplit(':').next().unwrap_or(raw);
    let lower = local.to_ascii_lowercase().replace(['▁', '-', '.'], "_");
    let prefix = |words: &[&str]| words.iter().find_map(|word| lower.strip_prefix(word));
    let suffix = |words: &[&str]| words.iter().find_map(|word| lower.strip_suffix(word));
    let (name, state) = if let Some(name) = prefix(&OPENING).or_else(|| suffix(&OPENING_SUFFIX)) {
        (name, Some(false))
    } else if let Some(name) = prefix(&CLOSING).or_else(|| suffix(&CLOSING_SUFFIX)) {
        (name, Some(true))
    } else {
        (&*lower, None)
    };
    (name.to_owned(), state)
}

/// Returns the text after a leading `=`, or the attribute `name`, without quotes.
fn value(attributes: &str) -> Option<&str> {
    let value = match attributes.strip_prefix('=') {
        Some(value) => value,
        None => {
            let at = attributes.find("name=")?;
            let rest = &attributes[at + "name=".len()..];
            match rest.chars().next() {
                Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next()?,
                _ => rest.split_whitespace().next()?,
            }
        }
    };
    let value = value.trim().trim_matches(['"', '\'']).trim();
    (!value.is_empty()).then_some(value)
}

impl Mark<'_> {
    /// Returns true for a mark around reasoning.
    pub(super) fn is_reasoning(&self) -> bool {
        let name = &*self.name;
        let attributes = self.attributes.to_ascii_lowercase();
        REASONING_NAMES.contains(&name)
            || REASONING_WORDS.iter().any(|word| name.contains(word))
            || name == "details" && REASONING_WORDS.iter().any(|word| attributes.contains(word))
    }

    /// Returns true for a mark around Python.
    pub(super) fn is_code(&self) -> bool {
        CODE.contains(&&*self.name)
    }

    /// Returns true for a mark around calls of tools, or one call.
    pub(super) fn is_call(&self) -> bool {
        let name = &*self.name;
        let has_name = self.value.is_some();
        // `<function>` without a name is prose, and `<|call|>` the end of a message.
        CALLS.contains(&name)
            && !(name == "function" && !has_name && !self.is_token)
            && !(name == "call" && self.is_token)
    }

    /// Returns true for a mark of a result, which only the host may write.
    pub(super) fn is_result(&self) -> bool {
        RESULTS.contains(&&*self.name)
    }

    /// Returns true for a mark at the end of a model's message, or at the start of another message.
    pub(super) fn ends_message(&self) -> bool {
        let name = &*self.name;
        self.is_token && END_OF_MESSAGE.contains(&name)
            || self.is_token && self.closes && matches!(name, "text" | "sentence")
            || name == "turn"
            || name == "s" && self.closes
    }
}

/// Parts of the names of marks in square brackets. Other texts in brackets are lists.
const BRACKETED: [&str; 7] = [
    "think", "thought", "reason", "tool", "python", "args", "call_id",
];

/// Parts of the names of marks around reasoning.
const REASONING_WORDS: [&str; 8] = [
    "think",
    "thought",
    "reasoning",
    "reflect",
    "scratchpad",
    "monologue",
    "rationale",
    "deliberat",
];
/// Further names. Medgemma has two unused tokens in place of marks.
const REASONING_NAMES: [&str; 11] = [
    "analysis",
    "analyze",
    "cot",
    "chain_of_reason",
    "internal",
    "inner",
    "plan",
    "planning",
    "reason",
    "unused94",
    "unused95",
];

const CODE: [&str; 23] = [
    "code",
    "code_block",
    "code_interpreter",
    "codeact",
    "codeblock",
    "exec",
    "execute",
    "execute_code",
    "execute_ipython",
    "execute_python",
    "execute_python_code",
    "interpreter",
    "ipython",
    "py",
    "python",
    "python3",
    "python_code",
    "python_interpreter",
    "python_tag",
    "pythoncode",
    "run_code",
    "run_python",
    "tool_code",
];

const CALLS: [&str; 18] = [
    "action",
    "call",
    "function",
    "function_call",
    "function_calls",
    "functioncall",
    "invoke",
    "plugin",
    "tool",
    "tool_call",
    "tool_calls",
    "tool_calls_section",
    "tool_request",
    "tool_use",
    "toolcall",
    "tool_call_section",
    "toolcalls",
    "tools",
];

const RESULTS: [&str; 14] = [
    "code_output",
    "execution_output",
    "execution_result",
    "function_response",
    "function_result",
    "function_results",
    "interpreter_output",
    "ipython_output",
    "observation",
    "tool_output",
    "tool_outputs",
    "tool_response",
    "tool_result",
    "tool_results",
];

const END_OF_MESSAGE: [&str; 10] = [
    "endoftext",
    "eom_id",
    "eos",
    "eot_id",
    "header_id",
    "human",
    "im",
    "observation",
    "system",
    "user",
];
