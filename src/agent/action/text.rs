//! Rewrites that change how a reply is written, not what it says.

use super::lexer::{StringState, skip_line};

/// Marks that end a model's turn. A server with the wrong template lets them through as text.
const END_OF_TURN: [&str; 7] = [
    "<|eom_id|>",
    "<|eot_id|>",
    "<|im_end|>",
    "<|end_of_text|>",
    "<|endoftext|>",
    "<end_of_turn>",
    "<｜end▁of▁sentence｜>",
];

/// Marks that begin one.
const START_OF_TURN: [&str; 3] = [
    "<|im_start|>assistant",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<start_of_turn>model",
];

/// Line feeds for every line end, no byte order marks or zero-width spaces, plain spaces as
/// indentation, and no marks of the chat template. Zero-width joiners stay: emoji need them.
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

/// Where `mark` stands in `text` without a quote or backtick beside it, which would make it a
/// thing spoken of.
pub(super) fn unquoted(text: &str, mark: &str) -> Option<usize> {
    text.match_indices(mark).map(|(at, _)| at).find(|at| {
        let quotes = ['"', '\'', '`'];
        !text[..*at].ends_with(quotes) && !text[at + mark.len()..].starts_with(quotes)
    })
}

/// The code of a block as Python wants it: without blank lines around, doctest prompts, tags
/// inside the fence, and indentation that all lines share.
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

/// Blank lines before and after go, the first line's indentation stays.
pub(super) fn trim_blank_lines(text: &str) -> &str {
    let text = text.trim_end();
    let blank = text.len() - text.trim_start().len();
    let first_line = text[..blank].rfind('\n').map_or(0, |at| at + 1);
    &text[first_line..]
}

/// A doctest's input. Lines without a prompt are its output.
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

/// Takes away the whitespace that all lines start with. Lines inside a multi-line string and
/// comments have no say in what is shared, since Python does not ask for their indentation.
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
