//! Start and end of blocks within a line: fences and tags.

use super::language::{Language, language};
use super::lexer::{Kind, StringState, tokens};
use super::likeness::judge;

/// The end that a block needs.
#[derive(Clone, Copy)]
pub(super) enum Closer {
    Fence {
        mark: char,
        run: usize,
    },
    Tag {
        open: &'static str,
        close: &'static str,
    },
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

impl Closer {
    /// Returns true if `line` opens a block of Python of the same kind.
    pub(super) fn opens_python(self, line: &str) -> bool {
        match self {
            Closer::Fence { .. } => {
                fence_run(line).is_some_and(|(_, info)| matches!(language(info), Language::Python))
            }
            Closer::Tag { open, .. } => line.contains(open),
        }
    }
}

/// Returns true if `line` cannot be Python outside a string, and ends any block.
pub(super) fn ends_any_block(line: &str) -> bool {
    line.starts_with("Observation:") || line.starts_with("</think") || line.trim() == "<end_code>"
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

/// Moves `strings` over `line` and finds the closer in it: a tag, or a fence directly after a statement. Returns its
/// offset and its length.
pub(super) fn inline_close(
    strings: &mut StringState,
    line: &str,
    closer: Closer,
    track_strings: bool,
) -> Option<(usize, usize)> {
    let mark = match closer {
        Closer::Fence { mark: '`', run: 3 } => "```",
        Closer::Fence { .. } => "",
        Closer::Tag { close, .. } => close,
    };
    if !track_strings {
        let tag = matches!(closer, Closer::Tag { .. });
        let at = if tag {
            line.find(mark)?
        } else {
            line.trim_end().strip_suffix(mark)?.len()
        };
        return (tag || mark == "```").then_some((at, mark.len()));
    }
    for token in tokens(strings, line) {
        let rest = &line[token.start..];
        let found = match (token.kind, closer) {
            _ if mark.is_empty() => None,
            (Kind::Illegal, Closer::Fence { .. }) => {
                let after = rest.strip_prefix(mark).map(str::trim_start);
                after
                    .filter(|s| s.is_empty() || s.starts_with('<'))
                    .map(|_| token.start)
            }
            (Kind::BrokenStr, Closer::Fence { .. }) => {
                let code = rest.trim_end().strip_suffix(mark);
                code.map(|code| token.start + code.len())
            }
            (Kind::Op(b'<'), _) => rest.starts_with(mark).then_some(token.start),
            (Kind::Comment | Kind::BrokenStr, Closer::Tag { .. }) => {
                rest.find(mark).map(|at| token.start + at)
            }
            _ => None,
        };
        if let Some(at) = found {
            return Some((at, mark.len()));
        }
    }
    None
}
