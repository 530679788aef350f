//! Code in prose that is set off without a fence: after a label, after prompts, or indented.

use super::bare::{end_of_code, ends_message, own_end, without_quotes};
use super::likeness::judge;
use super::marks::{Mark, mark};
use super::prompts::begin_of_session;
use super::text::trim_blank_lines;
use super::tidy::tidy_code;
use super::traces;

/// Returns the code after a label such as `Code:`, and the prose before it.
pub(super) fn labelled_code(prose: &str) -> Option<(String, String)> {
    let (said, rest) = split_at_label(prose)?;
    let is_closer = |mark: &Mark<'_>| mark.closes && mark.is_code();
    let (own, tail) = rest.split_at(end_of_code(rest, |mark| {
        ends_message(mark) || is_closer(mark)
    }));
    let own = own.trim();
    let source = tidy_code(without_quotes(own).unwrap_or(own));
    let judged = judge(&source);
    let is_code = judged.bad == 0 && judged.strong + judged.assignments > 0;
    // A further step after the closing mark would be lost. Text after an invented observation is not read.
    let after = mark(tail)
        .filter(is_closer)
        .map_or("", |mark| &tail[mark.len..]);
    let after = &after[..own_end(after)];
    let is_whole = traces::first(after).is_none() && judge(after).strong == 0;
    (is_code && is_whole).then(|| (source, said.to_owned()))
}

/// Returns the text before and after the first label of code.
fn split_at_label(prose: &str) -> Option<(&str, &str)> {
    const LABELS: [&str; 6] = [
        "action",
        "code",
        "python",
        "python code",
        "code (python)",
        "python 3",
    ];
    let mut at = 0;
    for line in prose.split_inclusive('\n') {
        let text = line.trim_start_matches(['*', '#', ' ', '_']);
        if let Some((label, rest)) = text.split_once(':')
            && label.len() < 20
            && LABELS.contains(&&*label.trim_end_matches(['*', '_', ' ']).to_ascii_lowercase())
        {
            let rest = rest.trim_start_matches(['*', '_', ' ']);
            return Some((&prose[..at], &prose[at + line.len() - rest.len()..]));
        }
        at += line.len();
    }
    None
}

/// Returns the input of a session of the Python prompt after prose, and the prose.
pub(super) fn session_after_prose(prose: &str) -> Option<(String, String)> {
    let (said, rest) = prose.split_at(begin_of_session(prose)?);
    let source = tidy_code(trim_blank_lines(&rest[..own_end(rest)]));
    let judged = judge(&source);
    let is_code = judged.bad == 0 && judged.strong + judged.assignments > 0;
    is_code.then(|| (source, said.to_owned()))
}

/// Returns the code of the indented blocks of Markdown, and the prose around them. `None` if one of the blocks is not Python.
pub(super) fn indented_code(prose: &str) -> Option<(String, String)> {
    let (mut blocks, mut said) = (vec![String::new()], String::new());
    let (mut may_begin, mut is_open) = (true, false);
    for line in prose.split_inclusive('\n') {
        let is_blank = line.trim().is_empty();
        let is_indented = line.starts_with("    ") || line.starts_with('\t');
        if is_open && is_blank || is_indented && !is_blank && (is_open || may_begin) {
            is_open = true;
            blocks.last_mut()?.push_str(line);
            continue;
        }
        if is_open {
            blocks.push(String::new());
        }
        said.push_str(line);
        is_open = false;
        may_begin = is_blank || line.trim_end().ends_with(':');
    }
    let sources: Vec<_> = blocks.iter().map(|block| tidy_code(block)).collect();
    if sources.iter().any(|source| judge(source).bad > 0) {
        return None;
    }
    let source = sources.join("\n\n").trim().to_owned();
    let judged = judge(&source);
    let is_code = judged.is_python() && (judged.answers || judged.strong >= 2);
    is_code.then_some((source, said))
}
