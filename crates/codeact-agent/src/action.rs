//! Parses a model's reply into an [`Action`].
//!
//! [`parse`] accepts the formats that models send, not only the one that the prompt requests: fences with or without a
//! language, marks, several blocks, bare code, calls of a code tool in any markup, reasoning, and invented results. A
//! reply is untrusted: no text causes a panic or unbounded recursion, and the time is linear in its length. `reader` has
//! the bound.
//!
//! Four rules apply. Reasoning is never run. A call of a code tool is run if it has code, and is never an answer; nor is any
//! text with a call of `final_answer` (`traces`). Code that is run lacks no statement of the reply (`statements`, `prompts`).
//! A text that may mean one thing or another is refused with a message.
//!
//! `text` normalises the reply; `marks` reads tags and tokens of any shape, and `mark_kinds` has their meanings; `blocks` splits
//! the reply into prose, blocks and calls, with `reasoning`, `fence`, `language`, `calls`, `react`, `pythonic`, `json` and
//! `loose_json`; `meaning` finds the code of a call, and `tidy` the code of a block; `likeness` decides if a text without a
//! language is Python, with `lexer`; `bare` and `marked_prose` read replies without a block, and `found` joins what the blocks
//! have.

mod bare;
mod blocks;
mod call;
mod call_parts;
mod calls;
mod fence;
mod found;
mod invented;
mod json;
mod language;
mod lexer;
mod likeness;
mod loose_json;
mod mark_kinds;
mod marked_prose;
mod marks;
mod meaning;
mod names;
mod observations;
mod prompts;
mod pythonic;
mod react;
mod reader;
mod reasoning;
mod statements;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod tidy;
mod traces;

use bare::{bare_code, calls_in_prose, code_after_a_word, inline_code, prose_with_code, unwrapped};
use blocks::{Part, Scan, scan};
use found::Found;
pub(super) use invented::{is_in_code, is_invented};
use language::Language;
use likeness::judge;
use marked_prose::{indented_code, labelled_code, session_after_prose};
use meaning::{Meaning, meaning};
use names::Names;
use prompts::first_prompt;
use statements::{Statements, statements};
use text::{normalise, trim_blank_lines, with_line_feeds_at_fences, without_quote_marks};
use tidy::tidy_code;

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

/// Returns the action for code. A session of a prompt that is left in it cannot be read for certain.
fn code(source: String, said: &str) -> Action {
    if let Some(line) = first_prompt(&source) {
        return mixed(Some(line));
    }
    let said = said.trim().to_owned();
    Action::Code { source, said }
}

/// Parses a reply of an agent's step. A text with traces of code is not an answer.
fn agent(text: &str) -> Action {
    let action = code_or_answer(text);
    let Action::Answer(answer) = &action else {
        return action;
    };
    let whole = scan(text).text_without_calls();
    match traces::first(answer).or_else(|| traces::first(&whole)) {
        Some(line) => mixed(Some(line)),
        None => action,
    }
}

fn code_or_answer(text: &str) -> Action {
    if let Some((source, said)) = code_after_a_word(text) {
        return code(source, said);
    }
    if let Some(source) = bare_code(text) {
        return code(source, "");
    }
    if let Some(text) = with_line_feeds_at_fences(text) {
        return blocks_or_prose(&text);
    }
    let action = blocks_or_prose(text);
    // A quoted block is used only if there is no other code.
    match (&action, without_quote_marks(text)) {
        (Action::Answer(_), Some(unquoted)) => match blocks_or_prose(&unquoted) {
            code @ Action::Code { .. } => code,
            _ => action,
        },
        _ => action,
    }
}

fn blocks_or_prose(text: &str) -> Action {
    let scan = scan(text);
    let found = Found::of(&scan);
    if let Some(source) = found.code() {
        // A call or a statement that is not read would be lost.
        if let Some(name) = &found.tool {
            return tool_call(name);
        }
        if calls_in_prose(&found.prose).is_some() {
            return mixed(found.prose.lines().find(|line| line.contains('{')));
        }
        let lost = found.statement.as_deref();
        return match lost.or_else(|| traces::markup(&found.prose)) {
            Some(line) => mixed(Some(line)),
            None => code(source, &found.prose),
        };
    }
    without_code(&scan, &found).unwrap_or_else(|| nothing(&scan))
}

/// Returns the action of a reply without a block of Python: bare code after prose, an answer, or unreadable. `None` if it
/// has no content.
fn without_code(scan: &Scan<'_>, found: &Found<'_>) -> Option<Action> {
    // A closing fence without an opening one after bare code is parsed as the start of a block.
    let prose = scan.parts.iter().map_while(|part| match part {
        Part::Prose(prose) => Some(*prose),
        _ => None,
    });
    let begin = prose.collect::<String>();
    if let Some(source) = bare_code(unwrapped(&begin).unwrap_or(&begin)) {
        return Some(code(source, ""));
    }
    if let Some(name) = &found.tool {
        return Some(tool_call(name));
    }
    if let Some(name) = &found.program {
        return Some(unreadable(format!(
            "The reply holds {name}; only Python can be run here. {SEND}"
        )));
    }
    if found.has_empty_code {
        return Some(unreadable(format!("The reply's code is empty. {SEND}")));
    }
    if let Some(answer) = &found.answer {
        return Some(Action::Answer(answer.clone()));
    }
    if let [data] = found.data.as_slice() {
        return Some(Action::Answer(data.trim().to_owned()));
    }
    let prose = found.prose.trim();
    if found.data.is_empty() && found.text.is_empty() {
        return match prose.is_empty() {
            true => None,
            false => Some(prose_reply(prose)),
        };
    }
    if prose.is_empty()
        && let [text] = found.text.as_slice()
    {
        return Some(Action::Answer(text.trim().to_owned()));
    }
    if let Some((source, said)) = inline_code(prose) {
        return Some(code_in_prose(source, &said));
    }
    Some(Action::Answer(scan.text().trim().to_owned()))
}

fn tool_call(name: &str) -> Action {
    let name: String = name.chars().take(64).collect();
    unreadable(format!(
        "The reply calls the tool {name:?} as JSON; tools are Python functions here. Call it in \
         one ```python block and print what it returns."
    ))
}

/// Returns the action of prose, or of bare code with prose around it.
fn prose_reply(prose: &str) -> Action {
    let found = prose_with_code(prose)
        .or_else(|| labelled_code(prose))
        .or_else(|| session_after_prose(prose))
        .or_else(|| inline_code(prose))
        .or_else(|| indented_code(prose));
    if let Some((source, said)) = found {
        return code_in_prose(source, &said);
    }
    if let Some((calls, said)) = calls_in_prose(prose) {
        let mut found = Found::default();
        found.add_calls(&calls);
        if let Some(source) = found.code() {
            return code(source, &said);
        }
        if let Some(name) = &found.tool {
            return tool_call(name);
        }
    }
    let whole = judge(prose);
    // A statement at the start of a reply is no answer either.
    if whole.is_mixed() || whole.bad > 0 && whole.first_strong == Some(0) {
        return mixed(whole.first_bad);
    }
    Action::Answer(prose.to_owned())
}

/// Returns the action for code after or within prose. Statements of the prose that the code needs belong to it.
fn code_in_prose(source: String, said: &str) -> Action {
    if let Some(line) = first_prompt(said).or_else(|| traces::first(said)) {
        return mixed(Some(line));
    }
    let mut names = Names::default();
    names.add(&source);
    match statements(said, &names, false, true) {
        Statements::None => code(source, said),
        Statements::All => code(format!("{}\n{source}", tidy_code(said)), ""),
        Statements::Some(line) => mixed(Some(line)),
    }
}

/// Returns the message for a reply of Python and prose; `line` is an example.
fn mixed(line: Option<&str>) -> Action {
    unreadable(format!(
        "The reply mixes Python and prose without a fence, so where the code ends cannot be \
         told{}. {SEND}",
        quoted(line)
    ))
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
    let has_block = scan
        .parts
        .iter()
        .any(|part| !matches!(part, Part::Prose(_)));
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
    let prose = scan.prose();
    let prose = trim_blank_lines(&prose);
    let mut blocks = scan
        .parts
        .iter()
        .filter(|part| !matches!(part, Part::Prose(_)));
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
        (Some(Part::Calls(calls, _)), None) => match calls.as_slice() {
            [call] => match meaning(call) {
                Meaning::Code(source) => code(source, ""),
                _ => refuse("The code block does not hold Python.".to_owned()),
            },
            _ => refuse("The reply holds more than one code block.".to_owned()),
        },
        (Some(Part::Block(block)), None) => match block.language {
            _ if tidy_code(block.body).is_empty() => refuse("The code block is empty.".to_owned()),
            Language::Python => code(tidy_code(block.body), ""),
            Language::Unnamed if judge(block.body).bad == 0 => code(tidy_code(block.body), ""),
            Language::Program(name) => refuse(format!(
                "The reply holds {name}; only Python can be run here."
            )),
            _ => refuse("The code block does not hold Python.".to_owned()),
        },
        (Some(Part::Prose(_)), None) => nothing(&scan),
    }
}
