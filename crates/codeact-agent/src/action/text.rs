//! Normalises replies without a change of their meaning.

/// Marks at the start of a model's message.
const START_OF_TURN: [&str; 10] = [
    "<|im_start|>assistant",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<start_of_turn>model",
    "<|assistant|>",
    "<｜Assistant｜>",
    "<|begin_of_text|>",
    "<｜begin▁of▁sentence｜>",
    "<bos>",
    "<s>",
    "[/INST]",
];

/// Returns `reply` with line feeds as line ends, with plain spaces as indentation, and without byte order marks,
/// zero-width spaces and the marks of the chat template at its start. Zero-width joiners stay, because emoji need them.
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
    // MiniMax M3 writes this token before each tag.
    const NAMESPACE: &str = "]<]minimax[>[";
    if out.contains(NAMESPACE) {
        out = out.replace(&format!("{NAMESPACE}<"), "<");
    }
    let mut own = out.as_str();
    loop {
        let text = own.trim_start();
        let mark = START_OF_TURN
            .iter()
            .find_map(|mark| text.strip_prefix(mark));
        match mark {
            Some(rest) => own = rest,
            None => break,
        }
    }
    let from = out.len() - own.len();
    out.drain(..from);
    out
}

/// Returns `text` without surrounding blank lines. The indentation of the first line stays.
pub(super) fn trim_blank_lines(text: &str) -> &str {
    let text = text.trim_end();
    let blank = text.len() - text.trim_start().len();
    let first_line = text[..blank].rfind('\n').map_or(0, |at| at + 1);
    &text[first_line..]
}

/// Returns a reply on one line, in which line feeds are written as `\n`, with line feeds around its fences. `None` if
/// `text` is not of this kind. Inside a block, line feeds are the subject of [`super::tidy`].
pub(super) fn with_line_feeds_at_fences(text: &str) -> Option<String> {
    let text = text.trim();
    // A reply as a JSON string.
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let text = inner
        .filter(|inner| inner.starts_with("```"))
        .unwrap_or(text);
    if text.contains('\n') || !text.contains("\\n") || !text.contains("```") {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (n, part) in text.split("```").enumerate() {
        let word = part.find(|c: char| !c.is_ascii_alphanumeric());
        let (word, mut body) = part.split_at(word.unwrap_or(part.len()));
        let is_body = n % 2 == 1;
        if n > 0 {
            out.push_str("```");
        }
        out.push_str(word);
        if n > 0
            && (is_body || word.is_empty())
            && let Some(rest) = body.strip_prefix("\\n")
        {
            out.push('\n');
            body = rest;
        }
        match body.strip_suffix("\\n") {
            Some(body) => {
                out.push_str(body);
                out.push('\n');
            }
            None => out.push_str(body),
        }
    }
    Some(out)
}

/// Returns `text` without the `>` of quoted lines, if one of these opens a fence.
pub(super) fn without_quote_marks(text: &str) -> Option<String> {
    let unquoted = |line: &str| {
        let rest = line.trim_start().strip_prefix('>')?;
        Some(rest.strip_prefix(' ').unwrap_or(rest).to_owned())
    };
    let opens =
        |line: &str| unquoted(line).is_some_and(|line| line.trim_start().starts_with("```"));
    if !text.lines().any(opens) {
        return None;
    }
    let lines = text
        .lines()
        .map(|line| unquoted(line).unwrap_or_else(|| line.to_owned()));
    Some(lines.collect::<Vec<_>>().join("\n"))
}
