//! The line editor: whole blocks, with history, completion and indentation.

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
use super::input::Said;

const MAX_HISTORY: usize = 10_000;
const INDENT: &str = "    ";

/// Reads a block for each prompt, until there are no more prompts.
pub(super) fn read(history: Option<PathBuf>, prompts: &Prompts<String>, say: &Sender<Said>) {
    let mut editor = match start(say) {
        Ok(editor) => editor,
        Err(e) => {
            let _ = say.blocking_send(Said::Failed(format!("cannot use the terminal: {e}")));
            return;
        }
    };
    if let Some(history) = &history {
        // There is none at first; one that cannot be read is no reason not to go on.
        let _ = editor.load_history(history);
    }
    for prompt in prompts {
        let said = match editor.readline(&prompt) {
            Ok(text) => {
                if !text.trim().is_empty() && editor.add_history_entry(text.trim_end()).is_ok() {
                    // Now, not at the end: a process may be killed.
                    let _ = (history.as_ref()).map(|history| editor.append_history(history));
                }
                Said::Text(text)
            }
            Err(ReadlineError::Interrupted) => Said::Interrupted,
            Err(ReadlineError::Eof) => Said::End,
            Err(e) => Said::Failed(format!("cannot read from the terminal: {e}")),
        };
        if say.blocking_send(said).is_err() {
            return;
        }
    }
}

fn start(say: &Sender<Said>) -> rustyline::Result<Editor<Asker, FileHistory>> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .tab_stop(INDENT.len() as u8)
        .build();
    let history = FileHistory::with_config(&config);
    let mut editor = Editor::with_history(config, history)?;
    editor.set_max_history_size(MAX_HISTORY)?;
    editor.set_helper(Some(Asker(say.clone())));
    let on = |code| Event::KeySeq(vec![KeyEvent(code, Modifiers::NONE)]);
    let enter = EventHandler::Conditional(Box::new(Enter(say.clone())));
    editor.bind_sequence(on(KeyCode::Enter), enter);
    editor.bind_sequence(on(KeyCode::Tab), EventHandler::Conditional(Box::new(Tab)));
    Ok(editor)
}

/// Ends a block that is complete; else begins its next line, indented.
struct Enter(Sender<Said>);

impl ConditionalEventHandler for Enter {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, cx: &EventContext) -> Option<Cmd> {
        let (text, pos) = (cx.line(), cx.pos());
        if commands::is_command(text) {
            return Some(Cmd::AcceptLine);
        }
        let at_end = text[pos..].trim().is_empty();
        match ask(&self.0, |reply| Said::AskShape(text.to_owned(), reply)) {
            Some(Shape::More) => {}
            Some(Shape::Open) if at_end => {}
            _ => return Some(Cmd::AcceptLine),
        }
        let before = text.get(..pos).unwrap_or(text);
        let indent = indent(before.rsplit('\n').next().unwrap_or_default());
        Some(Cmd::Insert(1, format!("\n{indent}")))
    }
}

/// How the line after `line` is indented.
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

/// Indents at the beginning of a line; elsewhere, completes.
struct Tab;

impl ConditionalEventHandler for Tab {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, cx: &EventContext) -> Option<Cmd> {
        let before = cx.line().get(..cx.pos()).unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        (line.trim().is_empty()).then(|| Cmd::Insert(1, INDENT.into()))
    }
}

struct Asker(Sender<Said>);

impl Completer for Asker {
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
        let names = ask(&self.0, |reply| Said::AskNames(word, reply));
        Ok((start, names.unwrap_or_default()))
    }
}

impl Hinter for Asker {
    type Hint = String;
}
impl Highlighter for Asker {}
impl Validator for Asker {}
impl Helper for Asker {}

/// Asks the other thread and waits: it has nothing else to do while the user types.
fn ask<T>(
    say: &Sender<Said>,
    question: impl FnOnce(std::sync::mpsc::Sender<T>) -> Said,
) -> Option<T> {
    let (reply, answer) = channel();
    say.blocking_send(question(reply)).ok()?;
    answer.recv().ok()
}

#[cfg(test)]
mod tests {
    use super::indent;

    #[test]
    fn the_next_line_is_indented_as_python_wants_it() {
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
