//! Watchers of folders. The files change by turns and by requests only, so a watcher compares listings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::response::Response;
use axum::{Extension, Json};
use codeact::sandbox::FileError;
use codeact_sessions::manager::SessionHandle;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::e2b::envd::connect::{CallResult, Message};
use crate::e2b::envd::error::{Code, ConnectError};
use crate::e2b::envd::listing::Listing;
use crate::e2b::envd::metadata::FileMetadata;
use crate::e2b::envd::paths::{User, absolute};
use crate::e2b::envd::state::SharedState;
use crate::e2b::envd::stream::{Messages, StreamError, Streamed, messages, stream_of};
use crate::e2b::route::SandboxedRecord;

/// Limit of the watchers of one sandbox, with and without a stream.
const MAX_WATCHERS: usize = 32;
/// Time after which a watcher whose events nobody has fetched can be dropped.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Time between two looks at whether a sandbox was used, for streams.
const INTERVAL: Duration = Duration::from_millis(100);

/// Time that a client has to read an event. Then its stream ends.
const SLOW: Duration = Duration::from_secs(10);

/// A sandbox: name of its tenant, and its identifier.
type Key = (String, String);

/// The watchers of all sandboxes.
#[derive(Default)]
pub(super) struct Watchers(Mutex<HashMap<Key, Watched>>);

/// The watchers of one sandbox.
#[derive(Default)]
struct Watched {
    last_id: u64,
    /// Their events are fetched.
    polled: HashMap<String, Arc<Watcher>>,
    /// Their events are sent.
    streams: Vec<(Arc<Watcher>, Messages)>,
    has_task: bool,
}

/// A watcher of one folder.
struct Watcher {
    folder: String,
    recursive: bool,
    with_entries: bool,
    state: Mutex<(Listing, Instant)>,
}

/// Request of `CreateWatcher` and `WatchDir`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WatchRequest {
    path: String,
    recursive: bool,
    include_entry: bool,
}

/// Request with the identifier of a watcher.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct WatcherRequest {
    watcher_id: String,
}

impl Watcher {
    /// Begins to watch.
    async fn start(handle: &SessionHandle, request: &WatchRequest) -> Result<Self, ConnectError> {
        let (folder, recursive) = (absolute(&request.path), request.recursive);
        let path = folder.clone();
        let listed = handle.read(move |session| Ok(Listing::take(session, &path, recursive)?));
        let listing = listed.await?.ok_or_else(too_large)?;
        Ok(Self {
            folder,
            recursive,
            with_entries: request.include_entry,
            state: Mutex::new((listing, Instant::now())),
        })
    }

    /// Returns the events since the last call.
    async fn events(self: &Arc<Self>, handle: &SessionHandle) -> Result<Vec<Value>, ConnectError> {
        let metadata = FileMetadata::of_session(handle);
        let this = self.clone();
        handle
            .read(move |session| {
                let listed = Listing::take(session, &this.folder, this.recursive);
                let listing = match listed {
                    Ok(Some(listing)) => listing,
                    // The folder itself was removed, and all that was in it.
                    Err(FileError::NotFound(_) | FileError::NotDir(_)) => Listing::default(),
                    Ok(None) => return Ok(Err(too_large())),
                    Err(error) => return Err(error.into()),
                };
                let mut state = lock(&this.state);
                let entries = this.with_entries.then_some(&metadata);
                let events = listing.events_since(&state.0, entries);
                *state = (listing, Instant::now());
                Ok(Ok(events))
            })
            .await?
    }
}

fn too_large() -> ConnectError {
    ConnectError::new(Code::ResourceExhausted, Listing::too_large())
}

impl Watchers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Watched>> {
        lock(&self.0)
    }

    /// Calls `add` with the watchers of a sandbox, if it can have one more.
    fn add<R>(&self, key: Key, add: impl FnOnce(&mut Watched) -> R) -> Result<R, ConnectError> {
        let mut all = self.lock();
        for watched in all.values_mut() {
            watched
                .polled
                .retain(|_, watcher| lock(&watcher.state).1.elapsed() < FORGOTTEN);
            watched
                .streams
                .retain(|(_, messages)| !messages.is_closed());
        }
        all.retain(|_, watched| {
            !watched.polled.is_empty() || !watched.streams.is_empty() || watched.has_task
        });
        let watched = all.entry(key).or_default();
        if watched.polled.len() + watched.streams.len() >= MAX_WATCHERS {
            return Err(ConnectError::new(
                Code::ResourceExhausted,
                format!("a sandbox can have {MAX_WATCHERS} watchers; remove one first"),
            ));
        }
        Ok(add(watched))
    }

    fn find(&self, key: &Key, id: &str) -> Result<Arc<Watcher>, ConnectError> {
        let all = self.lock();
        let found = all.get(key).and_then(|watched| watched.polled.get(id));
        found.cloned().ok_or_else(|| no_watcher(id))
    }

    /// Returns the streams of a sandbox, without those whose client is gone; `None` if there is none left.
    fn streams(&self, key: &Key) -> Option<Vec<(Arc<Watcher>, Messages)>> {
        let mut all = self.lock();
        let watched = all.get_mut(key)?;
        watched
            .streams
            .retain(|(_, messages)| !messages.is_closed());
        if watched.streams.is_empty() {
            watched.has_task = false;
            return None;
        }
        Some(watched.streams.clone())
    }

    fn drop_stream(&self, key: &Key, watcher: &Arc<Watcher>) {
        if let Some(watched) = self.lock().get_mut(key) {
            watched
                .streams
                .retain(|(other, _)| !Arc::ptr_eq(other, watcher));
        }
    }

    fn drop_streams(&self, key: &Key) {
        if let Some(watched) = self.lock().get_mut(key) {
            watched.streams.clear();
            watched.has_task = false;
        }
    }
}

fn no_watcher(id: &str) -> ConnectError {
    let id: String = id.chars().take(64).collect();
    ConnectError::not_found(format!("watcher with id {id} not found"))
}

fn key_of(sandbox: &SandboxedRecord) -> Key {
    let sandbox = &sandbox.0;
    (
        sandbox.tenant.sessions.name().to_owned(),
        sandbox.handle.id().to_owned(),
    )
}

pub(super) async fn create(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    _user: User,
    Message(request): Message<WatchRequest>,
) -> CallResult {
    let watcher = Arc::new(Watcher::start(&sandbox.0.handle, &request).await?);
    let id = state.watchers.add(key_of(&sandbox), |watched| {
        watched.last_id += 1;
        let id = format!("w{}", watched.last_id);
        watched.polled.insert(id.clone(), watcher);
        id
    })?;
    Ok(Json(json!({"watcherId": id})))
}

pub(super) async fn events(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    Message(request): Message<WatcherRequest>,
) -> CallResult {
    let watcher = state
        .watchers
        .find(&key_of(&sandbox), &request.watcher_id)?;
    let events = watcher.events(&sandbox.0.handle).await?;
    Ok(Json(json!({"events": events})))
}

pub(super) async fn remove(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    Message(request): Message<WatcherRequest>,
) -> CallResult {
    let mut all = state.watchers.lock();
    let watched = all.get_mut(&key_of(&sandbox));
    let removed = watched.and_then(|watched| watched.polled.remove(&request.watcher_id));
    match removed {
        Some(_) => Ok(Json(json!({}))),
        None => Err(no_watcher(&request.watcher_id)),
    }
}

/// Sends the events of a folder until the client ends the stream.
pub(super) async fn watch_dir(
    sandbox: SandboxedRecord,
    Extension(state): Extension<SharedState>,
    _user: User,
    Streamed(request, settings): Streamed<WatchRequest>,
) -> Result<Response, StreamError> {
    let handle = sandbox.0.handle.clone();
    let watcher = Arc::new(Watcher::start(&handle, &request).await?);
    let key = key_of(&sandbox);
    let (send, receive) = messages();
    // The stream is empty, so this does not wait.
    let _ = send.try_send(Ok(json!({"start": {}})));
    let starts = state.watchers.add(key.clone(), |watched| {
        watched.streams.push((watcher, send));
        !std::mem::replace(&mut watched.has_task, true)
    })?;
    if starts {
        tokio::spawn(send_events(state, key, handle));
    }
    Ok(stream_of(receive, settings, json!({"keepalive": {}})))
}

/// Sends the events of all streams of a sandbox while there are any. One task does it for all, because listing files is
/// itself a use of the sandbox.
async fn send_events(state: SharedState, key: Key, handle: SessionHandle) {
    let mut looked = Instant::now();
    // A change between the end of a listing and `looked` is found by a second listing.
    let mut again = 2;
    while let Some(streams) = state.watchers.streams(&key) {
        let was_used = handle.status().unused < looked.elapsed();
        if was_used {
            again = 2;
        }
        if again > 0 {
            again -= 1;
            for (watcher, messages) in &streams {
                let sent = match watcher.events(&handle).await {
                    Ok(events) => send_all(messages, events).await,
                    Err(error) if is_passing(&error) => true,
                    Err(error) => {
                        let _ = messages.send(Err(error)).await;
                        state.watchers.drop_streams(&key);
                        return;
                    }
                };
                if !sent {
                    state.watchers.drop_stream(&key, watcher);
                }
            }
            looked = Instant::now();
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Returns true for an error of a sandbox that has too much to do just now.
fn is_passing(error: &ConnectError) -> bool {
    matches!(error.code, Code::ResourceExhausted) && error.message != Listing::too_large()
}

/// Returns false if the client is gone, or does not read.
async fn send_all(messages: &Messages, events: Vec<Value>) -> bool {
    for event in events {
        let sent = messages.send(Ok(json!({"filesystem": event})));
        if !matches!(tokio::time::timeout(SLOW, sent).await, Ok(Ok(()))) {
            return false;
        }
    }
    true
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
