//! Calls that were started, and go on beside the code until it waits for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::told::Told;
use crate::sandbox::toolbox::ToolReply;

/// The most calls that were started and are not done.
pub(super) const MAX_STARTED: usize = 10_000;
/// What the arguments of such calls may take in memory, in bytes, about.
pub(super) const MAX_ARGUMENTS: usize = 128 << 20;
/// So many of them run at the same time; the others wait for their turn.
const AT_ONCE: usize = 64;
/// What answers may take that nobody has waited for yet, in KiB; a call whose answer has no room is not
/// done, and others wait for it.
const MAX_ANSWERS: u32 = 64 << 10;

/// The calls that were started and not yet waited for.
#[derive(Default)]
pub(super) struct Flights {
    last: u32,
    started: BTreeMap<u32, Flight>,
    tasks: JoinSet<Landed>,
    calls: HashMap<Id, u32>,
    bounds: Option<Bounds>,
    /// What the arguments of those that are under way take.
    pub(super) weight: usize,
}

/// What holds the calls that run beside the code.
#[derive(Clone)]
struct Bounds {
    turns: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

/// A call that is done, and its answer's room.
struct Landed {
    reply: ToolReply,
    _room: Option<OwnedSemaphorePermit>,
}

impl Bounds {
    fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            answers: Arc::new(Semaphore::new(MAX_ANSWERS as usize)),
        }
    }

    /// Makes `call` when it is its turn. Neither semaphore is ever closed.
    async fn hold(self, call: impl Future<Output = ToolReply>) -> Landed {
        let _turn = self.turns.acquire_owned().await;
        let reply = call.await;
        let weight = match &reply {
            ToolReply::Done(payload) => payload.weight(),
            ToolReply::Failed { message, .. } => message.len(),
        };
        let room = u32::try_from(weight >> 10).unwrap_or(MAX_ANSWERS) + 1;
        let room = self.answers.acquire_many_owned(room.min(MAX_ANSWERS));
        Landed {
            reply,
            _room: room.await.ok(),
        }
    }
}

pub(super) struct Flight {
    pub(super) told: Told,
    /// What its arguments take.
    weight: usize,
    /// `None` where it was started by the turn whose tape this one replays.
    abort: Option<AbortHandle>,
}

impl Flights {
    pub(super) fn under_way(&self) -> usize {
        self.started.len()
    }

    /// Starts `call`, or only counts it.
    pub(super) fn start(
        &mut self,
        told: Told,
        weight: usize,
        work: Option<(Handle, impl Future<Output = ToolReply> + Send + 'static)>,
    ) -> u32 {
        self.last += 1;
        let number = self.last;
        let abort = work.map(|(runtime, call)| {
            let bounds = self.bounds.get_or_insert_with(Bounds::new).clone();
            let abort = self.tasks.spawn_on(bounds.hold(call), &runtime);
            self.calls.insert(abort.id(), number);
            abort
        });
        self.weight += weight;
        let flight = Flight {
            told,
            weight,
            abort,
        };
        self.started.insert(number, flight);
        number
    }

    pub(super) fn take(&mut self, number: u32) -> Option<Flight> {
        let flight = self.started.remove(&number)?;
        self.weight -= flight.weight;
        Some(flight)
    }

    /// The next one that is done, within `time`.
    pub(super) async fn next(&mut self, time: Option<Duration>) -> Option<(u32, ToolReply)> {
        let cut = (self.started.iter()).find(|(_, flight)| flight.abort.is_none());
        if let Some((number, _)) = cut {
            let why = "it was under way when the turn was put away, and was cut off; it may or may not \
                       have had an effect";
            return Some((*number, ToolReply::failed(why)));
        }
        let done = async {
            while let Some(done) = self.tasks.join_next_with_id().await {
                let (id, reply) = match done {
                    Ok((id, landed)) => (id, landed.reply),
                    Err(e) => (
                        e.id(),
                        ToolReply::failed("the tool was stopped from outside"),
                    ),
                };
                // One that was cancelled is no longer waited for.
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

    pub(super) fn cancel(&mut self, number: u32) {
        if let Some(Flight {
            abort: Some(abort), ..
        }) = self.take(number)
        {
            abort.abort();
        }
    }
}
