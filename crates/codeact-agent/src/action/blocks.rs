//! Splits a reply into prose, blocks (fences and marks) and calls of tools, and drops reasoning.
//!
//! It is one pass over the text, line by line; [`Reader`] has the bound of its time.

use super::call::Call;
use super::calls;
use super::fence::{Closer, Opener, fence_opener, fence_run, is_quoted};
use super::json;
use super::language::{Language, language};
use super::likeness::judge;
use super::loose_json;
use super::marks::{Mark, STARTS, mark};
use super::observations::is_observation;
use super::pythonic::{begins_code_tool_list, code_tool_list};
use super::react;
use super::reader::{OpenBlock, Reader};
use super::reasoning;

/// A part of a reply.
#[derive(Clone, Debug)]
pub(super) enum Part<'a> {
    Prose(&'a str),
    Block(Block<'a>),
    /// Calls, and their text.
    Calls(Vec<Call>, &'a str),
}

impl<'a> Part<'a> {
    fn raw(&self) -> &'a str {
        match self {
            Part::Prose(prose) => prose,
            Part::Block(block) => block.raw,
            Part::Calls(_, raw) => raw,
        }
    }
}

/// A fenced or marked block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) language: Language<'a>,
    pub(super) body: &'a str,
    /// The block with its fence or marks.
    pub(super) raw: &'a str,
}

/// The parts of a reply.
#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// True if the reply had reasoning.
    pub(super) has_reasoning: bool,
    /// True if the reply ends inside reasoning.
    pub(super) ends_in_reasoning: bool,
    /// The block at the end of the reply without a closer.
    pub(super) open: Option<OpenBlock>,
}

impl<'a> Scan<'a> {
    /// Returns the prose without the rest.
    pub(super) fn prose(&self) -> String {
        let prose = self.parts.iter().filter_map(|part| match part {
            Part::Prose(prose) => Some(*prose),
            _ => None,
        });
        prose.collect()
    }

    /// Returns the text without reasoning.
    pub(super) fn text(&self) -> String {
        self.parts.iter().map(Part::raw).collect()
    }

    /// Returns the text without reasoning and calls.
    pub(super) fn text_without_calls(&self) -> String {
        let parts = self.parts.iter();
        let parts = parts.filter(|part| !matches!(part, Part::Calls(..)));
        parts.map(Part::raw).collect()
    }
}

/// Splits `text`, the output of [`super::text::normalise`].
pub(super) fn scan(text: &str) -> Scan<'_> {
    let text = reasoning::final_message(text).unwrap_or(text);
    let mut scanner = Scanner {
        reader: Reader::new(text),
        scan: Scan::default(),
        has_block: false,
        at: 0,
    };
    scanner.run();
    scanner.scan.open = scanner.reader.open;
    scanner.scan
}

/// Number of bytes of a block that are read to decide if a heading belongs to it.
const MAX_HEADED_BYTES: usize = 2000;

struct Scanner<'a> {
    reader: Reader<'a>,
    scan: Scan<'a>,
    /// True after a block or a call.
    has_block: bool,
    at: usize,
}

/// What is at a position of a line.
enum Event<'a> {
    Fence(Opener<'a>),
    /// A mark that begins reasoning, with the end of the reasoning.
    Reasoning(Option<usize>),
    EndOfReasoning(usize),
    Code(Opener<'a>),
    Calls(Vec<Call>, usize),
    /// A text without meaning, up to this offset.
    Skip(usize),
    /// The end of the model's own text.
    End,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        if let Some(end) = reasoning::end_of_phrases(&self.reader, self.reader.skip_blanks(0)) {
            self.scan.has_reasoning = true;
            self.at = end;
        }
        while self.at < self.reader.text.len() {
            let at = self.at;
            let (line, next) = self.reader.line(at);
            let begins_line = at == 0 || self.reader.text.as_bytes()[at - 1] == b'\n';
            if !begins_line && !self.reader.read_again(line.len()) {
                self.prose(at, self.reader.text.len());
                return;
            }
            if self.has_block && is_observation(line) && !self.is_heading(line, next) {
                return;
            }
            let Some((from, event)) = self.event(line, next) else {
                self.prose(at, next);
                self.at = next;
                continue;
            };
            self.prose(at, from);
            self.at = match event {
                Event::End => return,
                Event::Skip(end) => end,
                Event::Reasoning(end) => {
                    self.scan.has_reasoning = true;
                    let Some(end) = end else {
                        self.scan.ends_in_reasoning = true;
                        return;
                    };
                    end
                }
                // A chat template may have the opening mark in the prompt. Then the text so far is reasoning.
                Event::EndOfReasoning(end) => {
                    self.scan.parts.clear();
                    self.scan.has_reasoning = true;
                    self.has_block = false;
                    end
                }
                Event::Calls(calls, end) => {
                    self.has_block = true;
                    self.scan
                        .parts
                        .push(Part::Calls(calls, &self.reader.text[from..end]));
                    end
                }
                Event::Fence(opener) | Event::Code(opener) => self.block(at, next, opener),
            };
        }
    }

    fn prose(&mut self, from: usize, to: usize) {
        if from < to {
            self.scan
                .parts
                .push(Part::Prose(&self.reader.text[from..to]));
        }
    }

    /// Adds the block that `opener` begins in the line at `at`. Returns the offset after it.
    fn block(&mut self, at: usize, next: usize, opener: Opener<'a>) -> usize {
        if matches!(opener.language, Language::Wrapper) {
            return next;
        }
        let text = self.reader.text;
        let start = at + opener.at;
        let body = (at + opener.body).min(next);
        let end = self
            .reader
            .body(body, &opener.closer, opener.language.may_be_python());
        self.has_block = true;
        self.scan.parts.push(Part::Block(Block {
            language: opener.language,
            body: &text[body..end.body],
            raw: &text[start..end.next],
        }));
        end.next
    }

    /// Returns true if `line` is a heading of the Python block that follows, and not of an output.
    fn is_heading(&mut self, line: &str, next: usize) -> bool {
        let name = line.trim().trim_matches(['#', '*', ' ', ':', '_']);
        let at = self.reader.skip_blanks(next);
        let (fence, body) = self.reader.line(at);
        if !matches!(name, "Output" | "Execution output" | "User")
            || !self.reader.read_again(MAX_HEADED_BYTES)
        {
            return false;
        }
        let is_python =
            fence_run(fence).is_some_and(|(_, info)| matches!(language(info), Language::Python));
        let text = &self.reader.text[body..];
        let text = &text[..text.floor_char_boundary(MAX_HEADED_BYTES)];
        is_python && judge(text.split("\n```").next().unwrap_or("")).is_python()
    }

    /// Returns the first event in the rest of a line, and its offset in the text.
    fn event(&mut self, line: &'a str, next: usize) -> Option<(usize, Event<'a>)> {
        let at = self.at;
        let text = self.reader.text;
        let indent = line.len() - line.trim_start().len();
        let begin = &line[indent..];
        if let Some(event) = self.call_without_marks(begin, at + indent, next) {
            return Some((at + indent, event));
        }
        let fence = fence_opener(line, indent).or_else(|| {
            // A fence after prose, as in "Here it is: ```python", needs Python as its language.
            let at = line
                .find("```")
                .filter(|at| *at > indent && !begin.starts_with('>'))?;
            let opener = fence_opener(line, at)?;
            matches!(opener.language, Language::Python).then_some(opener)
        });
        let limit = fence.as_ref().map_or(line.len(), |opener| opener.at);
        for (start, _) in line
            .match_indices(STARTS)
            .take_while(|(start, _)| *start < limit)
        {
            if let Some(mark) = mark(&text[at + start..])
                && !is_quoted(line, start, mark.len.min(line.len() - start))
                && let Some(event) = self.mark(line, start, &mark, next)
            {
                return Some((at + start, event));
            }
        }
        fence.map(|opener| (at + opener.at, Event::Fence(opener)))
    }

    /// Reads a call at the start of a line: JSON, or the labels of ReAct.
    fn call_without_marks(&mut self, begin: &str, at: usize, next: usize) -> Option<Event<'a>> {
        let text = self.reader.text;
        let list = begin.strip_prefix("functools").unwrap_or(begin);
        if list.starts_with(['{', '[']) && mark(begin).is_none() && self.reader.may_read_again() {
            let from = at + begin.len() - list.len();
            if begins_code_tool_list(list) {
                if let Some((calls, rest)) = code_tool_list(&text[from..]) {
                    return Some(Event::Calls(calls, text.len() - rest.len()));
                }
                self.reader.read_again(text.len() - from);
            }
            let read = loose_json::read(&text[from..])?;
            let calls = json::calls(&read.value, read.is_complete);
            if calls.is_empty() {
                self.reader.read_again(read.end);
                return None;
            }
            if read.is_complete {
                return Some(Event::Calls(calls, from + read.end));
            }
            self.reader.open = Some(OpenBlock::Expression);
            return Some(Event::Calls(calls, text.len()));
        }
        let (call, end) = react::read(&mut self.reader, at, begin, next)?;
        Some(Event::Calls(vec![call], end))
    }

    /// Returns the meaning of a mark at offset `start` of the rest of a line. `None` if it is text.
    fn mark(
        &mut self,
        line: &'a str,
        start: usize,
        mark: &Mark<'a>,
        next: usize,
    ) -> Option<Event<'a>> {
        let from = self.at + start;
        let text = self.reader.text;
        let after = from + mark.len;
        if let Some(header) = reasoning::header(&text[from..], mark) {
            return Some(self.message(from, &header));
        }
        let opens_reasoning = mark.is_reasoning()
            || reasoning::is_thought_channel(&text[from..], mark)
            || reasoning::is_folded(&text[from..], mark);
        if opens_reasoning && !mark.closes {
            let begins_line = line[..start].trim().is_empty();
            let ends_line = line
                .get(start + mark.len..)
                .is_none_or(|rest| rest.trim().is_empty());
            if begins_line || ends_line {
                return Some(Event::Reasoning(reasoning::end(text, after, mark)));
            }
            // In a sentence it is a mention, unless its end follows.
            if !self.reader.read_again(line.len() - start) {
                return None;
            }
            let end = reasoning::end(&text[..from + line.len() - start], after, mark)?;
            return Some(Event::Reasoning(Some(end)));
        }
        let is_alone = line.trim().len() == mark.len;
        if mark.closes && (mark.is_reasoning() || mark.is_token && mark.name == "channel") {
            return Some(Event::EndOfReasoning(after));
        }
        if mark.ends_message() || (mark.is_result() && !mark.closes && self.has_block) {
            return Some(Event::End);
        }
        if mark.closes {
            let is_stray = is_alone && (mark.is_code() || mark.is_call());
            return (is_stray || mark.is_noise()).then_some(Event::Skip(after));
        }
        if mark.is_code() {
            return self.code(line, start, mark, next);
        }
        if mark.is_call()
            && let Some((calls, end)) = calls::read(&mut self.reader, from, mark)
        {
            return Some(Event::Calls(calls, end));
        }
        // The role of the next message follows.
        let role = match mark.name == "begin" && text[after..].starts_with("assistant") {
            true => "assistant".len(),
            false => 0,
        };
        mark.is_noise().then_some(Event::Skip(after + role))
    }

    /// Reads a message with a channel.
    fn message(&mut self, from: usize, header: &reasoning::Header<'a>) -> Event<'a> {
        let start = from + header.len;
        if !header.is_own {
            return Event::End;
        }
        if let Some(name) = header.recipient {
            let (call, end) = calls::read_arguments(&mut self.reader, start, name, Closer::Message);
            return Event::Calls(vec![call], end);
        }
        match header.is_reasoning {
            true => Event::Reasoning(reasoning::end_of_message(self.reader.text, start)),
            false => Event::Skip(start),
        }
    }

    /// Returns the block or the calls that a mark of code begins.
    fn code(
        &mut self,
        line: &'a str,
        start: usize,
        mark: &Mark<'a>,
        next: usize,
    ) -> Option<Event<'a>> {
        let body = start + mark.len;
        let rest = &line[body.min(line.len())..];
        let ends_line = rest.trim().is_empty();
        // This mark also occurs in prose and HTML, so its content must look like Python.
        let is_html = mark.name == "code" && !mark.is_token || !mark.is_listed_code();
        let before = line[..start].trim();
        if is_html && !before.is_empty() && before != "<pre>" && !ends_line {
            return None;
        }
        let follows = self.reader.text[self.at + body..].trim_start();
        if follows.starts_with('{')
            && let Some((calls, end)) = calls::read(&mut self.reader, self.at + start, mark)
        {
            return Some(Event::Calls(calls, end));
        }
        let mut language = match is_html {
            true => Language::Unnamed,
            false => Language::Python,
        };
        if let Some(name) = mark
            .attributes
            .split_once("lang")
            .and_then(|(_, rest)| rest.split(['"', '\'']).nth(1))
        {
            language = super::language::language(name);
        }
        if ends_line && fence_run(self.reader.line(next.min(self.reader.text.len())).0).is_some() {
            language = Language::Wrapper;
        }
        Some(Event::Code(Opener {
            at: start,
            body,
            closer: Closer::Mark(mark.name.clone()),
            language,
        }))
    }
}
