//! Replies whose code is in no block: bare code, bare code after prose, and code between backticks in a sentence.

use super::call::Call;
use super::fence::{CodeState, find_mark};
use super::json;
use super::language::{Language, language};
use super::lexer::{Kind, tokens};
use super::likeness::judge;
use super::loose_json;
use super::marks::{Mark, mark};
use super::meaning::{Meaning, meaning};
use super::observations::is_observation;
use super::pythonic::code_tool_calls;
use super::react;
use super::text::trim_blank_lines;
use super::tidy::tidy_code;

/// Returns the code of a reply that is entirely Python, up to an invented result or the end of the message.
pub(super) fn bare_code(text: &str) -> Option<String> {
    if react::begins_call(text) {
        return None;
    }
    let body = trim_blank_lines(&text[..own_end(text)]);
    let body = body.strip_suffix("<end_code>").map_or(body, str::trim_end);
    // If a prompt ends in "```", the reply begins with the language.
    let body = ["python\n", "Code:\n"]
        .iter()
        .find_map(|label| body.strip_prefix(label))
        .unwrap_or(body);
    // The scanner finds the end of a marked block.
    if mark(body).is_some_and(|mark| mark.is_code() && !mark.closes) {
        return None;
    }
    let source = tidy_code(without_quotes(body).unwrap_or(body));
    if let Some(calls) = code_tool_calls(&source) {
        let sources = calls.iter().map(|call| match meaning(call) {
            Meaning::Code(source) => Some(source),
            _ => None,
        });
        return Some(sources.collect::<Option<Vec<_>>>()?.join("\n\n"));
    }
    judge(&source).is_python().then_some(source)
}

/// Returns the code of a reply whose first line is only a word such as `Sure!`, and this line.
pub(super) fn code_after_a_word(text: &str) -> Option<(String, &str)> {
    const WORDS: [&str; 12] = [
        "alright",
        "certainly",
        "done",
        "great",
        "hi",
        "of course",
        "ok",
        "okay",
        "right",
        "sure",
        "understood",
        "yes",
    ];
    let (first, rest) = text.trim_start().split_once('\n')?;
    let word = first.trim().trim_end_matches(['.', '!', ',', ':', '…']);
    let is_word = word.len() < 12 && WORDS.contains(&&*word.to_ascii_lowercase());
    is_word.then(|| Some((bare_code(rest)?, first)))?
}

/// Returns the body of a block with quotes or single backticks in place of the fence: `'''python`.
pub(super) fn without_quotes(body: &str) -> Option<&str> {
    let inner = body
        .strip_prefix('`')
        .and_then(|rest| rest.strip_suffix('`'));
    if let Some(inner) = inner.filter(|inner| !inner.contains(['`', '\n'])) {
        return Some(inner);
    }
    let quotes = ["'''", "\"\"\""]
        .into_iter()
        .find(|quotes| body.starts_with(quotes))?;
    let (first, inner) = body
        .strip_prefix(quotes)?
        .strip_suffix(quotes)?
        .split_once('\n')?;
    let is_python = matches!(language(first), Language::Python);
    (is_python && !inner.contains(quotes)).then_some(inner)
}

/// Returns the calls in JSON within a line of prose, and the prose around it. Few beginnings are tried.
pub(super) fn calls_in_prose(prose: &str) -> Option<(Vec<Call>, String)> {
    const MAX_TRIES: usize = 8;
    let begins = prose.match_indices(['{', '[']).map(|(at, _)| at);
    let begins = begins.filter(|at| {
        let rest = prose[at + 1..].trim_start();
        rest.starts_with(['"', '\'', '{'])
    });
    begins.take(MAX_TRIES).find_map(|at| {
        let read = loose_json::read(&prose[at..])?;
        let calls = json::calls(&read.value, read.is_complete);
        let said = || format!("{} {}", prose[..at].trim(), prose[at + read.end..].trim());
        (!calls.is_empty()).then(|| (calls, said().trim().to_owned()))
    })
}

/// Returns the text within marks such as `<answer>` around all of `text`.
pub(super) fn unwrapped(text: &str) -> Option<&str> {
    const WRAPPERS: [&str; 5] = ["answer", "final", "final_answer", "response", "solution"];
    let text = text.trim();
    let open = mark(text).filter(|mark| !mark.closes && WRAPPERS.contains(&&*mark.name))?;
    let close_at = text.rfind('<')?;
    let close = mark(&text[close_at..]).filter(|close| close.closes && close.name == open.name)?;
    let is_last = close_at + close.len == text.len() && close_at >= open.len;
    is_last.then(|| &text[open.len..close_at])
}

/// Returns the offset of the first invented result or mark of the end of the message, given that `text` is Python.
pub(super) fn own_end(text: &str) -> usize {
    end_of_code(text, ends_message)
}

/// Returns the offset of the first invented result or mark for which `is_end` is true, given that `text` is Python.
pub(super) fn end_of_code(text: &str, is_end: impl Fn(&Mark<'_>) -> bool) -> usize {
    let mut state = CodeState::default();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let code = line.trim_end_matches('\n');
        let is_comment = code.trim_start().starts_with('#');
        let is_statement = state.is_between_statements() && !is_comment;
        if at > 0 && is_statement && is_observation(line) && !assigns(code) {
            return at;
        }
        if code.contains('<') {
            let mut strings = state.strings;
            let mut marks = tokens(&mut strings, code).filter(|token| token.kind == Kind::Op(b'<'));
            let end =
                marks.find(|token| mark(&code[token.start..]).is_some_and(|mark| is_end(&mark)));
            if let Some(token) = end {
                return at + token.start;
            }
        }
        state.skip_line(code);
        at += line.len();
    }
    at
}

pub(super) fn ends_message(mark: &Mark<'_>) -> bool {
    mark.ends_message() || mark.is_result() && !mark.closes
}

/// Returns true for an annotated assignment, such as `Output: TypeAlias = dict`.
fn assigns(line: &str) -> bool {
    let judged = judge(line);
    judged.assignments > 0 && judged.bad == 0
}

/// Returns the code at the end of prose, and the prose before it.
pub(super) fn prose_with_code(prose: &str) -> Option<(String, String)> {
    let whole = judge(prose);
    let (said, rest) = prose.split_at(begin_of_code(prose, whole.first_strong?));
    let rest = &rest[..own_end(rest)];
    let tail = judge(rest);
    let is_announced = said.trim_end().ends_with(':');
    let is_code = tail.is_python() && (tail.answers || tail.strong >= 2 || is_announced);
    is_code.then(|| (tidy_code(rest), said.to_owned()))
}

/// Returns the offset of the first of the lines that end at `at` and are statements for certain. Alone, a statement such as
/// `x += 5` is not taken for code, but it belongs to the code that follows it.
fn begin_of_code(prose: &str, at: usize) -> usize {
    let mut begin = at;
    let mut end = at;
    for line in prose[..at].split_inclusive('\n').rev() {
        end -= line.len();
        let code = line.trim_end();
        if code.is_empty() {
            continue;
        }
        if !assigns(code) && !is_deletion(code) {
            break;
        }
        begin = end;
    }
    begin
}

fn is_deletion(line: &str) -> bool {
    line.starts_with("del ") && judge(line).bad == 0
}

/// Returns the code between three backticks in a sentence, and the sentence. Code without a language must call
/// `final_answer`. `None` if there is none or more than one.
pub(super) fn inline_code(prose: &str) -> Option<(String, String)> {
    let mut found = None;
    for line in prose.lines().filter(|line| line.contains("```")) {
        let mut parts = line.split("```");
        let before = parts.next()?;
        let (Some(inner), Some(after)) = (parts.next(), parts.next()) else {
            continue;
        };
        let word = inner.split_whitespace().next().unwrap_or("");
        let is_python = matches!(language(word), Language::Python);
        let code = match is_python {
            true => inner.trim_start().get(word.len()..)?,
            false => inner,
        };
        let source = tidy_code(code);
        let judged = judge(&source);
        if judged.is_python() && (is_python || judged.answers) {
            if found.is_some() || find_mark(line, |mark| mark.is_reasoning()).is_some() {
                return None;
            }
            found = Some((source, format!("{} {}", before.trim(), after.trim())));
        }
    }
    found
}
