//! The task that answers a kernel's requests on the shell channel.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use codeact_sessions::manager::SessionHandle;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::error::JupyterError;
use super::kernel::{Job, Kernel};
use super::request::{Channel, Request};
use super::{execute, history, introspect, replies};
use crate::app::ServerTenant;

/// Returns the kernel of a session, with a task that answers its requests. The task ends when the kernel is dropped.
pub(super) async fn start(
    tenant: &ServerTenant,
    handle: SessionHandle,
) -> Result<Arc<Kernel>, JupyterError> {
    let (kernel, receiver) = Kernel::new(tenant, handle).await?;
    let kernel = Arc::new(kernel);
    tokio::spawn(work(Arc::downgrade(&kernel), receiver));
    Ok(kernel)
}

/// Answers the requests of a kernel, one after another.
async fn work(kernel: Weak<Kernel>, mut receiver: mpsc::Receiver<Job>) {
    let mut behind = VecDeque::new();
    loop {
        let job = match behind.pop_front() {
            Some(job) => job,
            None => match receiver.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let Some(kernel) = kernel.upgrade() else {
            return;
        };
        let bytes = job.request.size();
        let stop = answer(&kernel, &job).await;
        kernel.finished(bytes);
        if !stop {
            continue;
        }
        while let Ok(job) = receiver.try_recv() {
            if job.request.kind == "execute_request" {
                abort(&kernel, &job);
                kernel.finished(job.request.size());
            } else {
                behind.push_back(job);
            }
        }
    }
}

/// Answers a request of the shell channel. Returns true if the requests behind it must be aborted.
async fn answer(kernel: &Arc<Kernel>, job: &Job) -> bool {
    let request = &job.request;
    if request.kind == "execute_request" && kernel.is_outdated(job) {
        abort(kernel, job);
        return false;
    }
    kernel.publish_status(&request.header, "busy");
    let mut stop = false;
    let reply = match request.kind.as_str() {
        "execute_request" => {
            let (content, aborts) = execute::execute(kernel, job).await;
            stop = aborts;
            Some(("execute_reply", content))
        }
        "kernel_info_request" => Some(("kernel_info_reply", replies::kernel_info(&kernel.python))),
        "complete_request" => Some((
            "complete_reply",
            introspect::complete(kernel, request).await,
        )),
        "inspect_request" => Some(("inspect_reply", introspect::inspect(kernel, request).await)),
        "is_complete_request" => Some((
            "is_complete_reply",
            introspect::is_complete(kernel, request).await,
        )),
        "history_request" => Some(("history_reply", history::history(kernel, request).await)),
        "comm_info_request" => Some(("comm_info_reply", json!({ "status": "ok", "comms": {} }))),
        "comm_open" => {
            close_comm(kernel, request);
            None
        }
        // A kernel ignores messages that it does not know.
        _ => None,
    };
    if let Some((kind, content)) = reply {
        kernel.send(&job.socket, Channel::Shell, &request.header, kind, content);
    }
    kernel.publish_status(&request.header, "idle");
    stop
}

/// Refuses a comm: no widget has a counterpart in the kernel.
fn close_comm(kernel: &Kernel, request: &Request) {
    #[derive(Deserialize)]
    struct CommOpen {
        comm_id: String,
    }
    if let Ok(CommOpen { comm_id }) = request.content() {
        let content = json!({ "comm_id": comm_id, "data": {} });
        kernel.publish(&request.header, "comm_close", content);
    }
}

/// Answers an execution that is not run.
fn abort(kernel: &Kernel, job: &Job) {
    let header = &job.request.header;
    kernel.publish_status(header, "busy");
    let content = json!({ "status": "aborted", "execution_count": kernel.count() });
    kernel.send(
        &job.socket,
        Channel::Shell,
        header,
        "execute_reply",
        content,
    );
    kernel.publish_status(header, "idle");
}
