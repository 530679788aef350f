//! Reasoning of a model, which is never run as code: its start and its end.

use super::fence::{MESSAGE_MARKS, find_mark};
use super::marks::Mark;
use super::reader::Reader;

/// Limit of the header of a message with a channel, in bytes.
const MAX_HEADER_BYTES: usize = 300;

/// Returns the offset after the reasoning that `open` begins, given that its text begins at `from`. `None` if it has no
/// end. Marks of other names inside it are nested; a mark of the same name is not, as models repeat it.
pub(super) fn end(text: &str, from: usize, open: &Mark<'_>) -> Option<usize> {
    let mut names = vec![open.name.clone()];
    let mut at = from;
    loop {
        // Solar ends its reasoning as it ends a message: `<|think|>…<|end|>`.
        let is_end = |mark: &Mark<'_>| open.is_token && mark.is_token && mark.name == "end";
        let relevant =
            |mark: &Mark<'_>| mark.is_reasoning() || is_end(mark) || names.contains(&mark.name);
        let (start, found) = find_mark(&text[at..], relevant)?;
        let (start, next) = (at + start, at + start + found.len);
        if is_end(&found) {
            return Some(next);
        }
        if !found.closes {
            let before = text[..start].trim_end_matches([' ', '\t']);
            let begins_line = before.is_empty() || before.ends_with('\n');
            if begins_line && !names.contains(&found.name) && names.len() < 16 {
                names.push(found.name);
            }
        } else {
            let depth = names.iter().rposition(|name| *name == found.name);
            names.truncate(depth.unwrap_or(names.len() - 1));
            if names.is_empty() {
                return Some(next);
            }
        }
        at = next;
    }
}

/// Returns the offset after the reasoning at the start of a reply that is marked by phrases, as Granite and Ollama do.
pub(super) fn end_of_phrases(reader: &Reader<'_>, at: usize) -> Option<usize> {
    let (line, mut at) = reader.line(at);
    if !opens_by_phrase(line) {
        return None;
    }
    while at < reader.text.len() {
        let (line, next) = reader.line(at);
        if closes_by_phrase(line) {
            return Some(next);
        }
        at = next;
    }
    None
}

/// Returns the words of a short line in lower case, without emphasis and punctuation around them.
fn phrase(line: &str) -> String {
    let line = line
        .trim()
        .trim_matches(['*', '#', '_', ' ', ':', '.', '…']);
    match line.len() {
        0..=60 => line.to_lowercase().replace('’', "'"),
        _ => String::new(),
    }
}

fn after_introduction(phrase: &str) -> Option<&str> {
    let introductions = ["here is my ", "here's my ", "here is the ", "here's the "];
    introductions
        .iter()
        .find_map(|words| phrase.strip_prefix(words))
}

fn opens_by_phrase(line: &str) -> bool {
    let phrase = phrase(line);
    let rest = after_introduction(&phrase);
    matches!(
        phrase.as_str(),
        "thinking" | "thinking process" | "thought process"
    ) || rest.is_some_and(|rest| {
        matches!(
            rest.strip_suffix(" process").unwrap_or(rest),
            "thought" | "thoughts" | "thinking" | "reasoning"
        )
    })
}

fn closes_by_phrase(line: &str) -> bool {
    let phrase = phrase(line);
    let rest = after_introduction(&phrase);
    phrase == "done thinking"
        || rest.is_some_and(|rest| {
            matches!(
                rest.strip_prefix("final ").unwrap_or(rest),
                "response" | "answer" | "solution" | "code" | "output"
            )
        })
}

/// Header of a message with a channel, as gpt-oss writes it: `<|start|>assistant<|channel|>analysis to=python<|message|>`.
pub(super) struct Header<'a> {
    /// True for a message of the model.
    pub(super) is_own: bool,
    pub(super) is_reasoning: bool,
    /// Name of the tool that is called.
    pub(super) recipient: Option<&'a str>,
    /// Length in bytes.
    pub(super) len: usize,
}

/// Returns the header at the start of `text`, which begins with the mark `open`.
pub(super) fn header<'a>(text: &'a str, open: &Mark<'_>) -> Option<Header<'a>> {
    let is_channel = open.name == "channel" && text[..open.len].ends_with("|>");
    if !open.is_token || open.closes || !(is_channel || open.name == "start") {
        return None;
    }
    let whole = &text[..text.floor_char_boundary(MAX_HEADER_BYTES)];
    let message = "<|message|>";
    let at = whole.find(message)?;
    let words = &whole[open.len..at];
    let (role, channel) = match words.split_once("<|channel|>") {
        Some((role, channel)) => (role, channel),
        None if is_channel => ("", words),
        None => (words, ""),
    };
    let role = role.split_whitespace().next().unwrap_or("");
    let recipient = words
        .split_whitespace()
        .find_map(|word| word.split_once("to=").map(|(_, to)| to));
    let recipient = recipient.map(|to| to.split('<').next().unwrap_or(to));
    Some(Header {
        is_own: role.is_empty() || role == "assistant",
        is_reasoning: channel.trim_start().starts_with("analysis"),
        recipient: recipient.filter(|to| !matches!(*to, "" | "assistant" | "user" | "all")),
        len: at + message.len(),
    })
}

/// Returns the offset of the end of the message whose text begins at `from`.
pub(super) fn end_of_message(text: &str, from: usize) -> Option<usize> {
    let is_end = |mark: &Mark<'_>| mark.is_token && MESSAGE_MARKS.contains(&&*mark.name);
    find_mark(&text[from..], is_end).map(|(at, _)| from + at)
}

/// Returns the final message of a reply with channels whose tokens were removed: `analysis…assistantfinal…`.
pub(super) fn final_message(text: &str) -> Option<&str> {
    let reasoning = text.trim_start().strip_prefix("analysis")?;
    let at = reasoning.find("assistantfinal")?;
    let has_space = reasoning.starts_with(char::is_whitespace);
    (!has_space).then(|| &reasoning[at + "assistantfinal".len()..])
}

/// Returns true if `open` is a channel for reasoning in the form of Gemma: `<|channel>thought`.
pub(super) fn is_thought_channel(text: &str, open: &Mark<'_>) -> bool {
    let word = text[open.len..].trim_start();
    let names = ["thought", "thinking", "analysis", "reasoning"];
    open.name == "channel"
        && !open.closes
        && !text[..open.len].ends_with("|>")
        && names.iter().any(|name| word.starts_with(name))
}

/// Returns true if `open` is a folded section that is titled as reasoning.
pub(super) fn is_folded(text: &str, open: &Mark<'_>) -> bool {
    if open.name != "details" || open.closes {
        return false;
    }
    let title = text[open.len..].trim_start().strip_prefix("<summary>");
    let title =
        title.and_then(|rest| rest.get(..rest.find("</summary>").filter(|end| *end < 100)?));
    title.is_some_and(|title| {
        let title = title.to_lowercase();
        ["think", "thought", "reason"]
            .iter()
            .any(|word| title.contains(word))
    })
}
