//! Whether text without a fence is Python or prose.
//!
//! The argument: in Python two operands (names, numbers) never stand side by side unless one is a
//! keyword, and characters such as `?`, `$`, backticks or typographic quotes occur only in strings
//! and comments. Almost every line of prose breaks this ("The answer", "3 apples"); no line of
//! valid Python does. What is left, such as `42`, `Paris`, `x = 5` or `F = m * a`, has the form of
//! both, and counts as Python only when something in the text does work: an import, a definition,
//! a loop, a call statement, or an assignment of a string, a call or a display.

use super::lexer::{Kind, StringState, Token, tokens};

/// What [`judge`] saw.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verdict<'a> {
    /// Lines with something on them, outside multi-line strings and comments.
    pub(super) lines: usize,
    /// Lines that cannot be Python.
    pub(super) bad: usize,
    /// The first of them.
    pub(super) first_bad: Option<&'a str>,
    /// Lines that do work, as the module's text says.
    pub(super) strong: usize,
    /// Assignments of any kind.
    pub(super) assignments: usize,
    /// Byte offset of the first line that does work.
    pub(super) first_strong: Option<usize>,
    /// Whether a line calls `final_answer(`.
    pub(super) answers: bool,
}

impl Verdict<'_> {
    /// All of it reads as Python, and some of it does work.
    pub(super) fn is_python(&self) -> bool {
        self.bad == 0 && self.strong > 0
    }

    /// Mostly Python, with lines of prose or errors between.
    pub(super) fn is_mixed(&self) -> bool {
        self.bad > 0 && self.strong >= 2 && self.bad * 2 <= self.lines
    }

    /// The lower bar for text that a fence marks already as a block.
    pub(super) fn is_python_in_fence(&self) -> bool {
        let works = self.strong + self.assignments > 0;
        works && (self.bad == 0 || (self.strong > 0 && self.bad * 2 <= self.lines))
    }
}

const KEYWORDS: [&str; 36] = [
    "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "lazy", "match", "nonlocal", "not", "or", "pass", "raise", "return", "try", "type",
    "while", "with", "yield",
];

/// Keywords in some places, names in others.
const SOFT: [&str; 4] = ["case", "lazy", "match", "type"];

fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word).is_ok()
}

/// Reads `text` line by line.
pub(super) fn judge(text: &str) -> Verdict<'_> {
    let mut verdict = Verdict::default();
    let mut state = StringState::default();
    let (mut depth, mut continued, mut header_seen, mut offset) = (0usize, false, false, 0);
    for line in text.split('\n') {
        let inside = state.is_open() || depth > 0 || continued;
        let read = read_line(line, &mut state, &mut depth, inside);
        continued = read.continued;
        if read.counts {
            verdict.lines += 1;
            let indented = !inside && line.starts_with([' ', '\t']);
            if read.bad || (indented && !header_seen) {
                verdict.bad += 1;
                verdict.first_bad = verdict.first_bad.or(Some(line));
            } else if read.strong {
                verdict.strong += 1;
                verdict.first_strong = verdict.first_strong.or(Some(offset));
            }
            verdict.assignments += usize::from(read.assigns && !read.bad);
            verdict.answers |= line.trim_start().starts_with("final_answer(");
        }
        // "Here is the code:" opens no block.
        header_seen |= read.header && !read.bad;
        offset += line.len() + 1;
    }
    verdict
}

#[derive(Default)]
struct LineRead {
    counts: bool,
    bad: bool,
    strong: bool,
    assigns: bool,
    header: bool,
    continued: bool,
}

/// What an assignment's tokens have shown so far.
#[derive(Default)]
struct Sides {
    assigned: bool,
    /// Since the last `=`: something that cannot be a target of a further `=`.
    value: bool,
    /// Right of a `=`: a string, a call or a display.
    works: bool,
}

fn read_line(line: &str, state: &mut StringState, depth: &mut usize, inside: bool) -> LineRead {
    let mut read = LineRead::default();
    let mut sides = Sides::default();
    let mut last: Option<(Kind, &str)> = None;
    let mut start = Start::default();
    // Of the statements before the last on a line with semicolons.
    let (mut works, mut assigns) = (false, false);
    for token in tokens(state, line) {
        let Token {
            kind,
            start: at,
            end,
        } = token;
        let word = &line[at..end];
        match kind {
            Kind::Op(b';') if *depth == 0 && !inside => {
                works |= sides.works || start.works(false, matches!(last, Some((Kind::Close, _))));
                assigns |= sides.assigned && start.names_target();
                (sides, start, last) = Default::default();
                read.counts = true;
                continue;
            }
            Kind::Comment => continue,
            Kind::Continuation => {
                read.continued = true;
                continue;
            }
            Kind::Illegal | Kind::BrokenStr => read.bad = true,
            Kind::Name | Kind::Number if !is_keyword(word) => {
                read.bad |= match last {
                    Some((Kind::Name, before)) => !is_keyword(before),
                    Some((Kind::Number | Kind::Close | Kind::Str, _)) => true,
                    _ => false,
                };
            }
            Kind::Str if matches!(last, Some((Kind::Name, before)) if !is_keyword(before)) => {
                read.bad = true;
            }
            // A statement starts with an operand, a sign, a star, an `@` or `...`; a list item or
            // a tag does not.
            Kind::Op(op) if last.is_none() && !inside => {
                let spaced = line[end..].starts_with([' ', '\t']);
                let fence = line[at..].starts_with("~~~");
                read.bad |= !b"+-~*@.".contains(&op) || spaced || fence;
            }
            Kind::Open => *depth += 1,
            Kind::Close => *depth = depth.saturating_sub(1),
            Kind::Assign if *depth == 0 && !inside => {
                let to_call = start.call && !sides.assigned && matches!(last, Some((_, ")")));
                read.bad |= (sides.value || to_call) && !start.has_lambda;
                sides.assigned = true;
                sides.value = false;
            }
            _ => {}
        }
        if sides.assigned {
            sides.works |= matches!(kind, Kind::Str | Kind::Open);
        }
        if *depth == 0 && kind != Kind::Assign {
            let target = matches!(kind, Kind::Close | Kind::Op(b',' | b'.' | b'*' | b':'))
                || (kind == Kind::Name && (!is_keyword(word) || SOFT.contains(&word)));
            sides.value |= sides.assigned && !target;
        }
        start.see(kind, word, at, *depth);
        last = Some((kind, word));
        read.counts = true;
    }
    let (kind, word) = last.unwrap_or((Kind::Comment, ""));
    let ends_open = *depth > 0 || read.continued;
    read.header = kind == Kind::Op(b':') && word == ":";
    if inside {
        // The lines of a multi-line string or display do no work of their own, but a bracket that
        // prose opened does not hide the prose after it: `bad` stays.
        read.counts &= read.bad;
        return read;
    }
    read.assigns = sides.assigned && start.names_target();
    read.strong = works
        || start.works(ends_open, kind == Kind::Close || ends_open)
        || (read.assigns && sides.works);
    read.assigns |= assigns;
    read
}

/// The first words of a line.
#[derive(Default)]
struct Start {
    seen: usize,
    keyword: Keyword,
    /// `name(` or `name.name(` so far.
    path: bool,
    lower: bool,
    call: bool,
    name_end: usize,
    second_is_name: bool,
    has_in: bool,
    has_import: bool,
    has_lambda: bool,
    has_colon: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Keyword {
    #[default]
    None,
    Import,
    From,
    Define,
    Loop,
    Other,
}

impl Start {
    fn see(&mut self, kind: Kind, word: &str, at: usize, depth: usize) {
        if self.seen == 0 {
            self.path = kind == Kind::Name && !is_keyword(word);
            self.lower = word.starts_with(|c: char| c.is_lowercase() || c == '_');
            self.keyword = match word {
                "import" => Keyword::Import,
                "from" => Keyword::From,
                "def" | "class" => Keyword::Define,
                "for" => Keyword::Loop,
                _ if kind == Kind::Name && (!is_keyword(word) || SOFT.contains(&word)) => {
                    Keyword::None
                }
                _ => Keyword::Other,
            };
        } else {
            if self.seen == 1 {
                self.second_is_name = kind == Kind::Name && !is_keyword(word);
            }
            if self.path && !self.call {
                if kind == Kind::Open && word == "(" && at == self.name_end {
                    self.call = true;
                } else {
                    self.path = matches!(kind, Kind::Name | Kind::Op(b'.'));
                }
            }
            self.has_in |= word == "in";
            self.has_import |= word == "import";
            self.has_lambda |= word == "lambda";
            self.has_colon |= depth == 0 && kind == Kind::Op(b':');
        }
        // `async def`, `await call()` and `lazy import` start with their second word.
        if !(self.seen == 0 && matches!(word, "async" | "await" | "lazy")) {
            self.seen += 1;
        }
        self.name_end = at + word.len();
    }

    fn names_target(&self) -> bool {
        self.keyword == Keyword::None
    }

    fn works(&self, open: bool, closed: bool) -> bool {
        let header = open || self.has_colon;
        match self.keyword {
            Keyword::Import => self.second_is_name,
            Keyword::From => self.has_import,
            Keyword::Define => self.second_is_name && header,
            Keyword::Loop => self.has_in && header,
            Keyword::None => self.call && self.lower && closed,
            Keyword::Other => false,
        }
    }
}
