//! Sessions of the Python prompt and of IPython: lines with a prompt are code, and the others are output.
//!
//! A line without a prompt may also be code that lacks it. A session with such a line is not read, because the line would
//! be lost.

use std::collections::HashSet;

use super::fence::CodeState;
use super::lexer::{Kind, StringState, tokens};
use super::likeness::{is_keyword, judge};
use super::names::bound_names;

/// Returns the input of a session. `None` if `body` does not begin with a prompt, or if a line without one may be code.
pub(super) fn without_prompts(body: &str) -> Option<String> {
    let first = body.trim_start();
    let read = if is_doctest(first) {
        doctest_input
    } else if ipython_input(first.lines().next()?).is_some() {
        ipython_input
    } else {
        return None;
    };
    let mut session = Session::default();
    for line in body.lines() {
        let text = line.trim_start();
        match read(text) {
            Some((code, is_new)) => session.input(code, is_new),
            None if session.may_be_code(line) => return None,
            None => {}
        }
    }
    Some(session.input.join("\n").trim_end().to_owned())
}

/// Returns the first line of `source` with a prompt, where a statement begins.
pub(super) fn first_prompt(source: &str) -> Option<&str> {
    let mut state = CodeState::default();
    for line in source.lines() {
        let has_prompt =
            || is_doctest(line) || line.starts_with("In [") && ipython_input(line).is_some();
        if state.is_between_statements() && has_prompt() {
            return Some(line);
        }
        state.skip_line(line);
    }
    None
}

/// Returns the offset of the first line of `text` with a prompt of Python.
pub(super) fn begin_of_session(text: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if is_doctest(line.trim_start()) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn is_doctest(text: &str) -> bool {
    text.strip_prefix(">>>")
        .is_some_and(|rest| rest.starts_with([' ', '\n']) || rest.is_empty())
}

/// Returns the text after a prompt, and whether it begins a statement.
fn doctest_input(line: &str) -> Option<(&str, bool)> {
    let (rest, is_new) = match line.strip_prefix(">>>") {
        Some(rest) => (rest, true),
        None => (line.strip_prefix("...")?, false),
    };
    Some((rest.strip_prefix(' ').unwrap_or(rest), is_new))
}

/// Returns the text after `In [1]: ` or `...: `, and whether it begins a statement.
fn ipython_input(line: &str) -> Option<(&str, bool)> {
    let (rest, is_new) = match line.strip_prefix("In [") {
        Some(rest) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
            (rest.strip_prefix("]:")?, true)
        }
        None => (line.strip_prefix("...:")?, false),
    };
    Some((rest.strip_prefix(' ').unwrap_or(rest), is_new))
}

/// A session that is being read.
#[derive(Default)]
struct Session<'a> {
    input: Vec<&'a str>,
    /// Index of the first line of the last statement in `input`.
    statement: usize,
    /// Open strings and brackets of the last statement.
    state: CodeState,
    /// Names that assignments bind.
    assigned: HashSet<&'a str>,
}

impl<'a> Session<'a> {
    fn input(&mut self, code: &'a str, is_new: bool) {
        if is_new {
            self.statement = self.input.len();
            self.state = CodeState::default();
        }
        self.state.skip_line(code);
        let is_definition = matches!(first_word(code), "class" | "def");
        if is_definition || judge(code).assignments > 0 {
            self.assigned.extend(bound_names(code));
        }
        self.input.push(code);
    }

    /// Returns true if a line without a prompt, after the last statement, may be code.
    fn may_be_code(&self, line: &str) -> bool {
        if line.trim().is_empty() || line.starts_with("Out[") {
            return false;
        }
        // The statement goes on, in a string or in brackets.
        if !self.state.is_between_statements() {
            return true;
        }
        // In a traceback and in tables, lines are indented.
        let judged = judge(line);
        if line.starts_with([' ', '\t']) || judged.bad > 0 {
            return false;
        }
        let first = first_word(line);
        if judged.lines > 0 && self.is_silent() {
            return true;
        }
        if judged.assignments > 0 {
            return !self.prints(line);
        }
        if is_keyword(first) && !matches!(first, "not" | "lambda" | "await") {
            return true;
        }
        // A call can be the representation of a value, as in `array([1, 2])`.
        let is_statement = matches!(
            first,
            "await" | "display" | "exec" | "final_answer" | "print"
        );
        judged.strong > 0
            && (is_statement || self.assigned.contains(first) || !self.may_have_output())
    }

    fn last_statement(&self) -> &[&'a str] {
        self.input.get(self.statement..).unwrap_or_default()
    }

    /// Returns true if a string of the last statement has the text of `line` up to its equals sign, as in `print(f"x = {x}")`.
    fn prints(&self, line: &str) -> bool {
        let target = line.split('=').next().unwrap_or("").trim();
        let mut state = StringState::default();
        !target.is_empty()
            && self.last_statement().iter().any(|code| {
                tokens(&mut state, code).any(|token| {
                    token.kind == Kind::Str && code[token.start..token.end].contains(target)
                })
            })
    }

    /// Returns true if the last statement is an assignment without a call, which has no output.
    fn is_silent(&self) -> bool {
        let is_call = |code: &&str| code.contains('(');
        let statement = self.last_statement();
        statement
            .first()
            .is_some_and(|code| judge(code).assignments > 0)
            && !statement.iter().any(is_call)
    }

    /// Returns true if the last statement has a value or runs other statements. An assignment or an import has no output.
    fn may_have_output(&self) -> bool {
        let first = self.last_statement().first().copied().unwrap_or("");
        let is_silent = judge(first).assignments > 0;
        !is_silent
            && !matches!(
                first_word(first),
                "import" | "from" | "def" | "class" | "del"
            )
    }
}

fn first_word(line: &str) -> &str {
    let line = line.trim_start();
    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_');
    &line[..end.unwrap_or(line.len())]
}
