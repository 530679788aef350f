//! Decides if a text without a language is Python or prose.
//!
//! In Python, two operands (names, numbers) are never adjacent unless one is a keyword, and characters such as `?`, `$`,
//! backticks or typographic quotes occur only in strings and comments. No line of valid Python breaks these rules, and
//! almost every line of prose does ("The answer", "3 apples"). The remaining texts, such as `42`, `Paris`, `x = 5` or
//! `F = m * a`, are valid as both. They count as Python only if the text has a strong line: an import, a definition, a
//! loop, a call statement, or an assignment of a string, a call or a display.

use super::lexer::{Kind, StringState, Token, tokens};

/// Result of [`judge`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verdict<'a> {
    /// Number of lines that are not empty, outside multi-line strings and comments.
    pub(super) lines: usize,
    /// Number of lines that cannot be Python.
    pub(super) bad: usize,
    /// The first line that cannot be Python.
    pub(super) first_bad: Option<&'a str>,
    /// Number of strong lines; see the module.
    pub(super) strong: usize,
    /// Number of assignments of any kind.
    pub(super) assignments: usize,
    /// Byte offset of the first strong line.
    pub(super) first_strong: Option<usize>,
    /// True if a line calls `final_answer(`.
    pub(super) answers: bool,
}

impl Verdict<'_> {
    /// Returns true if all lines can be Python and at least one is strong.
    pub(super) fn is_python(&self) -> bool {
        self.bad == 0 && self.strong > 0
    }

    /// Returns true if the text is mostly Python, with lines of prose or errors in between.
    pub(super) fn is_mixed(&self) -> bool {
        self.bad > 0 && self.strong >= 2 && self.bad * 2 <= self.lines
    }

    /// Returns true if the text is Python, given that it is in a fence without a language. It needs less evidence.
    pub(super) fn is_python_in_fence(&self) -> bool {
        let has_evidence = self.strong + self.assignments > 0;
        has_evidence && (self.bad == 0 || (self.strong > 0 && self.bad * 2 <= self.lines))
    }
}

const KEYWORDS: [&str; 36] = [
    "and", "as", "assert", "async", "await", "break", "case", "class", "continue", "def", "del",
    "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "lazy", "match", "nonlocal", "not", "or", "pass", "raise", "return", "try", "type",
    "while", "with", "yield",
];

/// Words that are keywords in some places and names in others.
const SOFT: [&str; 4] = ["case", "lazy", "match", "type"];

/// Keywords that never follow an operand, sorted. `from a import b` is the exception.
const BEGINNING: [&str; 20] = [
    "assert", "await", "break", "class", "continue", "def", "del", "elif", "except", "finally",
    "global", "import", "lambda", "nonlocal", "pass", "raise", "return", "try", "while", "yield",
];

pub(super) fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word).is_ok()
}

/// Judges `text` line by line.
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
        // A line of prose, such as "Here is the code:", is not the header of a block.
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

/// State of an assignment.
#[derive(Default)]
struct Sides {
    assigned: bool,
    /// True if the text after the last `=` cannot be the target of a further `=`.
    value: bool,
    /// True if there is a string, a call or a display after a `=`.
    is_strong: bool,
}

fn read_line(line: &str, state: &mut StringState, depth: &mut usize, inside: bool) -> LineRead {
    let mut read = LineRead::default();
    let mut sides = Sides::default();
    let mut last: Option<(Kind, &str)> = None;
    let mut before_last: Option<Kind> = None;
    let mut start = Start::default();
    // For the statements before the last one of a line with semicolons.
    let (mut strong, mut assigns) = (false, false);
    for token in tokens(state, line) {
        let Token {
            kind,
            start: at,
            end,
        } = token;
        let word = &line[at..end];
        match kind {
            Kind::Op(b';') if *depth == 0 && !inside => {
                let closed = matches!(last, Some((Kind::Close, _)));
                strong |= sides.is_strong || start.is_strong(false, closed);
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
            Kind::Name if BEGINNING.contains(&word) => {
                let is_operand = match last {
                    Some((Kind::Name, before)) => !is_keyword(before),
                    Some((kind, _)) => matches!(kind, Kind::Number | Kind::Close | Kind::Str),
                    None => false,
                };
                read.bad |= is_operand && !(word == "import" && start.keyword == Keyword::From);
            }
            Kind::Str if matches!(last, Some((Kind::Name, before)) if !is_keyword(before)) => {
                read.bad = true;
            }
            // A statement can start with a sign, a star, an `@` or `...`. A list item or a tag starts in another way.
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
            sides.is_strong |= matches!(kind, Kind::Str | Kind::Open);
        }
        if *depth == 0 && kind != Kind::Assign {
            let target = matches!(kind, Kind::Close | Kind::Op(b',' | b'.' | b'*' | b':'))
                || (kind == Kind::Name && (!is_keyword(word) || SOFT.contains(&word)));
            sides.value |= sides.assigned && !target;
        }
        start.push(kind, word, at, *depth);
        before_last = last.map(|(kind, _)| kind);
        last = Some((kind, word));
        read.counts = true;
    }
    let (kind, word) = last.unwrap_or((Kind::Comment, ""));
    let ends_open = *depth > 0 || read.continued;
    read.header = kind == Kind::Op(b':') && word == ":";
    if !inside && !ends_open && (is_operator(kind, before_last) || start.is_label(kind)) {
        read.bad = true;
    }
    if inside {
        // A line of a multi-line string or display is not strong. It can still be bad, because an opening bracket in
        // prose must not hide the prose after it.
        read.counts &= read.bad;
        return read;
    }
    read.assigns = sides.assigned && start.names_target();
    read.strong = strong
        || start.is_strong(ends_open, kind == Kind::Close || ends_open)
        || (read.assigns && sides.is_strong);
    read.assigns |= assigns;
    read
}

/// Returns true if a line cannot end in a token of this kind outside brackets. `...` and `import *` are valid.
fn is_operator(kind: Kind, before: Option<Kind>) -> bool {
    match kind {
        Kind::Assign => true,
        Kind::Op(b'.') => before != Some(Kind::Op(b'.')),
        Kind::Op(op) => b"+-/%&|^~@<>".contains(&op),
        _ => false,
    }
}

/// The first words of a statement.
#[derive(Default)]
struct Start {
    /// Number of tokens so far.
    tokens: usize,
    keyword: Keyword,
    /// True if the tokens so far can begin a call: `name(` or `name.name(`.
    path: bool,
    lower: bool,
    first_is_name: bool,
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
    fn push(&mut self, kind: Kind, word: &str, at: usize, depth: usize) {
        if self.tokens == 0 {
            self.path = kind == Kind::Name && !is_keyword(word);
            self.first_is_name = self.path;
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
            if self.tokens == 1 {
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
        // The second word of `async def`, `await call()` and `lazy import` counts as the first.
        if !(self.tokens == 0 && matches!(word, "async" | "await" | "lazy")) {
            self.tokens += 1;
        }
        self.name_end = at + word.len();
    }

    /// Returns true for a name and a colon without more, as in `Result:`.
    fn is_label(&self, last: Kind) -> bool {
        self.tokens == 2 && self.first_is_name && last == Kind::Op(b':')
    }

    fn names_target(&self) -> bool {
        self.keyword == Keyword::None
    }

    fn is_strong(&self, open: bool, closed: bool) -> bool {
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
