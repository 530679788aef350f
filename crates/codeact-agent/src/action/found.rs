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
use super::names::Names;
use super::pythonic::code_tool_calls;
use super::react;
use super::statements::{Statements, statements};
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
    /// A statement in the prose around the code.
    pub(super) statement: Option<String>,
}

impl<'a> Found<'a> {
    /// Returns what the parts of `scan` have.
    pub(super) fn of(scan: &Scan<'a>) -> Self {
        let mut found = Self::default();
        // Prose, each with the number of texts of code before it.
        let mut sections: Vec<(usize, String)> = Vec::new();
        for part in &scan.parts {
            match part {
                Part::Prose(prose) => match sections.last_mut() {
                    Some((at, text)) if *at == found.code.len() => text.push_str(prose),
                    _ => sections.push((found.code.len(), (*prose).to_owned())),
                },
                Part::Block(block) => found.add_block(*block),
                Part::Calls(calls, _) => found.add_calls(calls),
            }
        }
        found.add_sections(sections);
        found
    }

    /// Adds the prose, and the statements in it in their place between the code.
    fn add_sections(&mut self, sections: Vec<(usize, String)>) {
        let mut later = Names::default();
        let mut ordered = Vec::with_capacity(self.code.len());
        let mut prose = Vec::with_capacity(sections.len());
        let number = self.code.len();
        let mut blocks = std::mem::take(&mut self.code);
        for (at, text) in sections.into_iter().rev() {
            for code in blocks.drain(at..).rev() {
                later.add(&code);
                ordered.push(code);
            }
            match number {
                0 => prose.push(text),
                _ => match statements(&text, &later, at > 0, at < number) {
                    Statements::None => prose.push(text),
                    Statements::All => {
                        let source = tidy_code(&text);
                        later.add(&source);
                        ordered.push(source);
                    }
                    Statements::Some(line) => {
                        self.statement = Some(line.to_owned());
                        prose.push(text);
                    }
                },
            }
        }
        ordered.extend(blocks.into_iter().rev());
        ordered.reverse();
        prose.reverse();
        self.code = ordered;
        self.prose = prose.concat();
    }

    /// Returns the code of all blocks, separated by blank lines.
    pub(super) fn code(&self) -> Option<String> {
        let (mut later, mut is_answered) = (Names::default(), false);
        // A block that gives an answer is complete: another one after it replaces it. A later block may need its names.
        let blocks = self.code.iter().rev().filter_map(|code| {
            let begin = before_answer(code);
            let gives_answer = begin.len() < code.len();
            let is_left = match is_answered && gives_answer {
                true => later.need(begin).then_some(begin),
                false => Some(code.as_str()),
            };
            later.add(code);
            is_answered |= gives_answer;
            is_left
        });
        let mut blocks: Vec<_> = blocks.collect();
        blocks.reverse();
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
        // A fence around a call with marks, which are never Python or data, or with labels.
        let has_marks = marks::mark(body.trim_start()).is_some_and(|mark| mark.is_call());
        let has_labels = block.language != Language::Python && react::begins_call(body);
        if has_marks || has_labels {
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
                    self.add_code(source);
                } else {
                    self.text.push(body);
                }
            }
            Language::Program(name) => self.program = Some(name.to_owned()),
            _ => self.text.push(body),
        }
    }

    fn add_code(&mut self, source: String) {
        if let Some(calls) = code_tool_calls(&source) {
            return self.add_calls(&calls);
        }
        // A model may write the same code in two markups.
        if !source.is_empty() && self.code.last() != Some(&source) {
            self.code.push(source);
        }
    }
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
