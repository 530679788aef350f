//! Tool calls that run concurrently with the code.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::hostcall::call_summary::CallSummary;
use crate::types::toolbox::ToolReply;

/// Limit of the calls that were started and have not been taken.
pub(super) const MAX_STARTED: usize = 10_000;
/// Approximate limit of the memory of their arguments, in bytes.
pub(super) const MAX_ARGUMENT_BYTES: usize = 128 << 20;
/// Limit of the calls that run at the same time. Further calls wait.
const MAX_CONCURRENT: usize = 64;
/// Limit of the replies that the code has not taken yet, in KiB. A call whose reply exceeds it completes when other
/// replies are taken.
const MAX_REPLIES_KIB: u32 = 64 << 10;

/// Calls that were started and have not been taken.
#[derive(Default)]
pub(super) struct PendingCalls {
    last: u32,
    started: BTreeMap<u32, PendingCall>,
    tasks: JoinSet<CompletedCall>,
    calls: HashMap<Id, u32>,
    bounds: Option<Bounds>,
    /// Memory of the arguments of running calls, in bytes.
    pub(super) weight: usize,
}

/// Semaphores for concurrent calls. They are never closed.
#[derive(Clone)]
struct Bounds {
    running: Arc<Semaphore>,
    replies: Arc<Semaphore>,
}

/// Reply of a completed call, and the permit for its size.
struct CompletedCall {
    reply: ToolReply,
    _size: Option<OwnedSemaphorePermit>,
}

impl Bounds {
    fn new() -> Self {
        Self {
            running: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            replies: Arc::new(Semaphore::new(MAX_REPLIES_KIB as usize)),
        }
    }

    /// Runs `call` when a permit is free.
    async fn run(self, call: impl Future<Output = ToolReply>) -> CompletedCall {
        let _running = self.running.acquire_owned().await;
        let reply = call.await;
        let weight = match &reply {
            ToolReply::Done(payload) => payload.weight(),
            ToolReply::Failed { message, .. } => message.len(),
        };
        let kib = u32::try_from(weight >> 10).unwrap_or(MAX_REPLIES_KIB) + 1;
        let size = self.replies.acquire_many_owned(kib.min(MAX_REPLIES_KIB));
        CompletedCall {
            reply,
            _size: size.await.ok(),
        }
    }
}

/// A call that was started.
pub(super) struct PendingCall {
    pub(super) summary: CallSummary,
    /// Memory of its arguments, in bytes.
    weight: usize,
    /// `None` if the call was made before a suspension, by the turn whose journal is replayed.
    abort: Option<AbortHandle>,
}

impl PendingCalls {
    /// Returns the number of calls that have not been taken.
    pub(super) fn len(&self) -> usize {
        self.started.len()
    }

    /// Starts `work` and returns the number of the call. Without `work` the call is only counted.
    pub(super) fn start(
        &mut self,
        summary: CallSummary,
        weight: usize,
        work: Option<(Handle, impl Future<Output = ToolReply> + Send + 'static)>,
    ) -> u32 {
        self.last += 1;
        let number = self.last;
        let abort = work.map(|(runtime, call)| {
            let bounds = self.bounds.get_or_insert_with(Bounds::new).clone();
            let abort = self.tasks.spawn_on(bounds.run(call), &runtime);
            self.calls.insert(abort.id(), number);
            abort
        });
        self.weight += weight;
        let pending_call = PendingCall {
            summary,
            weight,
            abort,
        };
        self.started.insert(number, pending_call);
        number
    }

    /// Removes the call `number`.
    pub(super) fn take(&mut self, number: u32) -> Option<PendingCall> {
        let pending_call = self.started.remove(&number)?;
        self.weight -= pending_call.weight;
        Some(pending_call)
    }

    /// Returns the next completed call, and waits for it for up to `time`; `None` if there is none.
    pub(super) async fn next(&mut self, time: Option<Duration>) -> Option<(u32, ToolReply)> {
        let lost = (self.started.iter()).find(|(_, pending_call)| pending_call.abort.is_none());
        if let Some((number, _)) = lost {
            let why = "the call was running when the turn was suspended, and was aborted; it may or may not \
                       have had an effect";
            return Some((*number, ToolReply::failed(why)));
        }
        let done = async {
            while let Some(done) = self.tasks.join_next_with_id().await {
                let (id, reply) = match done {
                    Ok((id, completed)) => (id, completed.reply),
                    Err(e) => (
                        e.id(),
                        ToolReply::failed("the tool's task was stopped by the host"),
                    ),
                };
                // Skips cancelled calls.
                if let Some(number) = self.calls.remove(&id)
                    && self.started.contains_key(&number)
                {
                    return Some((number, reply));
                }
            }
            None
        };
        match time {
            None => done.await,
            Some(time) => tokio::time::timeout(time, done).await.ok().flatten(),
        }
    }

    /// Removes the call `number` and stops it.
    pub(super) fn cancel(&mut self, number: u32) {
        if let Some(PendingCall {
            abort: Some(abort), ..
        }) = self.take(number)
        {
            abort.abort();
        }
    }
}
