//! Writes the code's output to stdout and stderr while the code runs.

use std::io::{Error, ErrorKind, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::sync::watch;

use codeact::event::{Event, EventSink, Stream};
use codeact::sandbox::Cancel;
use codeact_base::terminal::TerminalText;
use codeact_base::text::shown;

use super::exit_code::usage_error;
use super::terminal;

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
    /// Starts the thread.
    pub(super) fn new(cancel: Cancel, live: LiveOutput) -> Self {
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
            let mut stdout = Filter::new(live, std::io::stdout().is_terminal());
            let mut stderr = Filter::new(live, std::io::stderr().is_terminal());
            for (stream, text) in receive {
                let result = match stream {
                    Stream::Stdout => write_all(std::io::stdout().lock(), &stdout.push(text)),
                    Stream::Stderr => write_all(std::io::stderr().lock(), &stderr.push(text)),
                };
                if let Err(e) = result {
                    cancel.cancel();
                    failed.get_or_insert(e);
                }
                written.send_modify(|written| *written += 1);
            }
            let rest = write_all(std::io::stdout().lock(), &stdout.finish())
                .and_then(|()| write_all(std::io::stderr().lock(), &stderr.finish()));
            failed.or(rest.err())
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

/// How the code's output is written to a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LiveOutput {
    /// Colours and movement within a line pass; see [`TerminalText`].
    Styled,
    /// All control characters but line breaks and tabs are escaped, in pipes too: the user may be asked on the terminal
    /// that shows the output.
    Plain,
    /// Unchanged.
    Raw,
}

impl LiveOutput {
    /// Selects the mode. `may_ask` is true if the command may ask the user for an approval, `raw` if the output is
    /// requested unchanged; both are a usage error.
    pub(super) fn new(may_ask: bool, raw: bool) -> anyhow::Result<Self> {
        match (may_ask && terminal::can_ask(), raw) {
            (true, true) => Err(usage_error(anyhow!(
                "--raw lets the code control the terminal on which you are asked for approvals; leave it out, or \
                 approve beforehand with --approve and --yes"
            ))),
            (true, false) => Ok(Self::Plain),
            (false, true) => Ok(Self::Raw),
            (false, false) => Ok(Self::Styled),
        }
    }
}

/// Makes the text of one stream safe.
enum Filter {
    Unchanged,
    Plain,
    Styled(TerminalText),
}

impl Filter {
    fn new(live: LiveOutput, is_terminal: bool) -> Self {
        match live {
            LiveOutput::Plain => Self::Plain,
            LiveOutput::Styled if is_terminal => Self::Styled(TerminalText::default()),
            LiveOutput::Styled | LiveOutput::Raw => Self::Unchanged,
        }
    }

    fn push(&mut self, text: String) -> String {
        match self {
            Self::Unchanged => text,
            Self::Plain => shown(&text),
            Self::Styled(stream) => stream.push(&text),
        }
    }

    fn finish(&mut self) -> String {
        match self {
            Self::Unchanged | Self::Plain => String::new(),
            Self::Styled(stream) => stream.finish(),
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
    if text.is_empty() {
        return Ok(());
    }
    to.write_all(text.as_bytes())?;
    to.flush()
}
