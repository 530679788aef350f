//! Sources of blocks: a line editor on a terminal, or lines of a pipe.
//!
//! Both read on a thread of their own. The editor's requests about the session use the same channel as the blocks.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver as Prompts, Sender as Replies, channel};

use tokio::sync::mpsc::{Receiver, Sender};

use super::editor;
use super::event::EditorEvent;

/// Limit of a line of a pipe, in bytes.
const MAX_LINE_BYTES: u64 = 16 << 20;

/// The reading thread.
pub(super) struct Input {
    prompts: Replies<String>,
    events: Receiver<EditorEvent>,
    pub(super) is_terminal: bool,
}

impl Input {
    /// Starts a line editor that stores its history in `history`.
    pub(super) fn terminal(history: Option<PathBuf>) -> Self {
        Self::start(true, move |prompts, events| {
            editor::run(history, &prompts, &events);
        })
    }

    /// Starts to read lines of stdin.
    pub(super) fn pipe() -> Self {
        Self::start(false, |prompts, events| {
            for _ in prompts {
                if events.blocking_send(read_line()).is_err() {
                    return;
                }
            }
        })
    }

    fn start(
        is_terminal: bool,
        read: impl FnOnce(Prompts<String>, Sender<EditorEvent>) + Send + 'static,
    ) -> Self {
        let (prompts, prompted) = channel();
        let (sender, events) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || read(prompted, sender));
        Self {
            prompts,
            events,
            is_terminal,
        }
    }

    /// Requests the next block or line; [`Input::next`] returns it.
    pub(super) fn prompt(&self, prompt: &str) {
        // If the thread has ended, `next` returns the end of the input.
        let _ = self.prompts.send(prompt.to_owned());
    }

    /// Waits for the next event.
    pub(super) async fn next(&mut self) -> EditorEvent {
        self.events.recv().await.unwrap_or(EditorEvent::End)
    }
}

fn read_line() -> EditorEvent {
    let mut bytes = Vec::new();
    let mut stdin = std::io::Read::take(std::io::stdin().lock(), MAX_LINE_BYTES + 1);
    match stdin.read_until(b'\n', &mut bytes) {
        Ok(0) => return EditorEvent::End,
        Ok(n) if n as u64 > MAX_LINE_BYTES => {
            let max = MAX_LINE_BYTES >> 20;
            return EditorEvent::Failed(format!("a line is longer than {max} MiB"));
        }
        Ok(_) => {}
        Err(e) => return EditorEvent::Failed(format!("cannot read stdin: {e}")),
    }
    while bytes.last().is_some_and(|b| b"\r\n".contains(b)) {
        bytes.pop();
    }
    match String::from_utf8(bytes) {
        Ok(text) => EditorEvent::Text(text),
        Err(_) => EditorEvent::Failed("stdin is not UTF-8 text".into()),
    }
}
