//! Reads code that is written for a page, a prompt or a transport, as the program that is meant: with prompts, line
//! numbers, escaped line feeds or HTML entities.
//!
//! A change is made only if the text cannot be a Python program without it.

use super::lexer::{Kind, StringState, skip_line, tokens};
use super::likeness::judge;
use super::marks::mark;
use super::prompts::without_prompts;
use super::text::trim_blank_lines;

/// Returns the code of a block without surrounding blank lines, prompts, line numbers, marks inside the fence, common
/// indentation and escapes.
pub(super) fn tidy_code(body: &str) -> String {
    let body = without_marks(trim_blank_lines(body));
    let code = match without_prompts(body).or_else(|| without_line_numbers(body)) {
        Some(code) => dedent(&code),
        None => dedent(body),
    };
    let code = with_line_feeds(&code).unwrap_or(code);
    without_entities(&code).unwrap_or(code)
}

/// Removes a mark of code or CDATA around the whole body.
fn without_marks(body: &str) -> &str {
    let inner = body.trim();
    let cdata = inner.strip_prefix("<![CDATA[");
    if let Some(inner) = cdata.and_then(|inner| inner.strip_suffix("]]>")) {
        return trim_blank_lines(inner);
    }
    let Some(open) = mark(inner).filter(|mark| mark.is_code() && !mark.closes) else {
        return body;
    };
    let inner = &inner[open.len..];
    let close = inner.rfind(['<', '[']).filter(|at| {
        let close = mark(&inner[*at..]);
        close.is_some_and(|close| {
            close.closes && close.name == open.name && at + close.len == inner.len()
        })
    });
    trim_blank_lines(&inner[..close.unwrap_or(inner.len())])
}

/// Returns the code of lines that have consecutive numbers. `None` if a line has none, or if the text can be Python with
/// them.
fn without_line_numbers(body: &str) -> Option<String> {
    let mut out = String::with_capacity(body.len());
    let mut last: Option<u32> = None;
    let (mut count, mut has_separators) = (0, true);
    for line in body.lines() {
        let line = line.trim_start();
        if !line.is_empty() {
            let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let number: u32 = line.get(..digits)?.parse().ok()?;
            if last.is_some_and(|last| last.checked_add(1) != Some(number)) {
                return None;
            }
            (last, count) = (Some(number), count + 1);
            let rest = &line[digits..];
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
            let code = match rest[blanks..].strip_prefix([':', '|', ')', '.']) {
                Some(code) => code,
                None if blanks > 0 || rest.is_empty() => {
                    has_separators = false;
                    rest
                }
                None => return None,
            };
            out.push_str(code.strip_prefix([' ', '\t']).unwrap_or(code));
        }
        out.push('\n');
    }
    let judged = judge(&out);
    let is_code = judged.bad == 0 && judged.lines > 0;
    let is_needed = judge(body).bad > 0 || (has_separators && judged.strong > 0);
    (count > 1 && is_code && is_needed).then(|| out.trim_end().to_owned())
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

/// Returns the code with line feeds in place of `\n` outside strings, where a backslash is never Python. `None` if there
/// are none, or if the result cannot be Python.
fn with_line_feeds(code: &str) -> Option<String> {
    if !code.contains("\\n") {
        return None;
    }
    let is_one_line = !code.trim().contains('\n');
    let mut lines: Vec<&str> = Vec::new();
    let mut state = StringState::default();
    let mut escapes = Escapes::default();
    for line in code.split('\n') {
        let mut rest = line;
        while let Some(at) = escaped_line_feed(&mut state, rest, is_one_line, &mut escapes) {
            lines.push(&rest[..at]);
            rest = &rest[at + 2..];
            escapes.line_feeds += 1;
        }
        lines.push(rest);
    }
    if escapes.line_feeds == 0 {
        return None;
    }
    // If the strings have only doubled backslashes, everything is escaped.
    let is_uniform = escapes.doubled > 0 && escapes.single == 0;
    let partly = (!is_uniform).then(|| lines.join("\n"));
    let is_code = |text: &String| {
        let judged = judge(text);
        judged.bad == 0 && judged.lines > 0
    };
    let results = partly.into_iter().chain([unescaped(code)]);
    let mut results = results.map(|result| trim_blank_lines(&result).to_owned());
    results.find(is_code)
}

/// Returns `text` without one level of escapes.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, (c == '\\').then(|| chars.next()).flatten()) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(quoted @ ('\\' | '"' | '\''))) => out.push(quoted),
            ('\\', Some(other)) => out.extend(['\\', other]),
            _ => out.push(c),
        }
    }
    out
}

/// Number of escape sequences in a text.
#[derive(Default)]
struct Escapes {
    /// Line feeds outside strings.
    line_feeds: usize,
    /// Doubled backslashes in strings.
    doubled: usize,
    /// Other sequences in strings.
    single: usize,
}

/// Returns the offset of the first `\n` outside a string. In a text of one line, it also ends a comment.
fn escaped_line_feed(
    state: &mut StringState,
    line: &str,
    is_one_line: bool,
    escapes: &mut Escapes,
) -> Option<usize> {
    for token in tokens(state, line) {
        let text = &line[token.start..token.end];
        match token.kind {
            Kind::Illegal if line[token.start..].starts_with("\\n") => return Some(token.start),
            Kind::Comment if is_one_line => {
                if let Some(at) = text.find("\\n") {
                    return Some(token.start + at);
                }
            }
            Kind::Str | Kind::BrokenStr => {
                let doubled = text.matches("\\\\").count();
                escapes.doubled += doubled;
                escapes.single += text.matches('\\').count() - 2 * doubled;
            }
            _ => {}
        }
    }
    None
}

const ENTITIES: [(&str, char); 9] = [
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&amp;", '&'),
    ("&quot;", '"'),
    ("&apos;", '\''),
    ("&#39;", '\''),
    ("&#x27;", '\''),
    ("&#34;", '"'),
    ("&#x22;", '"'),
];

fn entity(text: &str) -> Option<(&'static str, char)> {
    ENTITIES
        .into_iter()
        .find(|(name, _)| text.starts_with(name))
}

/// Returns the code with characters in place of HTML entities. `None` if there are none outside strings and comments: in
/// a string they may be meant.
fn without_entities(code: &str) -> Option<String> {
    let mut state = StringState::default();
    let is_escaped = code.contains('&')
        && code.split('\n').any(|line| {
            let mut found = false;
            for token in tokens(&mut state, line) {
                found |= token.kind == Kind::Op(b'&') && entity(&line[token.start..]).is_some();
            }
            found
        });
    if !is_escaped {
        return None;
    }
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match entity(rest) {
            Some((name, c)) => {
                out.push(c);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    (judge(&out).bad <= judge(code).bad).then_some(out)
}
