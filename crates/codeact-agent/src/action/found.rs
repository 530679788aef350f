//! What the blocks and calls of a reply have: code, an answer, or something that cannot be run.

use super::blocks::{Block, Part, Scan, scan};
use super::call::Call;
use super::json;
use super::language::Language;
use super::lexer::{Kind, StringState, tokens};
use super::likeness::judge;
use super::loose_json;
use super::marks;
use super::meaning::{Meaning, meaning};
use super::text::trim_blank_lines;
use super::tidy::tidy_code;

/// Contents of the parts of a reply.
#[derive(Default)]
pub(super) struct Found<'a> {
    pub(super) prose: String,
    /// Python.
    code: Vec<String>,
    /// JSON.
    pub(super) data: Vec<&'a str>,
    /// Other blocks.
    pub(super) text: Vec<&'a str>,
    /// Name of a language that the model may have meant to run.
    pub(super) program: Option<String>,
    /// Name of a tool that is called.
    pub(super) tool: Option<String>,
    /// The argument of a call of `final_answer`.
    pub(super) answer: Option<String>,
    /// True if a call has code that is empty.
    pub(super) has_empty_code: bool,
}

impl<'a> Found<'a> {
    /// Returns what the parts of `scan` have.
    pub(super) fn of(scan: &Scan<'a>) -> Self {
        let mut found = Self::default();
        for part in &scan.parts {
            match part {
                Part::Prose(prose) => found.prose.push_str(prose),
                Part::Block(block) => found.add_block(*block),
                Part::Calls(calls, _) => found.add_calls(calls),
            }
        }
        found
    }

    /// Returns the code of all blocks, separated by blank lines.
    pub(super) fn code(&self) -> Option<String> {
        let last = self.code.iter().rposition(|code| gives_answer(code));
        // A block that gives an answer is complete: another one after it replaces it. A later block may need its names.
        let blocks = self.code.iter().enumerate().filter_map(|(n, code)| {
            let is_replaced = last.is_some_and(|last| n < last) && gives_answer(code);
            if !is_replaced {
                return Some(code.as_str());
            }
            let rest = self.code.get(n + 1..).unwrap_or_default();
            let begin = before_answer(code);
            (uses_names_of(rest, begin)).then_some(begin)
        });
        let blocks: Vec<_> = blocks.collect();
        (!blocks.is_empty()).then(|| blocks.join("\n\n"))
    }

    /// Adds what `calls` have.
    pub(super) fn add_calls(&mut self, calls: &[Call]) {
        calls.iter().for_each(|call| self.add(meaning(call)));
    }

    fn add(&mut self, meaning: Meaning) {
        match meaning {
            Meaning::Code(source) => self.add_code(source),
            Meaning::Answer(answer) => self.answer = Some(answer),
            Meaning::Program(name) => self.program = Some(name),
            Meaning::Tool(name) => self.tool = Some(name),
            Meaning::Empty => self.has_empty_code = true,
        }
    }

    fn add_block(&mut self, block: Block<'a>) {
        let body = trim_blank_lines(block.body);
        if body.is_empty() {
            return;
        }
        let may_be_data = match block.language {
            Language::Python => body.trim_start().starts_with('{'),
            Language::Unnamed | Language::Data => true,
            _ => false,
        };
        let json = may_be_data.then(|| loose_json::read(body.trim())).flatten();
        if let Some(json) = json {
            let is_whole = json.is_complete && json.end == body.trim().len();
            // In a block of Python, an object is a dict unless it calls a code tool.
            let is_call = is_whole || !json.is_complete || block.language == Language::Data;
            let calls = json::calls(&json.value, json.is_complete);
            if is_call && !calls.is_empty() && (is_whole || block.language != Language::Python) {
                return self.add_calls(&calls);
            }
            if is_whole && block.language != Language::Python {
                return self.data.push(body);
            }
        }
        // A fence around a call with marks, which are never Python or data.
        if marks::mark(body.trim_start()).is_some_and(|mark| mark.is_call()) {
            for part in &scan(body).parts {
                if let Part::Calls(calls, _) = part {
                    return self.add_calls(calls);
                }
            }
        }
        match block.language {
            Language::Data => self.data.push(body),
            Language::Python => self.add_code(tidy_code(body)),
            Language::Unnamed => {
                let source = tidy_code(body);
                if judge(&source).is_python_in_fence() {
                    self.code.push(source);
                } else {
                    self.text.push(body);
                }
            }
            Language::Program(name) => self.program = Some(name.to_owned()),
            _ => self.text.push(body),
        }
    }

    fn add_code(&mut self, source: String) {
        // A model may write the same code in two markups.
        if !source.is_empty() && self.code.last() != Some(&source) {
            self.code.push(source);
        }
    }
}

/// Returns true if the last statement of `code` is a call of `final_answer`.
fn gives_answer(code: &str) -> bool {
    before_answer(code).len() < code.len()
}

/// Returns the code before its last statement, if that is a call of `final_answer`, else all of it.
fn before_answer(code: &str) -> &str {
    let (mut state, mut depth, mut at, mut last) = (StringState::default(), 0usize, 0, None);
    for line in code.split_inclusive('\n') {
        let text = line.trim_end_matches('\n');
        if !state.is_open() && depth == 0 && !text.trim().is_empty() && !text.starts_with('#') {
            let is_answer =
                text.starts_with("final_answer(") || text.starts_with("await final_answer(");
            last = is_answer.then_some(at);
        }
        for token in tokens(&mut state, text) {
            match token.kind {
                Kind::Open => depth += 1,
                Kind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        at += line.len();
    }
    code[..last.unwrap_or(code.len())].trim_end()
}

/// Returns true if one of `blocks` uses a name that `code` binds at the start of a line and the blocks do not.
fn uses_names_of(blocks: &[String], code: &str) -> bool {
    let bound = bound_names(code);
    let own: Vec<_> = blocks.iter().flat_map(|block| bound_names(block)).collect();
    let mut names = bound
        .into_iter()
        .filter(|name| !own.contains(name))
        .peekable();
    if names.peek().is_none() {
        return false;
    }
    let mut used = std::collections::HashSet::new();
    for block in blocks {
        let mut state = StringState::default();
        for line in block.lines() {
            let words = tokens(&mut state, line).filter(|token| token.kind == Kind::Name);
            used.extend(words.map(|token| &line[token.start..token.end]));
        }
    }
    names.any(|name| used.contains(name))
}

/// Returns the names that assignments, definitions and imports at the start of a line bind.
fn bound_names(code: &str) -> std::collections::HashSet<&str> {
    let mut names = std::collections::HashSet::new();
    let mut state = StringState::default();
    for line in code.lines() {
        let begins = !state.is_open() && !line.starts_with([' ', '\t', '#']);
        let words: Vec<_> = tokens(&mut state, line).collect();
        if !begins {
            continue;
        }
        let text = |token: &super::lexer::Token| &line[token.start..token.end];
        let first = words.first().map_or("", text);
        let target_end = match first {
            "import" | "from" | "def" | "class" | "async" | "for" | "with" => words.len(),
            _ => words
                .iter()
                .position(|token| token.kind == Kind::Assign)
                .unwrap_or(0),
        };
        let targets = words
            .iter()
            .take(target_end)
            .filter(|token| token.kind == Kind::Name);
        names.extend(targets.map(text));
    }
    names
}
