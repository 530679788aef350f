//! Start and end of blocks within a line: fences and marks.

use super::language::{Language, language};
use super::lexer::{Kind, StringState, tokens};
use super::likeness::judge;
use super::marks::{Mark, STARTS, mark};
use super::steps;

/// The end that a block needs.
#[derive(Clone, Debug)]
pub(super) enum Closer {
    Fence {
        mark: char,
        run: usize,
    },
    /// The closing mark of this name.
    Mark(String),
    /// Any mark at the end of a message of a chat template with channels.
    Message,
    /// The next label of a reply in the form of ReAct, such as `Thought:`.
    Label,
}

/// The start of a block.
pub(super) struct Opener<'a> {
    /// Offset of the block in its line.
    pub(super) at: usize,
    /// Offset of the block's body in its line.
    pub(super) body: usize,
    pub(super) closer: Closer,
    pub(super) language: Language<'a>,
}

/// Open strings and brackets of Python at a position.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CodeState {
    pub(super) strings: StringState,
    pub(super) depth: usize,
}

impl CodeState {
    /// Returns true if a statement can begin here.
    pub(super) fn is_between_statements(self) -> bool {
        !self.strings.is_open() && self.depth == 0
    }

    /// Moves over a line without its line feed.
    pub(super) fn skip_line(&mut self, line: &str) {
        for token in tokens(&mut self.strings, line) {
            self.depth = depth_after(self.depth, token.kind);
        }
    }
}

fn depth_after(depth: usize, kind: Kind) -> usize {
    match kind {
        Kind::Open => depth + 1,
        Kind::Close => depth.saturating_sub(1),
        _ => depth,
    }
}

impl Closer {
    /// Returns true if `line` opens a block of Python of the same kind.
    pub(super) fn opens_python(&self, line: &str) -> bool {
        match self {
            Closer::Fence { .. } => {
                fence_run(line).is_some_and(|(_, info)| matches!(language(info), Language::Python))
            }
            Closer::Mark(name) => {
                find_mark(line, |mark| !mark.closes && mark.name == *name).is_some()
            }
            Closer::Message => false,
            Closer::Label => is_label(line),
        }
    }

    /// Returns true if `mark` ends the block.
    fn closes(&self, mark: &Mark<'_>) -> bool {
        match self {
            Closer::Fence { .. } | Closer::Label => false,
            Closer::Mark(name) => mark.closes && mark.name == *name,
            Closer::Message => mark.is_token && MESSAGE_MARKS.contains(&&*mark.name),
        }
    }
}

/// Marks at the end of a message with a channel, and at the start of the next one.
pub(super) const MESSAGE_MARKS: [&str; 5] = ["call", "channel", "end", "return", "start"];

/// Labels of ReAct that end an input.
const LABELS: [&str; 5] = [
    "Thought:",
    "Action:",
    "Observation:",
    "Final Answer:",
    "Question:",
];

fn is_label(line: &str) -> bool {
    let line = line.trim_start_matches(['*', ' ', '#']);
    LABELS.iter().any(|label| line.starts_with(label))
}

/// Returns the first mark in `text` for which `wanted` is true and that is not quoted, with its offset.
pub(super) fn find_mark(
    text: &str,
    mut wanted: impl FnMut(&Mark<'_>) -> bool,
) -> Option<(usize, Mark<'_>)> {
    let starts = text.match_indices(STARTS).map(|(at, _)| at);
    let found = starts.filter_map(|at| Some((at, mark(&text[at..])?)));
    let mut found = found.filter(|(at, mark)| wanted(mark) && !is_quoted(text, *at, mark.len));
    let found = found.next();
    steps::count(found.as_ref().map_or(text.len(), |(at, _)| *at));
    found
}

/// Returns true if the mark at `at` is a mention: a quote or backtick is next to it, and it does not begin or end a line.
pub(super) fn is_quoted(text: &str, at: usize, len: usize) -> bool {
    let quotes = ['"', '\'', '`'];
    let (before, after) = (&text[..at], &text[at + len..]);
    let is_first = before.is_empty() || before.ends_with('\n');
    let rest = after.trim_start_matches([' ', '\t']);
    let is_last = rest.is_empty() || rest.starts_with('\n');
    let fence = "```";
    let is_before = before.ends_with(quotes) && !before.ends_with(fence);
    let is_after = after.starts_with(quotes) && !after.starts_with(fence);
    match (is_before, is_after) {
        (true, true) => true,
        (false, false) => false,
        _ => !is_first && !is_last,
    }
}

/// Returns true if `line` cannot be Python between statements, and ends any block of it.
pub(super) fn ends_any_block(line: &str, closer: &Closer) -> bool {
    if let Some(rest) = line.strip_prefix("Observation:") {
        // `Observation: TypeAlias = dict` is Python.
        let mut state = StringState::default();
        let assigns = tokens(&mut state, rest).any(|token| token.kind == Kind::Assign);
        return !(assigns && judge(line).bad == 0);
    }
    if matches!(closer, Closer::Label) && is_label(line) {
        return true;
    }
    let text = line.trim();
    mark(text).is_some_and(|mark| {
        let is_end = mark.closes && mark.name == "code" && mark.len == text.len();
        (mark.closes && mark.is_reasoning())
            || (is_end && text == "<end_code>")
            || (mark.is_result() && !mark.closes)
    })
}

/// Returns the fence at the start of `line`, after indentation: its mark, its length, and the rest of the line.
pub(super) fn fence_run(line: &str) -> Option<((char, usize), &str)> {
    let line = line.trim_start();
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = line.trim_start_matches(mark);
    let run = line.len() - rest.len();
    (run >= 3).then_some(((mark, run), rest))
}

/// Returns the opening fence at offset `at` of `line`.
pub(super) fn fence_opener(line: &str, at: usize) -> Option<Opener<'_>> {
    let ((mark, run), info) = fence_run(&line[at..])?;
    let closer = Closer::Fence { mark, run };
    let info_at = line.len() - info.len();
    let mut body = line.len() + 1;
    let mut found = language(info);
    let first_word = info.split_whitespace().next().unwrap_or("");
    let after_word = line.len() - info.trim_start().len() + first_word.len();
    if mark == '`' && info.contains('`') {
        // A block on one line, or inline code, which is prose.
        let closed = info.trim_end().ends_with("```");
        if !closed || run > 3 || at > 0 && !line[..at].trim().is_empty() {
            return None;
        }
        body = match found {
            Language::Python | Language::Data | Language::Program(_) => after_word,
            _ => {
                found = Language::Unnamed;
                info_at
            }
        };
    } else if matches!(found, Language::Text) && judge(info).is_python() {
        // Code follows the fence directly, as in "```print(1)".
        found = Language::Unnamed;
        body = info_at;
    }
    Some(Opener {
        at,
        body,
        closer,
        language: found,
    })
}

/// Where a line closes a block.
pub(super) struct InlineClose {
    /// Offset of the closer in the line.
    pub(super) at: usize,
    /// Length of the closer. Zero if it is the start of the text after the block.
    pub(super) len: usize,
    /// True if the closer is in a comment, so that another one may follow.
    pub(super) in_comment: bool,
}

/// Moves `state` over `line` and finds the closer in it: a mark, or a fence directly after a statement. In code, a closer
/// in a string does not count.
pub(super) fn inline_close(
    state: &mut CodeState,
    line: &str,
    closer: &Closer,
    is_code: bool,
) -> Option<InlineClose> {
    let fence = match closer {
        Closer::Fence { mark: '`', run: 3 } => "```",
        _ => "",
    };
    let found = |at, len| InlineClose {
        at,
        len,
        in_comment: false,
    };
    let closing =
        |text: &str| find_mark(text, |mark| closer.closes(mark)).map(|(at, mark)| (at, mark.len));
    if !is_code {
        let at_end = line
            .trim_end()
            .strip_suffix("```")
            .filter(|_| !fence.is_empty());
        let by_mark = closing(line).or_else(|| Some((at_end?.len(), fence.len())));
        let by_message = || find_mark(line, |mark| mark.ends_message()).map(|(at, _)| found(at, 0));
        return by_mark.map(|(at, len)| found(at, len)).or_else(by_message);
    }
    for token in tokens(&mut state.strings, line) {
        let rest = &line[token.start..];
        state.depth = depth_after(state.depth, token.kind);
        let end = match token.kind {
            Kind::Illegal if !fence.is_empty() && rest.starts_with(fence) => {
                // Prose may follow on the same line. A word directly after a fence is its language.
                let after = &rest[fence.len()..];
                (!after.starts_with(|c: char| c.is_alphanumeric()))
                    .then(|| found(token.start, fence.len()))
            }
            Kind::BrokenStr if !fence.is_empty() => {
                let code = rest.trim_end().strip_suffix(fence);
                code.map(|code| found(token.start + code.len(), fence.len()))
            }
            Kind::Op(b'<') | Kind::Open | Kind::Illegal => mark(rest).and_then(|mark| {
                if closer.closes(&mark) {
                    return Some(found(
                        token.start,
                        if matches!(closer, Closer::Message) {
                            0
                        } else {
                            mark.len
                        },
                    ));
                }
                let ends = mark.ends_message() || mark.is_result() && !mark.closes;
                ends.then(|| found(token.start, 0))
            }),
            Kind::Comment | Kind::BrokenStr => closing(rest).map(|(at, len)| InlineClose {
                at: token.start + at,
                len,
                in_comment: token.kind == Kind::Comment,
            }),
            _ => None,
        };
        if end.is_some() {
            return end;
        }
    }
    None
}

/// Returns the end of `body` without the beginning of a closer at the end of its last line. `state` is the state before
/// this line. A server may cut a reply within the closer.
pub(super) fn without_cut_closer(last_line: &str, closer: &Closer, mut state: CodeState) -> usize {
    let text = last_line.trim_end();
    for token in tokens(&mut state.strings, text) {
        let rest = &text[token.start..];
        let is_cut = match (closer, token.kind) {
            (Closer::Fence { mark, run }, Kind::Illegal | Kind::Op(b'~')) => {
                rest.chars().all(|c| c == *mark) && rest.chars().count() < *run
            }
            (Closer::Mark(name), Kind::Op(b'<')) => {
                let is_short = rest.len() < 64;
                is_short
                    && (format!("</{name}>").starts_with(&rest.to_ascii_lowercase())
                        || rest == "<|")
            }
            (Closer::Message, Kind::Op(b'<')) => {
                rest.len() < 12
                    && MESSAGE_MARKS
                        .iter()
                        .any(|name| format!("<|{name}|>").starts_with(rest))
            }
            _ => false,
        };
        if is_cut {
            return token.start;
        }
    }
    last_line.len()
}
