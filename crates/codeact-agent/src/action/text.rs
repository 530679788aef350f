//! Normalises replies and code without a change of their meaning.

use super::lexer::{StringState, skip_line};

/// Marks at the end of a model's message. A server with the wrong chat template passes them on as text.
const END_OF_TURN: [&str; 7] = [
    "<|eom_id|>",
    "<|eot_id|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
];

/// Marks at the start of a model's message.
const START_OF_TURN: [&str; 3] = [
    "<|im_start|>assistant",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<start_of_turn>model",
];

/// Returns `reply` with line feeds as line ends, with plain spaces as indentation, and without byte order marks,
/// zero-width spaces and marks of the chat template. Zero-width joiners stay, because emoji need them.
pub(super) fn normalise(reply: &str) -> String {
    let mut out = String::with_capacity(reply.len());
    let mut indentation = true;
    let mut chars = reply.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{feff}' | '\u{200b}' | '\u{2060}' => {}
            '\r' | '\n' => {
                if c == '\r' && chars.peek() == Some(&'\n') {
                    chars.next();
                }
                out.push('\n');
                indentation = true;
            }
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' if indentation => {
                out.push(' ');
            }
            _ => {
                indentation &= matches!(c, ' ' | '\t');
                out.push(c);
            }
        }
    }
    let start = START_OF_TURN
        .iter()
        .find(|mark| out.trim_start().starts_with(*mark));
    if let Some(mark) = start {
        let from = out.len() - out.trim_start().len() + mark.len();
        out.drain(..from);
    }
    let end = END_OF_TURN
        .iter()
        .filter_map(|mark| unquoted(&out, mark))
        .min();
    out.truncate(end.unwrap_or(out.len()));
    out
}

/// Returns the offset of the first `mark` in `text` that is not adjacent to a quote or backtick. A quoted mark is a
/// mention.
pub(super) fn unquoted(text: &str, mark: &str) -> Option<usize> {
    text.match_indices(mark).map(|(at, _)| at).find(|at| {
        let quotes = ['"', '\'', '`'];
        !text[..*at].ends_with(quotes) && !text[at + mark.len()..].starts_with(quotes)
    })
}

/// Returns the code of a block without surrounding blank lines, doctest prompts, tags inside the fence, and common
/// indentation.
pub(super) fn tidy_code(body: &str) -> String {
    let mut body = trim_blank_lines(body);
    let inner = body.trim();
    if let Some(inner) = inner.strip_prefix("<code>") {
        body = trim_blank_lines(inner.strip_suffix("</code>").unwrap_or(inner));
    }
    if body.trim_start().starts_with(">>> ") {
        return dedent(&without_prompts(body));
    }
    dedent(body)
}

/// Returns `text` without surrounding blank lines. The indentation of the first line stays.
pub(super) fn trim_blank_lines(text: &str) -> &str {
    let text = text.trim_end();
    let blank = text.len() - text.trim_start().len();
    let first_line = text[..blank].rfind('\n').map_or(0, |at| at + 1);
    &text[first_line..]
}

/// Returns the input of a doctest. Lines without a prompt are output and are dropped.
fn without_prompts(body: &str) -> String {
    let mut out = String::with_capacity(body.len());
    for line in body.lines() {
        let line = line.trim_start();
        let Some(rest) = line
            .strip_prefix(">>>")
            .or_else(|| line.strip_prefix("..."))
        else {
            continue;
        };
        out.push_str(rest.strip_prefix(' ').unwrap_or(rest));
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out
}

/// Removes the indentation that all lines have in common. Comments and lines inside a multi-line string do not count,
/// because their indentation has no meaning in Python.
fn dedent(body: &str) -> String {
    let mut state = StringState::default();
    let mut shared: Option<&str> = None;
    for line in body.split('\n') {
        let text = line.trim_start_matches([' ', '\t']);
        let indent = &line[..line.len() - text.len()];
        if !state.is_open() && !text.is_empty() && !text.starts_with('#') {
            let common = shared.map_or(indent.len(), |before| {
                let pairs = before.bytes().zip(indent.bytes());
                pairs.take_while(|(a, b)| a == b).count()
            });
            shared = Some(&indent[..common]);
        }
        skip_line(&mut state, line);
    }
    let shared = shared.unwrap_or("");
    if shared.is_empty() {
        return body.to_owned();
    }
    let mut out = String::with_capacity(body.len());
    for line in body.split('\n') {
        if !out.is_empty() {
            out.push('\n');
        }
        let own = line.len() - line.trim_start_matches([' ', '\t']).len();
        out.push_str(&line[own.min(shared.len())..]);
    }
    out
}
