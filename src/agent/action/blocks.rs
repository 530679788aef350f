//! Splits a reply into prose and blocks: fences, tags, and reasoning, which is dropped.
//!
//! One pass over the text, line by line. Two things look at a byte again: a fence inside an open
//! string (see [`Scanner::body`]), and prose that goes on behind a closing tag in the same line.
//! Both draw on a budget of a few times the reply's length, so hostile text costs linear time too.

use super::fence::{Closer, Opener, ends_any_block, fence_opener, fence_run, inline_close};
use super::language::Language;
use super::lexer::StringState;
use super::text::unquoted;

#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Prose(&'a str),
    Block(Block<'a>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) language: Language<'a>,
    pub(super) body: &'a str,
    /// The block with its fence or tags.
    pub(super) raw: &'a str,
}

#[derive(Debug, Default)]
pub(super) struct Scan<'a> {
    pub(super) parts: Vec<Part<'a>>,
    /// Reasoning was taken out.
    pub(super) reasoned: bool,
    /// Reasoning began and never ended.
    pub(super) cut_in_reasoning: bool,
}

/// Splits `text`, which [`super::text::normalise`] has been over.
pub(super) fn scan(text: &str) -> Scan<'_> {
    let mut scanner = Scanner {
        text,
        again: text.len().saturating_mul(8).saturating_add(1 << 16),
        scan: Scan::default(),
    };
    scanner.run();
    scanner.scan
}

/// Whether a line starts what only the runner may write: the result of an execution. Models go on
/// to invent it when nothing stops them.
pub(super) fn is_observation(line: &str) -> bool {
    let line = line.trim_start_matches(['#', '*', ' ', '_', '[', '<']);
    let rest = OBSERVATIONS.iter().find_map(|name| line.strip_prefix(name));
    // "Observation of birds shows that" is prose.
    rest.is_some_and(|rest| rest.trim().is_empty() || rest.starts_with([':', '*', ']', '>', '_']))
}

const OBSERVATIONS: [&str; 8] = [
    "Observation",
    "OBSERVATION",
    "Output",
    "Execution result",
    "Execution results",
    "Execution output",
    "User",
    "Human",
];

const REASONING: [(&str, &str); 2] = [("<think>", "</think>"), ("<thinking>", "</thinking>")];

/// Tags around code. The first stands in prose and in HTML too, so its content has to look like
/// Python; the others mean it.
const TAGS: [(&str, &str); 6] = [
    ("<code>", "</code>"),
    ("<execute>", "</execute>"),
    ("<execute_python>", "</execute_python>"),
    ("<python>", "</python>"),
    ("<|python_tag|>", "<|/python_tag|>"),
    ("<tool_code>", "</tool_code>"),
];
const TOOL_CALL: (&str, &str) = ("<tool_call>", "</tool_call>");

/// Lines that close something which was no block.
const STRAY: [&str; 6] = [
    "</code>",
    "<end_code>",
    "</execute>",
    "</python>",
    "</tool_code>",
    "</tool_call>",
];

struct Scanner<'a> {
    text: &'a str,
    /// Bytes that may still be read a second time.
    again: usize,
    scan: Scan<'a>,
}

struct End {
    /// Where the body ends.
    body: usize,
    /// Where the prose goes on.
    next: usize,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        let mut at = 0;
        let mut has_block = false;
        while at < self.text.len() {
            let (line, next) = self.line(at);
            if at > 0 && self.text.as_bytes()[at - 1] != b'\n' {
                if self.again < line.len() {
                    self.prose(at, self.text.len());
                    return;
                }
                self.again -= line.len();
            }
            let trimmed = line.trim_start();
            if let Some((open, close)) = REASONING.iter().find(|r| trimmed.starts_with(r.0)) {
                self.scan.reasoned = true;
                let from = at + line.len() - trimmed.len() + open.len();
                let Some(end) = self.text[from..].find(close) else {
                    self.scan.cut_in_reasoning = true;
                    return;
                };
                at = from + end + close.len();
                continue;
            }
            // A template may put the opening tag into the prompt: all so far was reasoning.
            let stray = |(_, close): &(&str, &str)| Some(unquoted(line, close)? + close.len());
            if let Some(end) = REASONING.iter().find_map(stray) {
                self.scan.parts.clear();
                self.scan.reasoned = true;
                has_block = false;
                at += end;
                continue;
            }
            if has_block && is_observation(line) {
                return;
            }
            if STRAY.contains(&line.trim()) {
                at = next;
                continue;
            }
            let Some(opener) = self.opener(line, next) else {
                self.prose(at, next);
                at = next;
                continue;
            };
            self.prose(at, at + opener.at);
            if matches!(opener.language, Language::Wrapper) {
                at = next;
                continue;
            }
            let start = at + opener.at;
            let body = (at + opener.body).min(next);
            let end = self.body(body, opener.closer, opener.language.may_be_python());
            has_block = true;
            self.scan.parts.push(Part::Block(Block {
                language: opener.language,
                body: &self.text[body..end.body],
                raw: &self.text[start..end.next],
            }));
            at = end.next;
        }
    }

    /// The rest of the line at `at`, without its line feed, and where the next begins.
    fn line(&self, at: usize) -> (&'a str, usize) {
        let rest = &self.text[at..];
        match rest.find('\n') {
            Some(end) => (&rest[..end], at + end + 1),
            None => (rest, self.text.len()),
        }
    }

    fn prose(&mut self, from: usize, to: usize) {
        if from < to {
            self.scan.parts.push(Part::Prose(&self.text[from..to]));
        }
    }

    fn opener(&self, line: &'a str, next: usize) -> Option<Opener<'a>> {
        let indent = line.len() - line.trim_start().len();
        fence_opener(line, indent)
            .or_else(|| {
                // "Here it is: ```python": only with a language that is Python's.
                let at = line.find("```").filter(|at| *at > indent)?;
                let opener = fence_opener(line, at)?;
                matches!(opener.language, Language::Python).then_some(opener)
            })
            .or_else(|| self.tag_opener(line, indent, next))
    }

    fn tag_opener(&self, line: &'a str, indent: usize, next: usize) -> Option<Opener<'a>> {
        let (at, (open, close)) = TAGS
            .iter()
            .chain([&TOOL_CALL])
            .filter_map(|tag| Some((unquoted(line, tag.0)?, *tag)))
            .min_by_key(|(at, _)| *at)?;
        let body = at + open.len();
        let ends_line = line[body..].trim().is_empty();
        let mut language = match open {
            "<code>" if at != indent && !ends_line => return None,
            "<code>" => Language::Unnamed,
            "<tool_call>" => Language::Data,
            _ => Language::Python,
        };
        if ends_line && fence_run(self.line(next).0).is_some() {
            language = Language::Wrapper;
        }
        Some(Opener {
            at,
            body,
            closer: Closer::Tag { open, close },
            language,
        })
    }

    /// Finds the end of the block whose body starts at `start`.
    ///
    /// Inside a multi-line string a fence may be text: it is, when the string closes further on
    /// before the next Python block opens. Otherwise the string was never closed, and the first
    /// fence was the end.
    fn body(&mut self, start: usize, closer: Closer, track_strings: bool) -> End {
        let mut strings = StringState::default();
        let mut candidate: Option<End> = None;
        let (mut at, mut nested) = (start, false);
        while at < self.text.len() {
            let (line, next) = self.line(at);
            let open = strings.is_open();
            if let Some(end) = candidate.take() {
                let cost = next - at;
                if self.again < cost || closer.opens_python(line) {
                    return end;
                }
                self.again -= cost;
                candidate = Some(end);
            }
            if !open && track_strings && ends_any_block(line) {
                return End { body: at, next: at };
            }
            if let Closer::Fence { mark, run } = closer
                && let Some((found, info)) = fence_run(line)
                && found.0 == mark
            {
                let info = info.trim();
                if found.1 >= run && (info.is_empty() || info.starts_with('<')) {
                    let end = End {
                        body: at,
                        next: if info.is_empty() {
                            next
                        } else {
                            at + line.len() - info.len()
                        },
                    };
                    if !open || !track_strings {
                        return end;
                    }
                    if nested {
                        nested = false;
                    } else if candidate.is_none() {
                        candidate = Some(end);
                    }
                } else if open {
                    nested = true;
                } else if track_strings && found.1 >= run && closer.opens_python(line) {
                    return End { body: at, next: at };
                }
            }
            if let Some((cut, length)) = inline_close(&mut strings, line, closer, track_strings) {
                let end = End {
                    body: at + cut,
                    next: if line[cut + length..].trim().is_empty() {
                        next
                    } else {
                        at + cut + length
                    },
                };
                return end;
            }
            if let (Closer::Tag { close, .. }, true, None) = (closer, open, &candidate)
                && let Some(cut) = line.find(close)
            {
                candidate = Some(End {
                    body: at + cut,
                    next: at + cut + close.len(),
                });
            }
            if !strings.is_open() {
                candidate = None;
            }
            at = next;
        }
        candidate.unwrap_or(End {
            body: self.text.len(),
            next: self.text.len(),
        })
    }
}
