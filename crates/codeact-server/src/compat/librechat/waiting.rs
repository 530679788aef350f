//! Turns that wait for results of the client's tools.
//!
//! Their number and the time that they wait are bounded. A turn that is not continued in time is stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use codeact::event::{Event, Stream};
use codeact::sandbox::Execution;
use codeact_sessions::manager::ManagerError;

use super::client_tools::{Calls, ClientCall, PendingCall};
use super::outputs::Input;
use crate::compat::temporary::Temporary;
use crate::error::ApiError;
use crate::turns::{RunningTurn, TurnMessage};

/// Time in which the client must continue a turn.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(300);
/// Number of turns that wait.
const MAX_WAITING: usize = 1024;
/// Number of turns of one tenant that wait.
const MAX_WAITING_OF_TENANT: usize = 64;
/// Time without a new call after which the calls are sent to the client. Code that starts several calls at once makes
/// them within microseconds.
const QUIET: Duration = Duration::from_millis(5);
/// Limit of the output before a response, in bytes. The result has all of it.
const MAX_PARTIAL_BYTES: usize = 64 << 10;

/// A turn whose code calls tools of the client. Dropping it stops the turn and removes its session.
pub(super) struct ClientTurn {
    running: RunningTurn,
    calls: Calls,
    /// Calls without a result, in their order.
    pending: Vec<PendingCall>,
    pub(super) made: usize,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) inputs: Vec<Input>,
    pub(super) session: Temporary,
}

/// Why a turn has stopped for now.
pub(super) enum Pause {
    /// It waits for results of these calls.
    Calls(Vec<ClientCall>),
    /// It has ended.
    Ended(Result<Box<Execution>, ManagerError>),
}

impl ClientTurn {
    pub(super) fn new(
        running: RunningTurn,
        calls: Calls,
        inputs: Vec<Input>,
        session: Temporary,
    ) -> Self {
        Self {
            running,
            calls,
            pending: Vec::new(),
            made: 0,
            stdout: String::new(),
            stderr: String::new(),
            inputs,
            session,
        }
    }

    /// Returns true if a call waits for the result `id`.
    pub(super) fn is_pending(&self, id: &str) -> bool {
        self.pending.iter().any(|pending| pending.call.id == id)
    }

    /// Gives a call its result.
    pub(super) fn resolve(&mut self, id: &str, result: Result<serde_json::Value, String>) {
        let at = self
            .pending
            .iter()
            .position(|pending| pending.call.id == id);
        if let Some(at) = at {
            // The code no longer waits for it.
            let _ = self.pending.remove(at).reply.send(result);
        }
    }

    /// Runs the code until it waits for calls, or ends.
    pub(super) async fn advance(&mut self) -> Pause {
        let mut has_calls = !self.pending.is_empty();
        loop {
            let quiet = async {
                match has_calls {
                    true => tokio::time::sleep(QUIET).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                message = self.running.next() => match message {
                    Some(TurnMessage::Event(event)) => self.collect(event),
                    Some(TurnMessage::Ended(ended)) => return Pause::Ended(ended.map(Box::new)),
                    None => return Pause::Ended(Err(ManagerError::Cancelled)),
                },
                Some(call) = self.calls.recv() => {
                    self.pending.push(call);
                    self.made += 1;
                    has_calls = true;
                }
                () = quiet => {
                    // Calls that the code has cancelled.
                    self.pending.retain(|pending| !pending.reply.is_closed());
                    if !self.pending.is_empty() {
                        let calls = self.pending.iter().map(|pending| pending.call.clone());
                        return Pause::Calls(calls.collect());
                    }
                    has_calls = false;
                }
            }
        }
    }

    fn collect(&mut self, event: Event) {
        if let Event::Output { stream, text } = event {
            let to = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            if to.len() + text.len() <= MAX_PARTIAL_BYTES {
                to.push_str(&text);
            }
        }
    }
}

/// The turns that wait, by their continuation token.
#[derive(Default)]
pub(super) struct WaitingTurns(Mutex<HashMap<String, Waiting>>);

struct Waiting {
    tenant: String,
    turn: ClientTurn,
}

impl WaitingTurns {
    /// Lets `turn` wait for the request with `token`, at most [`MAX_WAIT`].
    pub(super) fn insert(
        self: &Arc<Self>,
        tenant: &str,
        token: String,
        turn: ClientTurn,
    ) -> Result<(), ApiError> {
        let mut waiting = self.lock();
        let of_tenant = waiting.values().filter(|other| other.tenant == tenant);
        if waiting.len() >= MAX_WAITING || of_tenant.count() >= MAX_WAITING_OF_TENANT {
            let why = "too many executions wait for tool results; continue or abandon some first";
            let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "waiting_turns", why);
            error.retry_after = Some(Duration::from_secs(10));
            return Err(error);
        }
        let tenant = tenant.to_owned();
        waiting.insert(token.clone(), Waiting { tenant, turn });
        drop(waiting);
        let all = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(MAX_WAIT).await;
            let expired = all.upgrade().and_then(|all| all.lock().remove(&token));
            drop(expired);
        });
        Ok(())
    }

    /// Takes the turn that waits for the request with `token`. A token can be used once, by its tenant.
    pub(super) fn take(&self, tenant: &str, token: &str) -> Option<ClientTurn> {
        let mut waiting = self.lock();
        if waiting.get(token)?.tenant != tenant {
            return None;
        }
        waiting.remove(token).map(|waiting| waiting.turn)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        // No code panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
