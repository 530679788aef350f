//! Splits a reply into prose and blocks (fences and tags), and drops reasoning.
//!
//! It is one pass over the text, line by line. A byte is read again in two cases: after a fence inside an open string
//! (see [`Scanner::body`]), and in prose after a closing tag in the same line. Both use a budget of a few times the
//! length of the reply, so the time is linear also for hostile text.

use super::fence::{Closer, Opener, ends_any_block, fence_opener, fence_run, inline_close};
use super::language::Language;
use super::lexer::StringState;
use super::text::unquoted;

/// A part of a reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part<'a> {
    Prose(&'a str),
    Block(Block<'a>),
}

/// A fenced or tagged block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'a> {
    pub(super) language: Language<'a>,
    pub(super) body: &'a str,
    /// The block with its fence or tags.
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
}

/// Splits `text`, the output of [`super::text::normalise`].
pub(super) fn scan(text: &str) -> Scan<'_> {
    let mut scanner = Scanner {
        text,
        reread_budget: text.len().saturating_mul(8).saturating_add(1 << 16),
        scan: Scan::default(),
    };
    scanner.run();
    scanner.scan
}

/// Returns true if `line` begins an observation or a message of the user. A model that is not stopped invents them.
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

/// Tags around code. The first one also occurs in prose and HTML, so its content must look like Python.
const TAGS: [(&str, &str); 6] = [
    ("<code>", "</code>"),
    ("<execute>", "</execute>"),
    ("<execute_python>", "</execute_python>"),
    ("<python>", "</python>"),
    ("<|python_tag|>", "<|/python_tag|>"),
    ("<tool_code>", "</tool_code>"),
];
const TOOL_CALL: (&str, &str) = ("<tool_call>", "</tool_call>");

/// Closing tags that are ignored outside a block.
const STRAY_CLOSERS: [&str; 6] = [
    "</code>",
    "<end_code>",
    "</execute>",
    "</python>",
    "</tool_code>",
    "</tool_call>",
];

struct Scanner<'a> {
    text: &'a str,
    /// Number of bytes that may still be read a second time.
    reread_budget: usize,
    scan: Scan<'a>,
}

/// Position of the end of a block.
struct BlockEnd {
    /// End of the body.
    body: usize,
    /// Start of the text after the block.
    next: usize,
}

impl<'a> Scanner<'a> {
    fn run(&mut self) {
        let mut at = 0;
        let mut has_block = false;
        while at < self.text.len() {
            let (line, next) = self.line(at);
            if at > 0 && self.text.as_bytes()[at - 1] != b'\n' {
                if self.reread_budget < line.len() {
                    self.prose(at, self.text.len());
                    return;
                }
                self.reread_budget -= line.len();
            }
            let trimmed = line.trim_start();
            if let Some((open, close)) = REASONING.iter().find(|r| trimmed.starts_with(r.0)) {
                self.scan.has_reasoning = true;
                let from = at + line.len() - trimmed.len() + open.len();
                let Some(end) = self.text[from..].find(close) else {
                    self.scan.ends_in_reasoning = true;
                    return;
                };
                at = from + end + close.len();
                continue;
            }
            // A chat template may have the opening tag in the prompt. Then the text so far is reasoning.
            let stray = |(_, close): &(&str, &str)| Some(unquoted(line, close)? + close.len());
            if let Some(end) = REASONING.iter().find_map(stray) {
                self.scan.parts.clear();
                self.scan.has_reasoning = true;
                has_block = false;
                at += end;
                continue;
            }
            if has_block && is_observation(line) {
                return;
            }
            if STRAY_CLOSERS.contains(&line.trim()) {
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

    /// Returns the rest of the line at `at`, without its line feed, and the start of the next line.
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
                // A fence after prose, as in "Here it is: ```python", needs Python as its language.
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

    /// Returns the end of the block whose body starts at `start`.
    ///
    /// A fence inside a multi-line string is text if the string ends before the next Python block starts. Otherwise the
    /// string has no end, and the first fence is the end of the block.
    fn body(&mut self, start: usize, closer: Closer, track_strings: bool) -> BlockEnd {
        let mut strings = StringState::default();
        let mut candidate: Option<BlockEnd> = None;
        let (mut at, mut nested) = (start, false);
        while at < self.text.len() {
            let (line, next) = self.line(at);
            let open = strings.is_open();
            if let Some(end) = candidate.take() {
                let cost = next - at;
                if self.reread_budget < cost || closer.opens_python(line) {
                    return end;
                }
                self.reread_budget -= cost;
                candidate = Some(end);
            }
            if !open && track_strings && ends_any_block(line) {
                return BlockEnd { body: at, next: at };
            }
            if let Closer::Fence { mark, run } = closer
                && let Some((found, info)) = fence_run(line)
                && found.0 == mark
            {
                let info = info.trim();
                if found.1 >= run && (info.is_empty() || info.starts_with('<')) {
                    let end = BlockEnd {
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
                    return BlockEnd { body: at, next: at };
                }
            }
            if let Some((cut, length)) = inline_close(&mut strings, line, closer, track_strings) {
                let end = BlockEnd {
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
                candidate = Some(BlockEnd {
                    body: at + cut,
                    next: at + cut + close.len(),
                });
            }
            if !strings.is_open() {
                candidate = None;
            }
            at = next;
        }
        candidate.unwrap_or(BlockEnd {
            body: self.text.len(),
            next: self.text.len(),
        })
    }
}
