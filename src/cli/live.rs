//! The code's output on its way out, while the code runs.

use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use crate::event::{Event, EventSink, Stream};
use crate::report;
use crate::sandbox::Cancel;

/// How long a question waits for what the code wrote before it, at most: a terminal can be held.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Passes a turn's output on as it comes, from a thread of its own: a reader that is slow holds up
/// the writing, never the turn and its limits. When nobody reads any more, the turn is cancelled.
pub(super) struct Live {
    events: EventSink,
    thread: JoinHandle<Option<Error>>,
    written: Written,
}

impl Live {
    /// `tame` takes the output's power over a terminal away.
    pub(super) fn new(cancel: Cancel, tame: bool) -> Self {
        // No bound is needed: the turn's own limit on output is one.
        let (send, receive) = std::sync::mpsc::channel::<(Stream, String)>();
        let sent = Arc::new(AtomicU64::new(0));
        let (done, is_done) = watch::channel(0_u64);
        let written = Written {
            sent: sent.clone(),
            done: is_done,
        };
        let events = EventSink::new(move |event| {
            if let Event::Output { stream, text } = event {
                sent.fetch_add(1, Ordering::SeqCst);
                let _ = send.send((stream, text));
            }
        });
        let thread = std::thread::spawn(move || {
            let mut failed = None;
            for (stream, mut text) in receive {
                if tame {
                    text = report::human::shown(&text);
                }
                let written = match stream {
                    Stream::Stdout => write_all(std::io::stdout().lock(), &text),
                    Stream::Stderr => write_all(std::io::stderr().lock(), &text),
                };
                if let Err(e) = written {
                    cancel.cancel();
                    failed.get_or_insert(e);
                }
                done.send_modify(|done| *done += 1);
            }
            failed
        });
        Self {
            events,
            thread,
            written,
        }
    }

    /// What the turn is to tell its output to.
    pub(super) fn events(&self) -> EventSink {
        self.events.clone()
    }

    /// What a question waits for.
    pub(super) fn written(&self) -> Written {
        self.written.clone()
    }

    /// Writes what is left, once the turn is gone, and tells whether somebody has read all of it.
    pub(super) fn end(self) -> anyhow::Result<bool> {
        // The last sender: the thread ends behind it.
        drop(self.events);
        match self.thread.join() {
            Ok(Some(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
            Ok(Some(e)) => Err(e).context("cannot write the code's output"),
            _ => Ok(true),
        }
    }
}

/// How far the writing is.
#[derive(Clone)]
pub(super) struct Written {
    sent: Arc<AtomicU64>,
    done: watch::Receiver<u64>,
}

impl Written {
    /// Waits until what the code has written so far is out, a second at most.
    pub(super) async fn so_far(mut self) {
        let sent = self.sent.load(Ordering::SeqCst);
        let out = self.done.wait_for(|done| *done >= sent);
        let _ = tokio::time::timeout(MAX_WAIT, out).await;
    }
}

fn write_all(mut to: impl Write, text: &str) -> std::io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}
