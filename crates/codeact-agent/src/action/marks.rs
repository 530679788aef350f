//! Marks: the tags and special tokens with which models and chat templates structure a reply, such as `<think>`,
//! `[/THINK]`, `<|im_end|>`, `<function=python>` or `<｜tool▁call▁begin｜>`.
//!
//! All shapes are read by one function into one form, and the tables of `mark_kinds` name the meanings. So a mark that is
//! not in the tables in exactly this shape is recognised as well.

use super::mark_kinds::{is_bracketed, is_known_name};
use super::steps;

/// Characters at the start of a mark.
pub(super) const STARTS: [char; 4] = ['<', '[', '◁', '‹'];

/// Limit of a mark, in bytes. A longer text in brackets is prose.
const MAX_MARK_BYTES: usize = 200;
/// Limit of a mark's name, in bytes.
const MAX_NAME_BYTES: usize = 40;

/// Brackets of marks: the start and the possible ends.
const BRACKETS: [(&str, &[&str]); 6] = [
    ("<|", &["|>", ">"]),
    ("<｜", &["｜>"]),
    ("<", &["|>", ">"]),
    ("‹", &["›"]),
    ("[", &["]"]),
    ("◁", &["▷"]),
];
/// Ends of marks whose namespace is between bars, as in `<｜DSML｜invoke name="python">`.
const ENDS_AFTER_BARS: &[&str] = &["｜>", "|>", ">", "›"];

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
    if let Some(element) = element(whole) {
        return Some(element);
    }
    let (open, ends, (mut rest, slash)) = match after_namespace_in_bars(whole) {
        Some(rest) => ("<", ENDS_AFTER_BARS, rest),
        None => (*open, *ends, strip_slash(&whole[open.len()..])),
    };
    let name_len = name_len(rest)?;
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
    let is_text = match open {
        "[" => !is_plain || raw_name.bytes().any(|b| b.is_ascii_lowercase()),
        _ => !is_plain && !inner.starts_with([' ', '=', '\t', '/']),
    };
    if is_text || attributes.contains(['\n', '<']) {
        return None;
    }
    let (name, state) = normal_name(raw_name);
    if open == "[" && !is_bracketed(&name) {
        return None;
    }
    let token = open == "<|" || open == "<｜" || (open == "<" && end == "|>");
    Some(Mark {
        // `<channel|>` closes `<|channel>`.
        closes: slash || state == Some(true) || (open == "<" && end == "|>") || name == "unused95",
        name,
        value: value(attributes),
        attributes,
        is_token: token,
        len: whole.len() - inner.len() + end_at + end.len(),
    })
}

/// Returns the length of the name at the start of `text`.
fn name_len(text: &str) -> Option<usize> {
    text.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.:▁".contains(c))
        .filter(|len| (1..=MAX_NAME_BYTES).contains(len))
}

/// Returns the text after a namespace between bars, as in `<｜DSML｜invoke`, and whether a slash is before it.
fn after_namespace_in_bars(whole: &str) -> Option<(&str, bool)> {
    const BARS: [char; 2] = ['|', '｜'];
    const MAX_NAMESPACE_BYTES: usize = 16;
    // Models also write spaces between the parts.
    let rest = whole.strip_prefix(['<', '‹'])?.trim_start_matches(' ');
    let (rest, slash) = strip_slash(rest);
    let rest = rest.trim_start_matches(' ').strip_prefix(BARS)?;
    let (rest, inner_slash) = strip_slash(rest.trim_start_matches(' '));
    let len = rest.find(|c: char| !c.is_ascii_alphanumeric())?;
    let name = rest[len..].trim_start_matches(' ').strip_prefix(BARS)?;
    let name = name.trim_start_matches(' ');
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_namespace = (1..=MAX_NAMESPACE_BYTES).contains(&len) && is_name;
    is_namespace.then_some((name, slash || inner_slash))
}

/// Returns the mark of an element in the form of Kimi K3: `<|open|>call tool="python"<|sep|>`, `<|close|>call<|sep|>`.
fn element(whole: &str) -> Option<Mark<'_>> {
    const END: &str = "<|sep|>";
    let (rest, closes) = match whole.strip_prefix("<|open|>") {
        Some(rest) => (rest, false),
        None => (whole.strip_prefix("<|close|>")?, true),
    };
    let inner = &rest[..rest.find(END)?];
    let name_len = name_len(inner).or((1..=MAX_NAME_BYTES)
        .contains(&inner.len())
        .then_some(inner.len()))?;
    let attributes = inner[name_len..].trim();
    let (name, _) = normal_name(&inner[..name_len]);
    let name = match &*name {
        "call" => "invoke".to_owned(),
        "tools" => "tool_calls".to_owned(),
        "argument" => "parameter".to_owned(),
        _ => name,
    };
    Some(Mark {
        name,
        closes,
        value: value(attributes),
        attributes,
        is_token: true,
        len: whole.len() - rest.len() + inner.len() + END.len(),
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
    let lower = raw.to_ascii_lowercase().replace(['▁', '-', '.'], "_");
    let local = local_name(&lower);
    let local = local.strip_prefix("longcat_").unwrap_or(&local);
    let prefix = |words: &[&str]| words.iter().find_map(|word| local.strip_prefix(word));
    let suffix = |words: &[&str]| words.iter().find_map(|word| local.strip_suffix(word));
    let (name, state) = if let Some(name) = prefix(&OPENING).or_else(|| suffix(&OPENING_SUFFIX)) {
        (name, Some(false))
    } else if let Some(name) = prefix(&CLOSING).or_else(|| suffix(&CLOSING_SUFFIX)) {
        (name, Some(true))
    } else {
        (local, None)
    };
    // Solar: `<|tool_arg:start|>code<|tool_arg:value|>…<|tool_arg:end|>`.
    let name = match (name, state) {
        ("tool_arg", Some(false)) => "arg_key",
        ("tool_arg", Some(true)) => "arg_value",
        _ => name,
    };
    (name.to_owned(), state)
}

/// Returns the name without a namespace before or after it, as in `seed:think` and `think:opensource`. A word for a part of
/// a call belongs to the name, as in `tool_call:begin`.
fn local_name(lower: &str) -> String {
    let Some((before, after)) = lower.rsplit_once(':') else {
        return lower.to_owned();
    };
    match (before, after) {
        (_, "begin" | "start" | "end") => format!("{before}_{after}"),
        ("tool_call", "name") => "tool_name".to_owned(),
        ("tool_call", "args") => "arguments".to_owned(),
        ("tool_arg", "value") => "arg_value".to_owned(),
        _ if is_known_name(before) => before.to_owned(),
        _ => after.to_owned(),
    }
}

/// Returns the text after a leading `=`, or the attribute with the name, without quotes.
fn value(attributes: &str) -> Option<&str> {
    let value = match attributes.strip_prefix('=') {
        Some(value) => value,
        None => {
            let rest = ["name=", "tool=", "key="].iter().find_map(|key| {
                let at = attributes.find(key)?;
                Some(&attributes[at + key.len()..])
            })?;
            match rest.chars().next() {
                Some(quote @ ('"' | '\'')) => rest[1..].split(quote).next()?,
                _ => rest.split_whitespace().next()?,
            }
        }
    };
    let value = value.trim().trim_matches(['"', '\'']).trim();
    (!value.is_empty()).then_some(value)
}
