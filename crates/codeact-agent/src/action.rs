//! Parses a model's reply into an [`Action`].
//!
//! [`parse`] accepts the formats that models send, not only the one that the prompt requests: fences with or without a
//! language, tags, several blocks, bare code, JSON, reasoning, and invented results. A reply is untrusted: no text causes
//! a panic or recursion, and the time is linear in its length. `blocks` has the argument for the only place that reads
//! text twice.
//!
//! `text` normalises the reply; `blocks` splits it into prose and blocks, with `fence` and `language`; `likeness` decides
//! if a text without a language is Python, with `lexer`; `json` reads JSON.

mod blocks;
mod fence;
mod json;
mod language;
mod lexer;
mod likeness;
#[cfg(test)]
mod tests;
mod text;

use blocks::{Block, Part, Scan, is_observation, scan};
use json::JsonReply;
use language::Language;
use lexer::{StringState, skip_line};
use likeness::judge;
use text::{normalise, tidy_code, trim_blank_lines};

/// Limit of a reply, in bytes. A longer one is [`Action::Unreadable`].
pub const MAX_REPLY_BYTES: usize = 1 << 20;

/// The meaning of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Python to run.
    Code {
        /// Code of all blocks in order, separated by blank lines.
        source: String,
        /// Prose around the code, without reasoning and blocks of other languages.
        said: String,
    },
    /// An answer without code.
    Answer(String),
    /// Neither code nor an answer.
    Unreadable {
        /// Message for the model: the problem, and the expected format.
        reason: String,
    },
}

/// Expected form of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// A step of an agent: prose, code, or both.
    Agent,
    /// Only a program, with at most one fence around it.
    Once,
}

/// Parses a reply.
///
/// ```
/// use codeact_agent::{Action, Mode, parse};
///
/// let action = parse("I add.\n```python\nprint(1 + 2)\n```", Mode::Agent);
/// assert!(matches!(action, Action::Code { source, .. } if source == "print(1 + 2)"));
/// assert_eq!(parse("Paris", Mode::Agent), Action::Answer("Paris".into()));
/// ```
pub fn parse(reply: &str, mode: Mode) -> Action {
    if reply.len() > MAX_REPLY_BYTES {
        return unreadable(format!(
            "The reply has {} bytes; at most {MAX_REPLY_BYTES} are read. Send a shorter one: read \
             large data in code instead of writing it out.",
            reply.len()
        ));
    }
    let text = normalise(reply);
    match mode {
        Mode::Agent => agent(&text),
        Mode::Once => once(&text),
    }
}

const SEND: &str = "Send Python in one ```python block, or the answer as plain text.";
const SEND_ONLY: &str = "Send only the Python program, bare or in one ```python block.";

fn unreadable(reason: String) -> Action {
    Action::Unreadable { reason }
}

fn code(source: String, said: &str) -> Action {
    let said = said.trim().to_owned();
    Action::Code { source, said }
}

/// Parses a reply of an agent's step.
fn agent(text: &str) -> Action {
    if let Some(action) = bare_code(text) {
        return action;
    }
    let scan = scan(text);
    let mut found = Found::default();
    for part in &scan.parts {
        match part {
            Part::Prose(prose) => found.prose.push_str(prose),
            Part::Block(block) => found.add(*block),
        }
    }
    if !found.code.is_empty() {
        return code(found.code.join("\n\n"), &found.prose);
    }
    if let Some(action) = without_code(&scan, &found) {
        return action;
    }
    nothing(&scan)
}

/// Returns the action of a reply that is entirely Python, up to an invented result.
fn bare_code(text: &str) -> Option<Action> {
    let mut end = text.len();
    let mut at = 0;
    let mut strings = StringState::default();
    for line in text.split_inclusive('\n') {
        if at > 0 && !strings.is_open() && is_observation(line) {
            end = at;
            break;
        }
        skip_line(&mut strings, line.trim_end_matches('\n'));
        at += line.len();
    }
    // If a prompt ends in "```", the reply begins with the language.
    let body = trim_blank_lines(&text[..end]);
    let body = ["python\n", "Code:\n"]
        .iter()
        .find_map(|label| body.strip_prefix(label))
        .unwrap_or(body);
    let source = tidy_code(body);
    judge(&source).is_python().then(|| code(source, ""))
}

/// Contents of the parts of a reply.
#[derive(Default)]
struct Found<'a> {
    prose: String,
    /// Python.
    code: Vec<String>,
    /// JSON.
    data: Vec<&'a str>,
    /// Other blocks.
    text: Vec<&'a str>,
    /// Name of a language that the model may have meant to run.
    program: Option<&'a str>,
    /// Name of a tool that is called as JSON.
    tool: Option<String>,
}

impl<'a> Found<'a> {
    fn add(&mut self, block: Block<'a>) {
        let body = trim_blank_lines(block.body);
        if body.is_empty() {
            return;
        }
        let json = match block.language {
            Language::Python if !body.trim_start().starts_with('{') => None,
            Language::Python | Language::Unnamed | Language::Data => json::read(body),
            _ => None,
        };
        match (block.language, json) {
            (_, Some(JsonReply::Code(source))) => self.add_code(&source),
            (_, Some(JsonReply::ToolCall(name))) => self.tool = Some(name),
            (_, Some(JsonReply::Answer(_))) | (Language::Data, None) => self.data.push(body),
            (Language::Python, None) => self.add_code(body),
            (Language::Unnamed, None) => {
                let source = tidy_code(body);
                if judge(&source).is_python_in_fence() {
                    self.code.push(source);
                } else {
                    self.text.push(body);
                }
            }
            (Language::Program(name), None) => self.program = Some(name),
            (_, None) => self.text.push(body),
        }
    }
}

impl Found<'_> {
    fn add_code(&mut self, body: &str) {
        let source = tidy_code(body);
        if !source.is_empty() {
            self.code.push(source);
        }
    }
}

/// Returns the action of a reply without a block of Python: bare code after prose, an answer, or unreadable. `None` if it
/// has no content.
fn without_code(scan: &Scan<'_>, found: &Found<'_>) -> Option<Action> {
    // A closing fence without an opening one after bare code is parsed as the start of a block.
    if let Some(Part::Prose(_)) = scan.parts.first() {
        let prose = scan.parts.iter().map_while(|part| match part {
            Part::Prose(prose) => Some(*prose),
            Part::Block(_) => None,
        });
        if let Some(action) = bare_code(&prose.collect::<String>()) {
            return Some(action);
        }
    }
    if let Some(name) = &found.tool {
        return Some(tool_call(name));
    }
    if let Some(name) = found.program {
        return Some(unreadable(format!(
            "The reply holds {name}; only Python can be run here. {SEND}"
        )));
    }
    if let [data] = found.data.as_slice() {
        return Some(json_reply(data));
    }
    let prose = found.prose.trim();
    if found.data.is_empty() && found.text.is_empty() {
        return if prose.is_empty() {
            None
        } else {
            Some(prose_reply(prose))
        };
    }
    if prose.is_empty()
        && let [text] = found.text.as_slice()
    {
        return Some(Action::Answer(text.trim().to_owned()));
    }
    let whole = scan.parts.iter().map(|part| match part {
        Part::Prose(prose) => prose,
        Part::Block(block) => block.raw,
    });
    Some(Action::Answer(whole.collect::<String>().trim().to_owned()))
}

fn tool_call(name: &str) -> Action {
    let name: String = name.chars().take(64).collect();
    unreadable(format!(
        "The reply calls the tool {name:?} as JSON; tools are Python functions here. Call it in \
         one ```python block and print what it returns."
    ))
}

fn json_reply(text: &str) -> Action {
    match json::read(text) {
        Some(JsonReply::Code(source)) => match tidy_code(&source) {
            empty if empty.is_empty() => unreadable(format!("The reply's code is empty. {SEND}")),
            source => code(source, ""),
        },
        Some(JsonReply::ToolCall(name)) => tool_call(&name),
        Some(JsonReply::Answer(answer)) => Action::Answer(answer),
        None => Action::Answer(text.trim().to_owned()),
    }
}

/// Returns the action of prose, or of bare code with prose around it.
fn prose_reply(prose: &str) -> Action {
    if json::read(prose).is_some() {
        return json_reply(prose);
    }
    let whole = judge(prose);
    if let Some(at) = whole.first_strong {
        let (said, rest) = prose.split_at(at);
        let tail = judge(rest);
        if tail.is_python() && (tail.answers || tail.strong >= 2) {
            return code(tidy_code(rest), said);
        }
    }
    if whole.is_mixed() {
        return unreadable(format!(
            "The reply mixes Python and prose without a fence, so where the code ends cannot be \
             told{}. {SEND}",
            quoted(whole.first_bad)
        ));
    }
    Action::Answer(prose.to_owned())
}

/// Returns `line` as an example for a message, shortened.
fn quoted(line: Option<&str>) -> String {
    let line = line.unwrap_or("").trim();
    if line.is_empty() {
        return String::new();
    }
    let short: String = line.chars().take(60).collect();
    format!(" (for example: {short:?})")
}

/// Returns the action of a reply without content.
fn nothing(scan: &Scan<'_>) -> Action {
    let has_block = scan.parts.iter().any(|part| matches!(part, Part::Block(_)));
    let problem = if scan.ends_in_reasoning {
        "The reply ends inside its reasoning, before any code or answer. Think more briefly."
    } else if has_block {
        "The reply's code block is empty."
    } else if scan.has_reasoning {
        "The reply holds only reasoning."
    } else {
        "The reply is empty."
    };
    unreadable(format!("{problem} {SEND}"))
}

/// Parses a reply that must be a program only.
fn once(text: &str) -> Action {
    let refuse = |problem: String| unreadable(format!("{problem} {SEND_ONLY}"));
    let judged = judge(text);
    if judged.is_python() {
        return code(tidy_code(text), "");
    }
    let scan = scan(text);
    let parts = scan.parts.iter();
    let prose: String = parts
        .filter_map(|part| match part {
            Part::Prose(prose) => Some(*prose),
            Part::Block(_) => None,
        })
        .collect();
    let mut blocks = scan.parts.iter().filter_map(|part| match part {
        Part::Block(block) => Some(block),
        Part::Prose(_) => None,
    });
    let prose = trim_blank_lines(&prose);
    match (blocks.next(), blocks.next()) {
        (None, _) if prose.is_empty() => nothing(&scan),
        (None, _) => {
            let judged = judge(prose);
            if judged.bad > 0 {
                let line = quoted(judged.first_bad);
                return refuse(format!("The reply holds prose or a syntax error{line}."));
            }
            code(tidy_code(prose), "")
        }
        (Some(_), Some(_)) => refuse("The reply holds more than one code block.".to_owned()),
        (Some(_), None) if !prose.is_empty() => {
            let line = quoted(prose.lines().next());
            refuse(format!(
                "The reply holds prose around the code block{line}."
            ))
        }
        (Some(block), None) => match block.language {
            _ if tidy_code(block.body).is_empty() => refuse("The code block is empty.".to_owned()),
            Language::Python => code(tidy_code(block.body), ""),
            Language::Unnamed if judge(block.body).bad == 0 => code(tidy_code(block.body), ""),
            Language::Program(name) => refuse(format!(
                "The reply holds {name}; only Python can be run here."
            )),
            _ => refuse("The code block does not hold Python.".to_owned()),
        },
    }
}
