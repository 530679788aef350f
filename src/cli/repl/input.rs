//! Where blocks come from: a line editor on a terminal, or plain lines from a pipe.
//!
//! Both read on a thread of their own. What the editor must know of the session while the user types,
//! it asks through the same channel on which it hands over what was typed.

use std::io::BufRead;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver as Prompts, Sender as Replies, channel};

use tokio::sync::mpsc::{Receiver, Sender};

use super::ask::Shape;
use super::editor;

/// The longest line of a pipe, in bytes.
const MAX_LINE: u64 = 16 << 20;

/// What the reading thread says.
pub(super) enum Said {
    /// A whole block of a terminal, or one line of a pipe.
    Text(String),
    /// Ctrl-C at the prompt.
    Interrupted,
    End,
    Failed(String),
    AskShape(String, Replies<Shape>),
    AskNames(String, Replies<Vec<String>>),
}

pub(super) struct Input {
    prompts: Replies<String>,
    said: Receiver<Said>,
    pub(super) is_terminal: bool,
}

impl Input {
    /// A line editor whose history is kept in `history`.
    pub(super) fn terminal(history: Option<PathBuf>) -> Self {
        Self::start(true, move |prompts, say| {
            editor::read(history, &prompts, &say);
        })
    }

    pub(super) fn pipe() -> Self {
        Self::start(false, |prompts, say| {
            for _ in prompts {
                if say.blocking_send(line()).is_err() {
                    return;
                }
            }
        })
    }

    fn start(
        is_terminal: bool,
        read: impl FnOnce(Prompts<String>, Sender<Said>) + Send + 'static,
    ) -> Self {
        let (prompts, prompted) = channel();
        let (say, said) = tokio::sync::mpsc::channel(1);
        std::thread::spawn(move || read(prompted, say));
        Self {
            prompts,
            said,
            is_terminal,
        }
    }

    /// Asks for the next piece; [`Input::next`] tells it.
    pub(super) fn prompt(&self, prompt: &str) {
        // A thread that is gone shows in `next`.
        let _ = self.prompts.send(prompt.to_owned());
    }

    pub(super) async fn next(&mut self) -> Said {
        self.said.recv().await.unwrap_or(Said::End)
    }
}

fn line() -> Said {
    let mut bytes = Vec::new();
    let mut stdin = std::io::Read::take(std::io::stdin().lock(), MAX_LINE + 1);
    match stdin.read_until(b'\n', &mut bytes) {
        Ok(0) => return Said::End,
        Ok(n) if n as u64 > MAX_LINE => {
            return Said::Failed(format!("a line is longer than {} MiB", MAX_LINE >> 20));
        }
        Ok(_) => {}
        Err(e) => return Said::Failed(format!("cannot read stdin: {e}")),
    }
    while bytes.last().is_some_and(|b| b"\r\n".contains(b)) {
        bytes.pop();
    }
    match String::from_utf8(bytes) {
        Ok(text) => Said::Text(text),
        Err(_) => Said::Failed("stdin is not UTF-8 text".into()),
    }
}
