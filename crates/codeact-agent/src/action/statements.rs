//! Statements in the prose around code. Code that is run must not lack a line that the model wrote outside of the block.

use super::likeness::judge;
use super::names::Names;
use super::text::trim_blank_lines;

/// Statements in a section of prose.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statements<'a> {
    None,
    /// The section is code without a fence.
    All,
    /// A line is code for certain, and others are prose.
    Some(&'a str),
}

/// Returns the statements in `prose`. `later` has the names of the code after it; `has_before` and `has_after` are true if
/// there is code on this side.
///
/// An assignment such as `x = 5` is also a line of an explanation. It is a statement if the code after it needs its name,
/// or if the section has nothing else and is between code. After the code it may state a result.
pub(super) fn statements<'a>(
    prose: &'a str,
    later: &Names,
    has_before: bool,
    has_after: bool,
) -> Statements<'a> {
    let text = trim_blank_lines(prose);
    let judged = judge(text);
    if judged.bad == 0 {
        let is_needed = || judged.assignments > 0 && (has_before || later.need(text));
        if judged.answers || has_after && (judged.strong > 0 || is_needed()) {
            // `Area: a = b * c` is an annotation in Python, and a label in prose.
            return match text.lines().find(|line| has_label(line)) {
                Some(line) => Statements::Some(line),
                None => Statements::All,
            };
        }
        return match judged.first_strong {
            Some(at) => Statements::Some(first_line(&text[at..])),
            None => Statements::None,
        };
    }
    match text.lines().find(|line| has_statement(line, later)) {
        Some(line) => Statements::Some(line),
        None => Statements::None,
    }
}

/// Returns true if a line of prose is a statement, or has one that the code after it needs: indented, as an item, or between
/// backticks.
fn has_statement(line: &str, later: &Names) -> bool {
    let is_needed = |text: &str| {
        let judged = judge(text);
        judged.bad == 0 && judged.assignments + judged.strong > 0 && later.need(text)
    };
    let judged = judge(line);
    let item = line.trim_start_matches([' ', '\t', '-', '*', '>']);
    judged.bad == 0 && judged.strong > 0
        || is_needed(item)
        || line.split('`').skip(1).step_by(2).any(is_needed)
}

fn has_label(line: &str) -> bool {
    let word = line.find(|c: char| !c.is_alphanumeric() && c != '_');
    word.is_some_and(|end| line[end..].starts_with(": ") && line.contains('='))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or(text)
}
