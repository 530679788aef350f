//! Writes the code's output to stdout and stderr while the code runs.

use std::io::{Error, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;

use codeact::event::{Event, EventSink, Stream};
use codeact::sandbox::Cancel;
use codeact_base::text::shown;

/// Longest time that a question waits for earlier output to be written: a terminal can be paused.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Writes a turn's output as it arrives, on a thread of its own: a slow reader delays the writing, but not the turn
/// and its limits. If the output cannot be written, for example because the reader has closed the pipe, the turn is
/// cancelled.
pub(super) struct OutputPump {
    events: EventSink,
    thread: JoinHandle<Option<Error>>,
    progress: WriteProgress,
}

impl OutputPump {
    /// Starts the thread. If `sanitize` is true, control characters are escaped, so that the output cannot control a
    /// terminal.
    pub(super) fn new(cancel: Cancel, sanitize: bool) -> Self {
        // Not bounded: the turn's limit of output bounds it.
        let (send, receive) = std::sync::mpsc::channel::<(Stream, String)>();
        let sent = Arc::new(AtomicU64::new(0));
        let (written, is_written) = watch::channel(0_u64);
        let progress = WriteProgress {
            sent: sent.clone(),
            written: is_written,
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
                if sanitize {
                    text = shown(&text);
                }
                let result = match stream {
                    Stream::Stdout => write_all(std::io::stdout().lock(), &text),
                    Stream::Stderr => write_all(std::io::stderr().lock(), &text),
                };
                if let Err(e) = result {
                    cancel.cancel();
                    failed.get_or_insert(e);
                }
                written.send_modify(|written| *written += 1);
            }
            failed
        });
        Self {
            events,
            thread,
            progress,
        }
    }

    /// Returns the event sink for the turn.
    pub(super) fn events(&self) -> EventSink {
        self.events.clone()
    }

    /// Returns a handle to wait for the output so far.
    pub(super) fn progress(&self) -> WriteProgress {
        self.progress.clone()
    }

    /// Writes the rest of the output. The turn, and with it its event sink, must have been dropped. Returns false if
    /// the reader has closed the pipe.
    pub(super) fn finish(self) -> anyhow::Result<bool> {
        // The last sender: the thread ends after it.
        drop(self.events);
        match self.thread.join() {
            Ok(Some(e)) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
            Ok(Some(e)) => Err(e).context("cannot write the code's output"),
            _ => Ok(true),
        }
    }
}

/// How much of the output has been written.
#[derive(Clone)]
pub(super) struct WriteProgress {
    sent: Arc<AtomicU64>,
    written: watch::Receiver<u64>,
}

impl WriteProgress {
    /// Waits until the output so far is written, at most a second.
    pub(super) async fn catch_up(mut self) {
        let sent = self.sent.load(Ordering::SeqCst);
        let caught_up = self.written.wait_for(|written| *written >= sent);
        let _ = tokio::time::timeout(MAX_WAIT, caught_up).await;
    }
}

fn write_all(mut to: impl Write, text: &str) -> std::io::Result<()> {
    to.write_all(text.as_bytes())?;
    to.flush()
}
