//! The line editor: reads whole blocks, with history, completion and indentation.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver as Prompts, channel};

use rustyline::completion::Completer;
use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{
    Cmd, CompletionType, ConditionalEventHandler, Config, Context, Editor, Event, EventContext,
    EventHandler, Helper, KeyCode, KeyEvent, Modifiers, RepeatCount,
};
use tokio::sync::mpsc::Sender;

use super::ask::Shape;
use super::commands;
use super::event::EditorEvent;

const MAX_HISTORY: usize = 10_000;
const INDENT: &str = "    ";

/// Reads a block for each prompt, until the sender of prompts is dropped.
pub(super) fn run(
    history: Option<PathBuf>,
    prompts: &Prompts<String>,
    events: &Sender<EditorEvent>,
) {
    let mut editor = match start(events) {
        Ok(editor) => editor,
        Err(e) => {
            let why = format!("cannot use the terminal: {e}");
            let _ = events.blocking_send(EditorEvent::Failed(why));
            return;
        }
    };
    if let Some(history) = &history {
        // At first there is no file. Without a readable one, the history is empty.
        let _ = editor.load_history(history);
    }
    for prompt in prompts {
        let event = match editor.readline(&prompt) {
            Ok(text) => {
                if !text.trim().is_empty() && editor.add_history_entry(text.trim_end()).is_ok() {
                    // Now, not at the end, because a process can be killed.
                    let _ = (history.as_ref()).map(|history| editor.append_history(history));
                }
                EditorEvent::Text(text)
            }
            Err(ReadlineError::Interrupted) => EditorEvent::Interrupted,
            Err(ReadlineError::Eof) => EditorEvent::End,
            Err(e) => EditorEvent::Failed(format!("cannot read from the terminal: {e}")),
        };
        if events.blocking_send(event).is_err() {
            return;
        }
    }
}

fn start(events: &Sender<EditorEvent>) -> rustyline::Result<Editor<NameCompleter, FileHistory>> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .tab_stop(INDENT.len() as u8)
        .build();
    let history = FileHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_max_history_size(MAX_HISTORY)?;
    editor.set_helper(Some(NameCompleter(events.clone())));
    let on = |code| Event::KeySeq(vec![KeyEvent(code, Modifiers::NONE)]);
    let enter = EventHandler::Conditional(Box::new(Enter(events.clone())));
    editor.bind_sequence(on(KeyCode::Enter), enter);
    editor.bind_sequence(on(KeyCode::Tab), EventHandler::Conditional(Box::new(Tab)));
    Ok(editor)
}

/// Enter: ends a complete block, or begins the next line of the block with its indentation.
struct Enter(Sender<EditorEvent>);

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, cx: &EventContext) -> Option<Cmd> {
        let (text, pos) = (cx.line(), cx.pos());
        if commands::is_command(text) {
            return Some(Cmd::AcceptLine);
        }
        let at_end = text.get(pos..).unwrap_or_default().trim().is_empty();
        match request(&self.0, |reply| {
            EditorEvent::ShapeRequest(text.to_owned(), reply)
        }) {
            Some(Shape::Incomplete) => {}
            Some(Shape::OpenBlock) if at_end => {}
            _ => return Some(Cmd::AcceptLine),
        }
        let before = text.get(..pos).unwrap_or(text);
        let indent = indent(before.rsplit('\n').next().unwrap_or_default());
        Some(Cmd::Insert(1, format!("\n{indent}")))
    }
}

/// Returns the indentation of the line after `line`.
fn indent(line: &str) -> String {
    let code = line.trim();
    let mut indent = line[..line.len() - line.trim_start().len()].to_owned();
    let first = code.split(|c: char| !c.is_alphanumeric()).next();
    if code.ends_with(':') {
        indent += INDENT;
    } else if matches!(
        first,
        Some("return" | "pass" | "break" | "continue" | "raise")
    ) {
        indent.truncate(indent.len().saturating_sub(INDENT.len()));
    }
    indent
}

/// Tab: indents at the start of a line, and completes elsewhere.
struct Tab;

impl ConditionalEventHandler for Tab {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, cx: &EventContext) -> Option<Cmd> {
        let before = cx.line().get(..cx.pos()).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (line.trim().is_empty()).then(|| Cmd::Insert(1, INDENT.into()))
    }
}

/// Completes names of the session, and commands.
struct NameCompleter(Sender<EditorEvent>);

impl Completer for NameCompleter {
    type Candidate = String;

    fn complete(
        &self,
        text: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let before = text.get(..pos).unwrap_or_default();
        if commands::is_command(before) {
            return Ok((0, commands::beginning_with(before)));
        }
        let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let start = before
            .char_indices()
            .rev()
            .take_while(|(_, c)| part(*c))
            .last()
            .map_or(pos, |(at, _)| at);
        let word = before[start..].to_owned();
        if word.is_empty() {
            return Ok((pos, Vec::new()));
        }
        let names = request(&self.0, |reply| EditorEvent::NamesRequest(word, reply));
        Ok((start, names.unwrap_or_default()))
    }
}

impl Hinter for NameCompleter {
    type Hint = String;
}
impl Highlighter for NameCompleter {}
impl Validator for NameCompleter {}
impl Helper for NameCompleter {}

/// Sends a request to the main thread, which is idle while the user types, and waits for the reply.
fn request<T>(
    events: &Sender<EditorEvent>,
    event: impl FnOnce(std::sync::mpsc::Sender<T>) -> EditorEvent,
) -> Option<T> {
    let (sender, reply) = channel();
    events.blocking_send(event(sender)).ok()?;
    reply.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::indent;

    #[test]
    fn the_next_line_is_indented_by_the_rules_of_python() {
        for (line, next) in [
            ("for x in y:", "    "),
            ("    if x:", "        "),
            ("    x = 1", "    "),
            ("        return x", "    "),
            ("    passed = 1", "    "),
            ("pass", ""),
            ("", ""),
        ] {
            assert_eq!(indent(line), next, "{line:?}");
        }
    }
}
