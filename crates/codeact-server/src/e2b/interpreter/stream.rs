//! The answer of a running execution: a line for each event, as it happens.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use codeact::event::{Event, Stream};
use codeact::sandbox::{Execution, Outcome};
use codeact::wire::truncation_notice;
use codeact_sessions::manager::ManagerError;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use super::lines;
use crate::e2b::record::{E2bSandbox, State};
use crate::turns::{RunningTurn, TurnMessage};

/// Time without output after which a line tells the client that the server is there.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Time for which output is collected before it is sent, as notebooks do. The end of the execution sends it at once.
const COLLECT: Duration = Duration::from_millis(20);
/// The same, if the output ends within a line.
const COLLECT_LINE: Duration = Duration::from_millis(200);
/// Size of collected output after which it is sent, in bytes.
const COLLECT_BYTES: usize = 64 << 10;
/// Time to wait for a first event before the answer begins, so that a refusal has its HTTP status.
const FIRST: Duration = Duration::from_millis(200);

/// An execution that runs, and what has not been sent of it.
pub(super) struct Answer {
    turn: RunningTurn,
    sandbox: E2bSandbox,
    /// Output of one stream, and when it began.
    collected: Option<(Stream, String, Instant)>,
    /// Lines to send first.
    ready: Vec<u8>,
    /// A message that was received and not handled yet.
    first: Option<TurnMessage>,
    is_over: bool,
}

impl Answer {
    /// Waits a moment for the beginning of `turn`.
    ///
    /// # Errors
    ///
    /// Returns the error if the execution was refused.
    pub(super) async fn begin(
        mut turn: RunningTurn,
        sandbox: E2bSandbox,
        count: u64,
    ) -> Result<Self, ManagerError> {
        let first = match timeout_at(Instant::now() + FIRST, turn.next()).await {
            Ok(Some(TurnMessage::Ended(Err(error)))) if !is_after_run(&error) => return Err(error),
            Ok(first) => first,
            Err(_) => None,
        };
        let mut ready = Vec::new();
        lines::push(&mut ready, &lines::number_of_executions(count));
        Ok(Self {
            turn,
            sandbox,
            collected: None,
            ready,
            first,
            is_over: false,
        })
    }

    /// Returns the body of the answer. If it is dropped, the execution is stopped.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut answer| async move {
            let part = answer.next().await?;
            Some((part, answer))
        }))
    }

    /// Returns the next lines; `None` at the end. An error breaks the connection, by which clients know that the sandbox
    /// is gone.
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if !self.ready.is_empty() && (self.is_over || self.first.is_none()) {
                return Some(Ok(std::mem::take(&mut self.ready).into()));
            }
            if self.is_over {
                return None;
            }
            let deadline = match &self.collected {
                Some((_, text, since)) if text.ends_with('\n') => *since + COLLECT,
                Some((_, _, since)) => *since + COLLECT_LINE,
                None => Instant::now() + KEEPALIVE,
            };
            let message = match self.first.take() {
                Some(first) => Ok(Some(first)),
                None => timeout_at(deadline, self.turn.next()).await,
            };
            match message {
                Ok(Some(TurnMessage::Event(event))) => self.event(event),
                Ok(Some(TurnMessage::Ended(ended))) => {
                    self.is_over = true;
                    self.flush();
                    if self.end(ended).is_err() {
                        return Some(Err(io::Error::other("the sandbox was stopped")));
                    }
                }
                Ok(None) => self.is_over = true,
                Err(_) if self.collected.is_some() => self.flush(),
                Err(_) => lines::push(&mut self.ready, &lines::keepalive()),
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Output { stream, text } if !text.is_empty() => match &mut self.collected {
                Some((collected, all, _)) if *collected == stream => {
                    all.push_str(&text);
                    if all.len() > COLLECT_BYTES {
                        self.flush();
                    }
                }
                _ => {
                    self.flush();
                    self.collected = Some((stream, text, Instant::now()));
                }
            },
            Event::Bundle {
                is_result, data, ..
            } => {
                self.flush();
                lines::push(&mut self.ready, &lines::result(is_result, data));
            }
            _ => {}
        }
    }

    fn flush(&mut self) {
        if let Some((stream, text, _)) = self.collected.take() {
            lines::push(&mut self.ready, &lines::output(stream, &text));
        }
    }

    /// Adds the last lines. Returns an error if the sandbox does not run any more.
    fn end(&mut self, ended: Result<Execution, ManagerError>) -> Result<(), Stopped> {
        let line = match ended {
            Ok(execution) => {
                if execution.outcome == Outcome::Cancelled && !self.is_running() {
                    return Err(Stopped);
                }
                for notice in cut(&execution) {
                    lines::push(&mut self.ready, &lines::output(Stream::Stderr, &notice));
                }
                lines::failure(&execution)
            }
            Err(ManagerError::Missing { .. }) => return Err(Stopped),
            Err(error) => Some(lines::refusal(error)),
        };
        if let Some(line) = line {
            lines::push(&mut self.ready, &line);
        }
        lines::push(&mut self.ready, &lines::end());
        Ok(())
    }

    fn is_running(&self) -> bool {
        let found = E2bSandbox::find(&self.sandbox.tenant, self.sandbox.handle.id());
        found.is_some_and(|found| found.state() == State::Running)
    }
}

/// Returns a line for each stream that was cut at its limit. Loss is never silent.
fn cut(execution: &Execution) -> impl Iterator<Item = String> {
    let streams = [("stdout", &execution.stdout), ("stderr", &execution.stderr)];
    let notices = streams.map(|(name, captured)| truncation_notice(name, captured));
    notices.into_iter().flatten().map(|notice| notice + "\n")
}

/// The sandbox does not run any more.
struct Stopped;

/// Returns true if the code has run before the error.
fn is_after_run(error: &ManagerError) -> bool {
    matches!(error, ManagerError::NotCommitted { .. })
}
