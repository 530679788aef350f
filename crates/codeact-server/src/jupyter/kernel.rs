//! A kernel: the queue of requests for a session, and the sockets that see what it does.
//!
//! Requests on the shell channel run one after another in the task of `worker`, so they go on if their socket is closed.
//! Requests on the control channel are answered at once.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use codeact::sandbox::Cancel;
use codeact_sessions::manager::{SessionHandle, Tenant};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::error::JupyterError;
use super::message::Message;
use super::request::{Channel, Request};
use super::socket::{Closing, Socket, close_code};
use super::{ids, replies};
use crate::app::ServerTenant;
use crate::error::ApiError;
use crate::grants::TenantGrants;
use crate::turn_records::TurnRecords;

/// Limit of the requests that wait for a kernel.
const MAX_JOBS: usize = 256;
/// Limit of the memory of these requests, in bytes.
const MAX_JOB_BYTES: usize = 32 << 20;
/// Limit of the sockets of one kernel.
const MAX_SOCKETS: usize = 32;

/// A kernel that clients use.
pub(super) struct Kernel {
    tenant: Tenant,
    pub(super) grants: Arc<TenantGrants>,
    pub(super) handle: SessionHandle,
    pub(super) python: String,
    /// Identifier of the running interpreter in the headers of messages.
    id: String,
    sockets: Mutex<Vec<Arc<Socket>>>,
    jobs: mpsc::Sender<Job>,
    job_bytes: AtomicUsize,
    /// Number of requests that run or wait.
    unfinished: AtomicUsize,
    /// Incremented by a restart. Requests from before it are aborted.
    epoch: AtomicU64,
    /// Stops the work of the present request that is not a turn of the session.
    current: Mutex<Cancel>,
    /// Number of the last execution.
    count: AtomicU64,
}

/// A request of a socket on the shell channel.
pub(super) struct Job {
    pub(super) socket: Arc<Socket>,
    pub(super) request: Request,
    epoch: u64,
}

impl Kernel {
    /// Returns the kernel of a session, and the requests that must be answered. Their sender is dropped with the kernel.
    pub(super) async fn new(
        tenant: &ServerTenant,
        handle: SessionHandle,
    ) -> Result<(Self, mpsc::Receiver<Job>), JupyterError> {
        let count = TurnRecords::after(&handle, 0)
            .count(|turn| !turn.code.is_empty())
            .await?;
        let (jobs, receiver) = mpsc::channel(MAX_JOBS);
        let kernel = Self {
            tenant: tenant.sessions.clone(),
            grants: tenant.grants.clone(),
            handle,
            python: tenant.grants.sandbox.pack().manifest.python.clone(),
            id: ids::uuid()?,
            sockets: Mutex::default(),
            jobs,
            job_bytes: AtomicUsize::new(0),
            unfinished: AtomicUsize::new(0),
            epoch: AtomicU64::new(0),
            current: Mutex::new(Cancel::new()),
            count: AtomicU64::new(count),
        };
        Ok((kernel, receiver))
    }

    /// True if its session exists.
    pub(super) fn exists(&self) -> bool {
        self.tenant.get(self.handle.id()).is_ok()
    }

    /// Returns the number of connected sockets.
    pub(super) fn connections(&self) -> usize {
        lock(&self.sockets).len()
    }

    /// True if a request runs or waits.
    pub(super) fn is_busy(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) > 0
    }

    /// Returns the number of the last execution.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the number of a new execution.
    pub(super) fn next_count(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Connects a socket.
    pub(super) fn connect(&self, socket: &Arc<Socket>) -> Result<(), ApiError> {
        let mut sockets = lock(&self.sockets);
        if sockets.len() >= MAX_SOCKETS {
            return Err(ApiError::new(
                axum::http::StatusCode::TOO_MANY_REQUESTS,
                "sockets",
                format!("the kernel has {MAX_SOCKETS} connections; close one first"),
            ));
        }
        sockets.push(socket.clone());
        Ok(())
    }

    /// Disconnects a socket. Its requests go on.
    pub(super) fn disconnect(&self, socket: &Arc<Socket>) {
        lock(&self.sockets).retain(|other| !Arc::ptr_eq(other, socket));
    }

    /// Closes all sockets.
    pub(super) fn close(&self) {
        self.interrupt();
        for socket in lock(&self.sockets).drain(..) {
            let why = "the kernel was shut down";
            socket.close(Closing::new(close_code::GOING_AWAY, why));
        }
    }

    /// Stops the present request.
    pub(super) fn interrupt(&self) {
        lock(&self.current).cancel();
        self.handle.interrupt();
    }

    /// Returns a handle that [`Kernel::interrupt`] cancels from now on.
    pub(super) fn interruptible(&self) -> Cancel {
        let cancel = Cancel::new();
        *lock(&self.current) = cancel.clone();
        cancel
    }

    /// Starts the interpreter again. Waiting requests are aborted; files stay.
    pub(super) async fn restart(&self) -> Result<(), JupyterError> {
        self.epoch.fetch_add(1, Ordering::Relaxed);
        self.interrupt();
        self.handle.restart().await?;
        self.count.store(0, Ordering::Relaxed);
        let none = Arc::new(json!({}));
        self.publish(&none, "status", json!({ "execution_state": "starting" }));
        self.publish(&none, "status", json!({ "execution_state": "idle" }));
        Ok(())
    }

    /// Sends a message about the request `parent` to all sockets.
    pub(super) fn publish(&self, parent: &Arc<Value>, kind: &'static str, content: Value) {
        let message = Message::new(&self.id, Channel::Iopub, parent, kind, content);
        let sockets = lock(&self.sockets).clone();
        for socket in sockets {
            socket.send(&message);
        }
    }

    pub(super) fn publish_status(&self, parent: &Arc<Value>, state: &str) {
        self.publish(parent, "status", json!({ "execution_state": state }));
    }

    /// Sends a message about the request `parent` to one socket.
    pub(super) fn send(
        &self,
        socket: &Socket,
        channel: Channel,
        parent: &Arc<Value>,
        kind: &'static str,
        content: Value,
    ) {
        socket.send(&Message::new(&self.id, channel, parent, kind, content));
    }

    /// Takes a message of a client. An error closes its socket.
    pub(super) fn receive(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        request: Request,
    ) -> Result<(), Closing> {
        match (request.channel, request.kind.as_str()) {
            (_, "input_reply") => self.receive_input(socket, &request),
            // Nothing that a client publishes is of interest.
            (Channel::Iopub | Channel::Stdin, _) => Ok(()),
            (_, "interrupt_request") => {
                self.interrupt();
                self.answer_control(
                    socket,
                    &request,
                    "interrupt_reply",
                    json!({ "status": "ok" }),
                );
                Ok(())
            }
            (_, "shutdown_request") => self.receive_shutdown(socket, request),
            (Channel::Control, "kernel_info_request") => {
                let info = replies::kernel_info(&self.python);
                self.answer_control(socket, &request, "kernel_info_reply", info);
                Ok(())
            }
            _ => self.enqueue(socket, request),
        }
    }

    fn answer_control(
        &self,
        socket: &Socket,
        request: &Request,
        kind: &'static str,
        content: Value,
    ) {
        self.publish_status(&request.header, "busy");
        self.send(socket, request.channel, &request.header, kind, content);
        self.publish_status(&request.header, "idle");
    }

    fn receive_input(&self, socket: &Socket, request: &Request) -> Result<(), Closing> {
        #[derive(Deserialize)]
        struct InputReply {
            value: String,
        }
        let Ok(reply) = request.content::<InputReply>() else {
            let why = "the content of input_reply needs a text value";
            return Err(Closing::new(close_code::INVALID, why));
        };
        socket.give_input(reply.value);
        Ok(())
    }

    fn receive_shutdown(
        self: &Arc<Self>,
        socket: &Arc<Socket>,
        request: Request,
    ) -> Result<(), Closing> {
        #[derive(Deserialize)]
        struct Shutdown {
            #[serde(default)]
            restart: bool,
        }
        let restart = (request.content::<Shutdown>()).is_ok_and(|shutdown| shutdown.restart);
        let (kernel, socket) = (self.clone(), socket.clone());
        tokio::spawn(async move {
            let done = match restart {
                true => kernel.restart().await,
                false => kernel.handle.remove().await.map_err(Into::into),
            };
            let content = match done {
                Ok(()) => json!({ "status": "ok", "restart": restart }),
                Err(JupyterError(error)) => replies::error_content(error.code, &error.message),
            };
            let (channel, header) = (request.channel, &request.header);
            kernel.send(&socket, channel, header, "shutdown_reply", content);
            if !restart && !kernel.exists() {
                kernel.close();
            }
        });
        Ok(())
    }

    fn enqueue(&self, socket: &Arc<Socket>, request: Request) -> Result<(), Closing> {
        let bytes = request.size();
        let job = Job {
            socket: socket.clone(),
            request,
            epoch: self.epoch.load(Ordering::Relaxed),
        };
        let full = Closing::new(close_code::POLICY, "too many requests wait for the kernel");
        if self.job_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_JOB_BYTES {
            self.job_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(full);
        }
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        if self.jobs.try_send(job).is_err() {
            self.finished(bytes);
            return Err(full);
        }
        Ok(())
    }

    /// Counts a request of `bytes` bytes as answered.
    pub(super) fn finished(&self, bytes: usize) {
        self.job_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.unfinished.fetch_sub(1, Ordering::Relaxed);
    }

    /// True if the kernel was restarted after the request was sent.
    pub(super) fn is_outdated(&self, job: &Job) -> bool {
        job.epoch != self.epoch.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
