//! The text of a reply, and the ends of the blocks in it.
//!
//! A byte is read again in few cases: after a fence inside an open string (see [`Reader::body`]), after a closing mark in
//! the same line, and in a value that is not JSON. All of them use a budget of a few times the length of the reply, so
//! the time is linear also for hostile text.

use super::fence::{
    Closer, CodeState, ends_any_block, fence_run, find_mark, inline_close, without_cut_closer,
};
use super::marks::{Mark, mark};
use super::steps;

/// Text with a budget for reading it again.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    /// Number of bytes that may still be read a second time.
    budget: usize,
    /// What the end of the text is in, if it is in a block that has no end.
    pub(super) open: Option<OpenBlock>,
}

/// The block at the end of a text without a closer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OpenBlock {
    /// Code, between two statements.
    Code,
    /// A string or brackets in code.
    Expression,
    /// A text that is not code.
    Text,
}

/// Position of the end of a block.
#[derive(Clone, Copy)]
pub(super) struct BlockEnd {
    /// End of the body.
    pub(super) body: usize,
    /// Start of the text after the block.
    pub(super) next: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            budget: text.len().saturating_mul(8).saturating_add(1 << 16),
            open: None,
        }
    }

    /// Takes `bytes` from the budget. Returns false if it is used up.
    pub(super) fn read_again(&mut self, bytes: usize) -> bool {
        let is_left = self.budget >= bytes;
        self.budget = self.budget.saturating_sub(bytes);
        is_left
    }

    /// Returns true if the budget is not used up.
    pub(super) fn may_read_again(&self) -> bool {
        self.budget > 0
    }

    /// Returns the rest of the line at `at`, without its line feed, and the start of the next line.
    pub(super) fn line(&self, at: usize) -> (&'a str, usize) {
        let rest = &self.text[at..];
        let (line, next) = match rest.find('\n') {
            Some(end) => (&rest[..end], at + end + 1),
            None => (rest, self.text.len()),
        };
        steps::count(next - at);
        (line, next)
    }

    /// Returns the offset of the first text at or after `at` that is not blank.
    pub(super) fn skip_blanks(&self, at: usize) -> usize {
        self.text.len() - self.text[at..].trim_start().len()
    }

    /// Returns the end of the block whose body starts at `start`. `is_code` is true if the body may be Python.
    ///
    /// A fence inside a multi-line string is text if the string ends before the next Python block starts. Otherwise the
    /// string has no end, and the first fence is the end of the block. The same applies to a closing mark in a comment.
    pub(super) fn body(&mut self, start: usize, closer: &Closer, is_code: bool) -> BlockEnd {
        let mut state = CodeState::default();
        // The end of the block if the open string has no end, or if no closer follows the one in a comment.
        let (mut in_string, mut in_comment) = (None::<BlockEnd>, None::<BlockEnd>);
        let (mut at, mut nested) = (start, false);
        let (mut line_at, mut line_state) = (start, state);
        let is_in_line = start > 0 && self.text.as_bytes()[start - 1] != b'\n';
        while at < self.text.len() {
            let (line, next) = self.line(at);
            let open = state.strings.is_open();
            if let Some(end) = in_string.or(in_comment)
                && (closer.opens_python(line) || !self.read_again(next - at))
            {
                return end;
            }
            (line_at, line_state) = (at, state);
            if is_code && state.is_between_statements() && ends_any_block(line, closer) {
                return BlockEnd { body: at, next: at };
            }
            if let Closer::Fence { mark, run } = *closer
                && let Some((found, info)) = fence_run(line)
                && found.0 == mark
            {
                let info = info.trim();
                if found.1 >= run && (info.is_empty() || info.starts_with('<')) {
                    let end = BlockEnd {
                        body: at,
                        next: match info.is_empty() {
                            true => next,
                            false => at + line.trim_end().len() - info.len(),
                        },
                    };
                    if !open || !is_code {
                        return end;
                    }
                    if nested {
                        nested = false;
                    } else if in_string.is_none() {
                        in_string = Some(end);
                    }
                } else if open {
                    nested = true;
                } else if is_code && found.1 >= run && closer.opens_python(line) {
                    return BlockEnd { body: at, next: at };
                } else if found.1 >= run && (!is_code || state.depth == 0) {
                    // A fence is not Python: it closes the block. Prose after it begins with a space or has one.
                    let text = line.trim_start().trim_start_matches(mark);
                    let begins_with_space = text.starts_with([' ', '\t']);
                    let is_prose =
                        begins_with_space || is_code && info.contains(char::is_whitespace);
                    if is_prose || is_code {
                        return BlockEnd {
                            body: at,
                            next: if is_prose {
                                at + line.len() - text.len()
                            } else {
                                at
                            },
                        };
                    }
                }
            }
            if let Some(close) = inline_close(&mut state, line, closer, is_code) {
                let after = at + close.at + close.len;
                let end = BlockEnd {
                    body: at + close.at,
                    next: match line[close.at + close.len..].trim().is_empty() {
                        true => next,
                        false => after,
                    },
                };
                if !close.in_comment || (is_in_line && at == start) {
                    return end;
                }
                in_comment = in_comment.or(Some(end));
            }
            if open && in_string.is_none() {
                in_string = self.close_in_string(at, line, closer);
            }
            if !state.strings.is_open() {
                in_string = None;
            }
            at = next;
        }
        let end = self.text.len();
        if let Some(end) = in_string.or(in_comment) {
            return end;
        }
        self.open = Some(match is_code {
            false => OpenBlock::Text,
            true if state.is_between_statements() => OpenBlock::Code,
            true => OpenBlock::Expression,
        });
        let mut body = end;
        if is_code && !line_state.strings.is_open() {
            body = line_at + without_cut_closer(&self.text[line_at..], closer, line_state);
        }
        BlockEnd { body, next: end }
    }

    /// Returns the end of a block at a mark inside an open string: its closer, or the end of reasoning.
    fn close_in_string(&self, at: usize, line: &str, closer: &Closer) -> Option<BlockEnd> {
        let is_close = |mark: &Mark<'_>| {
            mark.closes && matches!(closer, Closer::Mark(name) if mark.name == *name)
        };
        if let Some((cut, mark)) = find_mark(line, is_close) {
            return Some(BlockEnd {
                body: at + cut,
                next: at + cut + mark.len,
            });
        }
        let ends_reasoning =
            mark(line.trim_start()).is_some_and(|mark| mark.closes && mark.is_reasoning());
        ends_reasoning.then_some(BlockEnd { body: at, next: at })
    }
}
