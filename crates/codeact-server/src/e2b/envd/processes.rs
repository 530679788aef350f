//! The commands that run in sandboxes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codeact::sandbox::Cancel;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::e2b::envd::error::{Code, ConnectError};
use crate::e2b::envd::process_messages::{ProcessConfig, Selector, data, exited, killed, started};
use crate::e2b::envd::stream::Messages;
use crate::shell::{RunningCommand, ShellError};

/// Limit of the commands that run in one sandbox at a time.
const MAX_PROCESSES: usize = 16;
/// Limit of the clients that follow one command.
const MAX_FOLLOWERS: usize = 8;
/// Time that a client has to read output. Then it follows the command no longer.
const SLOW: Duration = Duration::from_secs(30);
/// Number before that of the first process of a sandbox.
const FIRST_PID: u32 = 100;

/// A sandbox: name of its tenant, and its identifier.
pub(super) type Key = (String, String);

/// The commands that run, by sandbox.
#[derive(Default)]
pub(super) struct Processes(Mutex<HashMap<Key, Table>>);

/// The commands of one sandbox.
struct Table {
    last_pid: u32,
    running: Vec<Arc<Process>>,
}

/// A command that runs.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) config: ProcessConfig,
    pub(super) tag: Option<String>,
    /// Stops it.
    pub(super) cancel: Cancel,
    stdin: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    /// `None`: it has ended.
    followers: Mutex<Option<Vec<Messages>>>,
}

impl Processes {
    /// Adds a command of `key`'s sandbox that is about to start.
    pub(super) fn add(
        &self,
        key: &Key,
        config: ProcessConfig,
        tag: Option<String>,
        stdin: Option<mpsc::Sender<Vec<u8>>>,
        follower: Messages,
    ) -> Result<Arc<Process>, ConnectError> {
        let mut all = lock(&self.0);
        let table = all.entry(key.clone()).or_insert(Table {
            last_pid: FIRST_PID,
            running: Vec::new(),
        });
        if table.running.len() >= MAX_PROCESSES {
            return Err(ConnectError::new(
                Code::ResourceExhausted,
                format!(
                    "{MAX_PROCESSES} commands run in the sandbox, which is the limit; wait for one, or kill one"
                ),
            ));
        }
        table.last_pid = table.last_pid.checked_add(1).unwrap_or(FIRST_PID);
        let process = Arc::new(Process {
            pid: table.last_pid,
            config,
            tag,
            cancel: Cancel::new(),
            stdin: Mutex::new(stdin),
            followers: Mutex::new(Some(vec![follower])),
        });
        table.running.push(process.clone());
        Ok(process)
    }

    /// Returns the commands of a sandbox, in the order of their start.
    pub(super) fn list(&self, key: &Key) -> Vec<Arc<Process>> {
        let all = lock(&self.0);
        all.get(key)
            .map(|table| table.running.clone())
            .unwrap_or_default()
    }

    /// Returns the command that `selector` names.
    pub(super) fn find(
        &self,
        key: &Key,
        selector: Option<&Selector>,
    ) -> Result<Arc<Process>, ConnectError> {
        let Some(Selector { pid, tag }) = selector.filter(|s| s.pid.is_some() || s.tag.is_some())
        else {
            return Err(ConnectError::invalid(
                "the request names no process; expected a pid or a tag",
            ));
        };
        let found = self.list(key).into_iter().find(|process| match pid {
            Some(pid) => process.pid == *pid,
            None => process.tag.is_some() && process.tag == *tag,
        });
        found.ok_or_else(|| match pid {
            Some(pid) => ConnectError::not_found(format!("process with pid {pid} not found")),
            None => ConnectError::not_found("process with this tag not found"),
        })
    }

    pub(super) fn remove(&self, key: &Key, process: &Arc<Process>) {
        let mut all = lock(&self.0);
        if let Some(table) = all.get_mut(key) {
            table.running.retain(|other| !Arc::ptr_eq(other, process));
            // Numbers begin again if nothing runs and many sandboxes have run something.
            if table.running.is_empty() && all.len() > 10_000 {
                all.remove(key);
            }
        }
    }
}

impl Process {
    /// Adds a client that follows the command from now on.
    pub(super) fn follow(&self, messages: Messages) -> Result<(), ConnectError> {
        // The stream is empty, so this does not wait.
        let _ = messages.try_send(Ok(started(self.pid)));
        let mut followers = lock(&self.followers);
        let Some(followers) = followers.as_mut() else {
            return Err(ConnectError::not_found(format!(
                "process with pid {} not found",
                self.pid
            )));
        };
        followers.retain(|follower| !follower.is_closed());
        if followers.len() >= MAX_FOLLOWERS {
            return Err(ConnectError::new(
                Code::ResourceExhausted,
                format!("{MAX_FOLLOWERS} clients follow the command, which is the limit"),
            ));
        }
        followers.push(messages);
        Ok(())
    }

    /// Sends `bytes` to stdin. Waits while the command does not read.
    pub(super) async fn send_input(&self, bytes: Vec<u8>) -> Result<(), ConnectError> {
        let sender = lock(&self.stdin).clone();
        let closed = || {
            ConnectError::new(
                Code::FailedPrecondition,
                "the command has no stdin: it was started without, or it is closed",
            )
        };
        sender
            .ok_or_else(closed)?
            .send(bytes)
            .await
            .map_err(|_| closed())
    }

    /// Ends stdin.
    pub(super) fn close_input(&self) {
        lock(&self.stdin).take();
    }

    /// Sends the output of `command` to the clients that follow it, and then its end.
    pub(super) async fn drive(&self, mut command: RunningCommand) {
        while let Some((stream, bytes)) = command.next().await {
            self.send(&Ok(data(stream, &bytes))).await;
        }
        let last = match command.end().await {
            Ok(status) => Ok(exited(status)),
            Err(ShellError::Cancelled) => Ok(killed()),
            Err(error) => Err(ConnectError::from(error)),
        };
        self.end(last).await;
    }

    /// Sends the last message.
    pub(super) async fn end(&self, last: Result<Value, ConnectError>) {
        self.close_input();
        self.send(&last).await;
        lock(&self.followers).take();
    }

    async fn send(&self, message: &Result<Value, ConnectError>) {
        let followers = lock(&self.followers).clone().unwrap_or_default();
        for follower in followers {
            let sent = tokio::time::timeout(SLOW, follower.send(message.clone())).await;
            if !matches!(sent, Ok(Ok(()))) {
                // Its client is gone, or does not read. Its stream ends without an end event, which is an error there.
                let mut all = lock(&self.followers);
                if let Some(all) = all.as_mut() {
                    all.retain(|other| !other.same_channel(&follower));
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
